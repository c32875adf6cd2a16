//! Who is admitted: hubs by their keys, or, if none are named, whoever has the secret.

use super::Settings;
use crate::data;
use crate::error::Error;
use hub::PeerId;
use iroh_relay::server::{self, AccessControl, ClientRequest, ConnectionId};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::Relay;
use wire::relay::Scheme;

/// Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Access(Arc<Door>);

#[derive(Debug)]
struct Door {
    who: Who,
    connections_max: usize,
    connections: AtomicUsize,
}

enum Who {
    Secret(String),
    Keys { listed: Vec<PeerId>, file: Option<PathBuf> },
}

impl Access {
    /// Makes the secret on the first start that needs one.
    pub(super) fn new(settings: &Settings, folder: &Path) -> Result<Self, Error> {
        let who = if settings.allow.is_empty() && settings.allow_file.is_none() {
            Who::Secret(secret(&folder.join("relay-secret"))?)
        } else {
            let file = settings.allow_file.clone();
            if let Some(file) = &file {
                listed(file).map_err(Error::failed)?;
            }
            Who::Keys { listed: settings.allow.clone(), file }
        };
        let connections_max = settings.connections.unwrap_or(CONNECTIONS_MAX);
        Ok(Self(Arc::new(Door { who, connections_max, connections: AtomicUsize::new(0) })))
    }

    pub(super) fn secret(&self) -> Option<&str> {
        match &self.0.who {
            Who::Secret(secret) => Some(secret),
            Who::Keys { .. } => None,
        }
    }

    /// Why not.
    fn refusal(&self, key: PeerId, token: Option<&str>) -> Option<&'static str> {
        match &self.0.who {
            Who::Secret(secret) => {
                // digests: how long the comparison takes says nothing of the secret
                let same = |token: &str| hub::pin(token.as_bytes()) == hub::pin(secret.as_bytes());
                (!token.is_some_and(same)).then_some("the secret is not the one of this relay")
            }
            Who::Keys { listed: keys, file } => {
                let in_file = || match file.as_deref().map(listed) {
                    None => false,
                    Some(Ok(keys)) => keys.contains(&key),
                    Some(Err(error)) => {
                        tracing::error!("nobody is admitted by the file: {error}");
                        false
                    }
                };
                (!keys.contains(&key) && !in_file()).then_some("your key is not on its list")
            }
        }
    }

    fn enter(&self, key: PeerId, token: Option<&str>) -> Result<(), &'static str> {
        if let Some(refusal) = self.refusal(key, token) {
            return Err(refusal);
        }
        let one_more = |now: usize| (now < self.0.connections_max).then_some(now + 1);
        let entered =
            self.0.connections.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        entered.map(|_| ()).map_err(|_| "there are too many connections")
    }
}

impl AccessControl for Access {
    async fn on_connect(&self, request: &ClientRequest) -> server::Access {
        let key = request.endpoint_id();
        match self.enter(key, request.auth_token().as_deref()) {
            Ok(()) => server::Access::Allow,
            Err(reason) => {
                tracing::debug!(key = %key, "not admitted: {reason}");
                server::Access::Deny { reason: Some(reason.to_owned()) }
            }
        }
    }

    fn on_disconnect(&self, _: PeerId, _: ConnectionId) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Without the secret.
impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(..)"),
            Self::Keys { listed, file } => write!(f, "Keys({listed:?}, {file:?})"),
        }
    }
}

fn secret(file: &Path) -> Result<String, Error> {
    let text = data::secret(file, || {
        data_encoding::BASE32_NOPAD.encode(&rand::random::<[u8; 20]>()).to_ascii_lowercase()
    })?;
    let checked = Relay::new(Scheme::Http, "any", 80).and_then(|any| any.secret(&text));
    checked.map(|_| text).map_err(|error| {
        Error::failed(format!("{} does not hold a secret: {error}", file.display()))
            .hint("remove the file: a new secret is made, which each hub must get")
    })
}

/// One key a line; what is behind a `#` is for people.
fn listed(file: &Path) -> Result<Vec<PeerId>, String> {
    let shown = file.display();
    let long = file.metadata().is_ok_and(|is| is.len() > FILE_BYTES_MAX);
    if long {
        return Err(format!("{shown} is larger than a list of keys"));
    }
    let text = std::fs::read_to_string(file).map_err(|e| format!("{shown} cannot be read: {e}"))?;
    let mut keys = vec![];
    for (number, line) in text.lines().enumerate() {
        let key = line.split('#').next().unwrap_or_default().trim();
        if key.is_empty() {
            continue;
        }
        let wrong = |_| format!("{shown}, line {}: this is not the key of a hub", number + 1);
        keys.push(key.parse().map_err(wrong)?);
    }
    Ok(keys)
}

const CONNECTIONS_MAX: usize = 256;
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const OTHER: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

    fn key(text: &str) -> PeerId {
        text.parse().unwrap()
    }

    #[test]
    fn the_secret_is_made_once_and_admits() {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::new(&Settings::default(), folder.path()).unwrap();
        let secret = access.secret().unwrap().to_owned();
        assert_eq!(access.enter(key(KEY), Some(&secret)), Ok(()));
        assert!(access.enter(key(KEY), None).is_err());
        assert!(access.enter(key(KEY), Some("abcdefghij0123456789")).is_err());
        let again = Access::new(&Settings::default(), folder.path()).unwrap();
        assert_eq!(again.secret(), Some(secret.as_str()));
        assert!(!format!("{access:?}").contains(&secret));
        std::fs::write(folder.path().join("relay-secret"), "").unwrap();
        assert!(Access::new(&Settings::default(), folder.path()).is_err());
    }

    #[test]
    fn listed_keys_are_admitted_and_the_list_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, format!("# ours\n{KEY} # garage\n\n")).unwrap();
        let settings = Settings { allow_file: Some(file.clone()), ..Settings::default() };
        let access = Access::new(&settings, folder.path()).unwrap();
        assert_eq!(access.secret(), None);
        assert_eq!(access.enter(key(KEY), None), Ok(()));
        assert!(access.enter(key(OTHER), Some("abcdefghij0123456789")).is_err());
        std::fs::write(&file, OTHER).unwrap();
        assert_eq!(access.enter(key(OTHER), None), Ok(()));
        assert!(access.enter(key(KEY), None).is_err());
        std::fs::write(&file, format!("{KEY}\nnonsense")).unwrap();
        assert!(access.enter(key(KEY), None).is_err(), "a list with a mistake admits nobody");
        assert!(Access::new(&settings, folder.path()).is_err());
    }

    #[test]
    fn connections_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings { allow: vec![key(KEY)], connections: Some(1), ..Settings::default() };
        let access = Access::new(&settings, folder.path()).unwrap();
        assert_eq!(access.enter(key(KEY), None), Ok(()));
        assert!(access.enter(key(KEY), None).is_err());
        access.0.connections.fetch_sub(1, Ordering::AcqRel);
        assert_eq!(access.enter(key(KEY), None), Ok(()));
    }
}
