//! `multipart/form-data` (RFC 7578) of which the whole is there: the parts share its memory.

use bytes::Bytes;

#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) filename: Option<String>,
    pub(crate) content: Bytes,
}

/// `None` when it is no such form, or ends before its end.
pub(crate) fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let parameters = content_type.strip_prefix("multipart/form-data")?;
    let boundary = parameter(parameters, "boundary")?;
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut at = find(body, first.as_bytes(), 0)? + first.len();
    let mut parts = Vec::new();
    while !body[at..].starts_with(b"--") {
        let head_end = find(body, b"\r\n\r\n", at)?;
        let end = find(body, between.as_bytes(), head_end + 2)?;
        let head = String::from_utf8_lossy(&body[at..head_end]).into_owned();
        let content = body.slice((head_end + 4).min(end)..end);
        at = end + between.len();
        let disposition = head.lines().find(|line| {
            line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:"))
        });
        let Some(disposition) = disposition else { continue };
        let Some(name) = parameter(disposition, "name") else { continue };
        parts.push(Part { name, filename: parameter(disposition, "filename"), content });
        if parts.len() == PARTS_MAX {
            break;
        }
    }
    Some(parts)
}

impl Part {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).trim().to_owned()
    }
}

fn parameter(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.trim();
        (key.trim() == name).then(|| value.trim_matches('"').to_owned())
    })
}

fn find(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        at += hay.get(at..)?.iter().position(|byte| *byte == first)?;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

const PARTS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form() {
        let body =
            b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.gcode\"\r\n\
            Content-Type: text/plain\r\n\r\nG28\r\n--not\r\n\r\n--x\r\n\
            content-disposition: form-data; name=\"print\"\r\n\r\ntrue\r\n--x--\r\n";
        let body = Bytes::from_static(body);
        let parts = parts("multipart/form-data; boundary=x", &body).unwrap();
        assert_eq!(parts[0].filename.as_deref(), Some("a.gcode"));
        assert_eq!(&parts[0].content[..], b"G28\r\n--not\r\n");
        assert_eq!((parts[1].name.as_str(), parts[1].text().as_str()), ("print", "true"));
        for end in 0..body.len() - 4 {
            assert!(super::parts("multipart/form-data; boundary=x", &body.slice(..end)).is_none());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_do_no_harm(
            body: Vec<u8>,
            form in "(--x|\r\n|name=\"a\"|: ;|Content-Disposition:|ä){0,20}",
        ) {
            parts("multipart/form-data; boundary=x", &Bytes::from(body));
            parts("multipart/form-data; boundary=x", &Bytes::from(form));
            parts("multipart/form-data; boundary=", &Bytes::from_static(b"----"));
        }
    }
}
