//! The login: an API key in `X-Api-Key`, or Digest as RFC 2069 had it.
//!
//! `response = MD5(MD5(user:realm:password):nonce:MD5(METHOD:uri))`. The firmware gives neither
//! `qop` nor `algorithm` and cannot read them.

use super::{Door, challenge, lock};
use crate::printer::http::{Request, header};
use axum::http::HeaderName;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use md5::{Digest, Md5};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// The nonces that were given out, with when.
#[derive(Debug, Default)]
pub(super) struct Login {
    nonces: VecDeque<(String, SystemTime)>,
}

impl Door {
    /// The refusal that a request deserves, if it does.
    pub(super) fn login(&self, request: &Request) -> Option<Response> {
        if let Some(key) = header(request, &HeaderName::from_static("x-api-key")) {
            let right = self.shared.is_secret(key);
            return (!right).then(|| self.challenge(false));
        }
        let Some(digest) = header(request, &AUTHORIZATION).and_then(Given::read) else {
            return Some(self.challenge(false));
        };
        let uri = request.uri().path_and_query().map_or("/", |uri| uri.as_str());
        let secret = &self.shared.spec.secret;
        let right = digest.username == USER
            && digest.realm == REALM
            && digest.uri == uri
            && digest.response == digest.expected(request.method().as_str(), secret)
            && self.shared.is_secret(secret);
        if !right {
            return Some(self.challenge(false));
        }
        if lock(&self.own.login).is_alive(&digest.nonce, self.shared.now()) {
            return None;
        }
        Some(self.challenge(true))
    }

    fn challenge(&self, stale: bool) -> Response {
        let nonce = format!("{:016x}", self.shared.random());
        let text = format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\", stale={stale}");
        lock(&self.own.login).give(nonce, self.shared.now());
        challenge(&text)
    }
}

impl Login {
    fn give(&mut self, nonce: String, now: SystemTime) {
        self.nonces.truncate(NONCES_MAX - 1);
        self.nonces.push_front((nonce, now));
    }

    fn is_alive(&self, nonce: &str, now: SystemTime) -> bool {
        let given = self.nonces.iter().find(|(other, _)| other == nonce);
        let age = given.and_then(|(_, since)| now.duration_since(*since).ok());
        age.is_some_and(|age| age <= NONCE_LIFE)
    }
}

#[derive(Default)]
struct Given {
    username: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
}

impl Given {
    /// `None` for what the firmware does not understand.
    fn read(text: &str) -> Option<Self> {
        let mut given = Self::default();
        for pair in text.strip_prefix("Digest ")?.split(',') {
            let (name, value) = pair.split_once('=')?;
            let place = match name.trim() {
                "username" => &mut given.username,
                "realm" => &mut given.realm,
                "nonce" => &mut given.nonce,
                "uri" => &mut given.uri,
                "response" => &mut given.response,
                _ => return None,
            };
            value.trim().trim_matches('"').clone_into(place);
        }
        Some(given)
    }

    fn expected(&self, method: &str, secret: &str) -> String {
        let a1 = md5(&format!("{USER}:{REALM}:{secret}"));
        let a2 = md5(&format!("{method}:{}", self.uri));
        md5(&format!("{a1}:{}:{a2}", self.nonce))
    }
}

fn md5(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Md5::digest(text.as_bytes()))
}

const USER: &str = "maker";
const REALM: &str = "Printer API";
const NONCE_LIFE: Duration = Duration::from_secs(5);
const NONCES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_lives_five_seconds() {
        let mut login = Login::default();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        login.give("a".to_owned(), start);
        assert!(login.is_alive("a", start + Duration::from_secs(5)));
        assert!(!login.is_alive("a", start + Duration::from_millis(5001)));
        assert!(!login.is_alive("b", start));
        (0..100).for_each(|n| login.give(n.to_string(), start));
        assert!(!login.is_alive("a", start) && login.is_alive("99", start));
    }

    #[test]
    fn what_cannot_be_read_is_no_login() {
        let text = "Digest username=\"maker\", realm=\"Printer API\", nonce=\"00\", uri=\"/\", \
                    response=\"x\"";
        assert_eq!(Given::read(text).unwrap().uri, "/");
        assert!(Given::read(&format!("{text}, algorithm=MD5")).is_none());
        assert!(Given::read(&format!("{text}, qop=auth, nc=1")).is_none());
        assert!(Given::read("Basic bWFrZXI=").is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_text_does_no_harm(text in "Digest .{0,60}|.{0,60}") {
            let _ = Given::read(&text);
        }
    }
}
