//! How we say who we are: a key in a header, or PrusaLink's digest.
//!
//! PrusaLink's digest is RFC 2069's: no `qop`, no `algorithm`. Old firmware refuses an
//! `algorithm` (pyprusalink works around that), so none is ever sent. A nonce lives for 5 s and is
//! then answered with `stale=true` (Prusa-Firmware-Buddy lib/WUI).

use crate::Secret;
use data_encoding::HEXLOWER;
use hyper::header::HeaderValue;
use md5::{Digest as _, Md5};
use std::time::{Duration, Instant};

pub(crate) enum Login {
    None,
    /// `X-Api-Key`, which all three know.
    Key(Secret),
    Digest(Digest),
}

/// Why a login was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It wanted a nonce that it knows.
    Fresh,
    /// We had sent one, and it was not that.
    Wrong,
}

impl Login {
    pub(crate) fn key(secret: &Secret) -> Self {
        if secret.is_empty() { Self::None } else { Self::Key(secret.clone()) }
    }

    pub(crate) fn header(
        &self,
        method: &str,
        uri: &str,
        now: Instant,
    ) -> Option<(&'static str, HeaderValue)> {
        let (name, value) = match self {
            Self::None => return None,
            Self::Key(secret) => ("x-api-key", secret.expose().to_owned()),
            Self::Digest(digest) => ("authorization", digest.answer(method, uri, now)?),
        };
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }

    /// After a 401. `None` when another try is of no use.
    pub(crate) fn challenged(&mut self, challenges: &[String], now: Instant) -> Option<Again> {
        match self {
            Self::None | Self::Key(_) => None,
            Self::Digest(digest) => {
                challenges.iter().find_map(|challenge| digest.challenged(challenge, now))
            }
        }
    }

    /// Makes sure that the next request's login is not refused for its age: an upload should not
    /// be sent twice.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        match self {
            Self::None | Self::Key(_) => true,
            Self::Digest(digest) => digest.age(now).is_some_and(|age| age < NONCE_LIFE / 2),
        }
    }
}

pub(crate) struct Digest {
    user: String,
    secret: Secret,
    nonce: Option<Nonce>,
}

struct Nonce {
    realm: String,
    nonce: String,
    since: Instant,
}

impl Digest {
    pub(crate) fn new(user: &str, secret: &Secret) -> Self {
        Self { user: user.to_owned(), secret: secret.clone(), nonce: None }
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.nonce.as_ref().map(|nonce| now.saturating_duration_since(nonce.since))
    }

    fn answer(&self, method: &str, uri: &str, now: Instant) -> Option<String> {
        let Nonce { realm, nonce, since } = self.nonce.as_ref()?;
        if now.saturating_duration_since(*since) >= NONCE_LIFE {
            return None;
        }
        let user = &self.user;
        let mine = hash(&format!("{user}:{realm}:{}", self.secret.expose()));
        let what = hash(&format!("{method}:{uri}"));
        let response = hash(&format!("{mine}:{nonce}:{what}"));
        let (user, realm) = (quoted(user), quoted(realm));
        Some(format!(
            "Digest username={user}, realm={realm}, nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\""
        ))
    }

    fn challenged(&mut self, challenge: &str, now: Instant) -> Option<Again> {
        let rest = challenge.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("digest "));
        let fields = parameters(rest.and(challenge.get(7..))?);
        let field = |name: &str| {
            fields
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, v)| v.clone())
        };
        let nonce = field("nonce")
            .filter(|nonce| nonce.len() <= NONCE_CHARS_MAX && !nonce.contains(['"', '\\']))?;
        let stale = field("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        let was_sent = self.age(now).is_some_and(|age| age < NONCE_LIFE);
        let realm = field("realm").unwrap_or_default();
        self.nonce = Some(Nonce { realm, nonce, since: now });
        Some(if stale || !was_sent { Again::Fresh } else { Again::Wrong })
    }
}

fn hash(text: &str) -> String {
    HEXLOWER.encode(&Md5::digest(text.as_bytes()))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `name=value, name="value"`; a comma may stand in quotes.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(inside) => unquote(inside),
            None => {
                let (value, next) = after.split_once(',').unwrap_or((after, ""));
                (value.trim().to_owned(), next)
            }
        };
        found.push((name.trim().to_owned(), value));
        rest = next.trim_start_matches([' ', ',', '\t']);
        if found.len() >= PARAMETERS_MAX {
            break;
        }
    }
    found
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// How long PrusaLink takes a nonce.
const NONCE_LIFE: Duration = Duration::from_secs(5);
/// PrusaLink's has 16.
const NONCE_CHARS_MAX: usize = 256;
const PARAMETERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHALLENGE: &str = "Digest realm=\"Printer API\", nonce=\"00000000000004d2\", stale=false";

    #[test]
    fn a_challenge_is_answered_without_qop_and_algorithm() {
        let now = Instant::now();
        let mut login = Login::Digest(Digest::new("maker", &"secret".into()));
        assert!(login.header("GET", "/api/version", now).is_none());
        assert_eq!(login.challenged(&[CHALLENGE.to_owned()], now), Some(Again::Fresh));
        let (name, value) = login.header("GET", "/api/version", now).unwrap();
        let mine = hash("maker:Printer API:secret");
        let response = hash(&format!("{mine}:00000000000004d2:{}", hash("GET:/api/version")));
        let expected = format!(
            "Digest username=\"maker\", realm=\"Printer API\", nonce=\"00000000000004d2\", \
             uri=\"/api/version\", response=\"{response}\""
        );
        assert_eq!((name, value.to_str().unwrap()), ("authorization", expected.as_str()));
        assert!(value.is_sensitive());
    }

    #[test]
    fn the_hash_is_md5() {
        // RFC 1321, appendix A.5.
        assert_eq!(hash("abc"), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn a_nonce_is_used_for_five_seconds() {
        let now = Instant::now();
        let mut login = Login::Digest(Digest::new("maker", &"secret".into()));
        login.challenged(&[CHALLENGE.to_owned()], now);
        assert!(login.header("GET", "/", now + Duration::from_millis(4900)).is_some());
        assert!(login.header("GET", "/", now + Duration::from_secs(5)).is_none());
        assert!(login.is_fresh(now + Duration::from_secs(1)));
        assert!(!login.is_fresh(now + Duration::from_secs(3)));
    }

    #[test]
    fn a_stale_nonce_is_no_wrong_password() {
        let now = Instant::now();
        let mut login = Login::Digest(Digest::new("maker", &"secret".into()));
        login.challenged(&[CHALLENGE.to_owned()], now);
        assert_eq!(login.challenged(&[CHALLENGE.to_owned()], now), Some(Again::Wrong));
        let stale = CHALLENGE.replace("stale=false", "stale=true");
        assert_eq!(login.challenged(&[stale], now), Some(Again::Fresh));
        assert_eq!(login.challenged(&["Basic realm=\"x\"".to_owned()], now), None);
    }

    #[test]
    fn parameters_may_hold_commas() {
        let read = parameters("realm=\"a, \\\"b\", nonce=c ,stale = true");
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, [("realm", "a, \"b"), ("nonce", "c"), ("stale", "true")]);
    }

    proptest! {
        #[test]
        fn no_challenge_panics(challenge in ".{0,200}") {
            let now = Instant::now();
            let mut login = Login::Digest(Digest::new("maker", &"secret".into()));
            login.challenged(&[challenge.clone(), format!("Digest {challenge}")], now);
            login.header("GET", "/", now);
        }
    }
}
