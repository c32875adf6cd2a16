//! A form with fields and one file (RFC 7578), as Moonraker and OctoPrint take uploads.

/// What stands before and behind the file.
pub(crate) struct Multipart {
    boundary: String,
    before: String,
}

impl Multipart {
    pub(crate) fn new() -> Self {
        let boundary = format!("farhub-{:032x}", rand::random::<u128>());
        Self { boundary, before: String::new() }
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        let Self { boundary, before } = &mut self;
        before.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
        self
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Before the file, and behind it.
    pub(crate) fn around(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        // As browsers write names that would end the header.
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        let Self { boundary, before } = self;
        let before = format!(
            "{before}--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        (before.into_bytes(), format!("\r\n--{boundary}--\r\n").into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        let form = Multipart::new().field("root", "gcodes");
        let (before, after) = form.around("a\"\r\nX: y.gcode");
        let before = String::from_utf8(before).unwrap();
        assert!(before.contains("name=\"root\"\r\n\r\ngcodes\r\n--farhub-"));
        assert!(before.contains("filename=\"a%22%0D%0AX: y.gcode\"\r\n"));
        assert!(after.starts_with(b"\r\n--farhub-") && after.ends_with(b"--\r\n"));
    }
}
