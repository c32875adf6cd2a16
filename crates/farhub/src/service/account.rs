//! The system user that the hub of the service runs as, and what it may do.

use crate::root::Root;
use crate::service::units;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    /// The name of its own group.
    pub group: String,
    uid: u32,
    gids: Vec<u32>,
    comment: String,
}

impl Account {
    /// Of the service that is installed, if one is.
    pub(crate) fn of_service(root: &Root) -> Option<Self> {
        let unit = root.text(units::HUB)?;
        Self::find(root, unit.lines().find_map(|line| line.strip_prefix("User="))?)
    }

    /// passwd(5), group(5)
    pub(crate) fn find(root: &Root, name: &str) -> Option<Self> {
        let passwd = root.text("/etc/passwd")?;
        let fields: Vec<&str> = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&name))?;
        let [_, _, uid, gid, comment, ..] = fields.as_slice() else { return None };
        let (uid, gid): (u32, u32) = (uid.parse().ok()?, gid.parse().ok()?);
        let groups = root.text("/etc/group").unwrap_or_default();
        let (mut gids, mut group) = (vec![gid], gid.to_string());
        for line in groups.lines() {
            let [known, _, number, members] = line.split(':').collect::<Vec<_>>()[..] else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            if number == gid {
                known.clone_into(&mut group);
            }
            if members.split(',').any(|member| member == name) {
                gids.push(number);
            }
        }
        Some(Self { name: name.to_owned(), group, uid, gids, comment: (*comment).to_owned() })
    }

    /// Whether a file's owner, group and mode let it read and write.
    pub(crate) fn may_write(&self, uid: u32, gid: u32, mode: u32) -> bool {
        self.may(0o6, uid, gid, mode)
    }

    /// Whether they let it read.
    pub(crate) fn may_read(&self, uid: u32, gid: u32, mode: u32) -> bool {
        self.may(0o4, uid, gid, mode)
    }

    fn may(&self, what: u32, uid: u32, gid: u32, mode: u32) -> bool {
        let bits = match (self.uid, self.gids.contains(&gid)) {
            (0, _) => what,
            (own, _) if own == uid => mode >> 6,
            (_, true) => mode >> 3,
            (_, false) => mode,
        };
        bits & what == what
    }

    /// Whether `farhub service install` made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.comment == COMMENT
    }
}

pub(crate) fn group_exists(root: &Root, name: &str) -> bool {
    group_id(root, name).is_some()
}

pub(crate) fn group_id(root: &Root, name: &str) -> Option<u32> {
    let groups = root.text("/etc/group").unwrap_or_default();
    let mut entries = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|entry| entry.first() == Some(&name))?;
    entry.get(2)?.parse().ok()
}

/// The group that serial ports belong to: of Debian, Fedora and their kin, or of Arch.
pub(crate) fn ports_group(root: &Root) -> Option<&'static str> {
    ["dialout", "uucp"].into_iter().find(|name| group_exists(root, name))
}

/// In the user's entry, so that uninstall knows it again.
pub(crate) const COMMENT: &str = "farhub service";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::tree;

    #[test]
    fn an_account_has_its_own_group_and_others() {
        let (_folder, root) = tree(&[
            ("/etc/passwd", "root:x:0:0::/:/bin/sh\nme:x:7:8:farhub service:/:/bin/false\n"),
            ("/etc/group", "root:x:0:\nus:x:8:\nplugdev:x:46:you,me\nfew:x\n"),
        ]);
        let me = Account::find(&root, "me").unwrap();
        assert_eq!((me.group.as_str(), me.gids.as_slice()), ("us", &[8, 46][..]));
        assert!(me.is_ours() && !Account::find(&root, "root").unwrap().is_ours());
        assert_eq!(Account::find(&root, "you"), None);
    }

    #[test]
    fn permission_is_that_of_the_first_class_that_fits() {
        let (_folder, root) = tree(&[("/etc/passwd", "me:x:7:8::/:/bin/false\n")]);
        let me = Account::find(&root, "me").unwrap();
        assert!(me.may_write(0, 8, 0o660));
        assert!(me.may_write(7, 0, 0o600));
        assert!(!me.may_write(7, 8, 0o466), "the owner's bits come first");
        assert!(!me.may_write(0, 0, 0o664) && me.may_read(0, 0, 0o664));
    }
}
