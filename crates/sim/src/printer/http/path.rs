//! Paths and queries, decoded.

use axum::http::Uri;
use std::collections::BTreeMap;

/// The parts of a path. What cannot be decoded stays as it was, and is not found then.
pub(crate) fn segments(uri: &Uri) -> Vec<String> {
    let parts = uri.path().split('/').filter(|part| !part.is_empty());
    parts.map(|part| decode(part).unwrap_or_else(|| part.to_owned())).collect()
}

pub(crate) type Query = BTreeMap<String, String>;

pub(crate) fn query(uri: &Uri) -> Query {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |part: &str| decode(&part.replace('+', " "));
            Some((text(name)?, text(value)?))
        })
        .collect()
}

/// As a path has it.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?[0]);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs() {
        let uri: Uri = "/usb/a%20b%c3%a4/%zz/c?x=1&y=a+b%26&z".parse().unwrap();
        assert_eq!(segments(&uri), ["usb", "a bä", "%zz", "c"]);
        let query = query(&uri);
        assert_eq!((query["x"].as_str(), query["y"].as_str()), ("1", "a b&"));
        assert_eq!(query["z"], "");
        assert_eq!(encode("a bä/c"), "a%20b%C3%A4/c");
    }

    proptest::proptest! {
        #[test]
        fn there_and_back(text: String, other in "[%a-zä]{0,9}") {
            assert_eq!(decode(&encode(&text)), Some(text));
            let _ = decode(&other);
        }
    }
}
