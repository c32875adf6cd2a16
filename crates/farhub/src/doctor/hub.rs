//! The hub: its folder, its key, its settings, and whether it runs.

use super::{Area, Finding, In};
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::peers::unreadable;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

const HUB: In = In(Area::Hub);

pub(super) async fn look(
    client: &Client,
    data: &Path,
    config: Result<&Config, &Error>,
) -> Vec<Finding> {
    let mut findings = vec![folder(data)];
    findings.extend(key(&data.join("key")));
    findings.extend(database(&data.join("farhub.db")));
    if let Err(error) = config {
        findings.push(HUB.fail(&error.message, "correct the file: the hub does not start with it"));
    }
    findings.push(running(client).await);
    findings.extend(grants(client).await);
    findings.push(clock(SystemTime::now()));
    findings
}

/// Whoever can write there can become this hub.
fn folder(data: &Path) -> Finding {
    let shown = data.display();
    match data.metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            HUB.ok(format!("there is no data folder yet; `farhub up` makes {shown}"))
        }
        Err(e) => HUB.fail(
            format!("the data folder {shown} cannot be read: {e}"),
            "sudo farhub doctor, or log in as the user who runs the hub",
        ),
        Ok(is) if is.permissions().mode() & 0o022 != 0 => HUB.fail(
            format!("others can write in the data folder {shown}"),
            format!("chmod go-w {shown}"),
        ),
        Ok(_) => HUB.ok(format!("the data folder is {shown}")),
    }
}

/// Whoever can read it can become this hub.
fn key(key: &Path) -> Option<Finding> {
    let shown = key.display();
    let is = key.metadata().ok()?;
    Some(if is.permissions().mode() & 0o077 != 0 {
        HUB.fail(format!("the key can be read by others: {shown}"), format!("chmod 600 {shown}"))
    } else if is.size() == 0 {
        let fix = format!("rm {shown}, then pair this hub with its peers again");
        HUB.fail(format!("the key is empty: {shown}"), fix)
    } else {
        HUB.ok("only the hub's own user can read its key")
    })
}

/// It holds the secrets of second factors. The hub closes it at its next start.
fn database(file: &Path) -> Option<Finding> {
    let shown = file.display();
    let open = file.metadata().ok()?.permissions().mode() & 0o077 != 0;
    let fix = format!("chmod 600 {shown}*");
    open.then(|| HUB.fail(format!("the database can be read by others: {shown}"), fix))
}

async fn running(client: &Client) -> Finding {
    match client.state().await {
        Ok(state) if state.hub.version == env!("CARGO_PKG_VERSION") => {
            HUB.ok(format!("the hub {} is running", state.hub.name))
        }
        Ok(state) => HUB.warn(
            format!(
                "the hub {} is running as version {}, this is {}",
                state.hub.name,
                state.hub.version,
                env!("CARGO_PKG_VERSION")
            ),
            "sudo systemctl restart farhub, or end `farhub up` and start it again",
        ),
        Err(error) if error.exit == Exit::NotRunning => {
            HUB.warn("the hub is not running", error.hint.unwrap_or_default())
        }
        Err(error) => HUB.fail(error.message, error.hint.unwrap_or("farhub up".into())),
    }
}

/// A row that cannot be read, of a newer version or damaged, grants nothing.
async fn grants(client: &Client) -> Option<Finding> {
    let state = client.state().await.ok()?;
    let peer = state.peers.iter().find(|peer| peer.unreadable > 0)?;
    let fix = format!("farhub revoke {}, then grant it anew", peer.name);
    Some(HUB.fail(unreadable(peer), fix))
}

/// Tickets expire by the clock, and the audit log tells times.
fn clock(now: SystemTime) -> Finding {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since_1970 < MADE {
        HUB.fail("the clock is years behind", "sudo timedatectl set-ntp true")
    } else {
        HUB.ok("the clock is plausible")
    }
}

/// 2026-01-01: no farhub is older.
const MADE: Duration = Duration::from_secs(1_767_225_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use std::fs::{self, Permissions};

    #[test]
    fn a_key_that_others_can_read_must_be_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert_eq!(key(&path), None);
        fs::write(&path, "00").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(key(&path).unwrap().fix, Some(format!("chmod 600 {}", path.display())));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&path).unwrap().verdict, Verdict::Ok);
    }

    #[test]
    fn a_database_that_others_can_read_must_be_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("farhub.db");
        assert_eq!(database(&path), None);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(database(&path).unwrap().verdict, Verdict::Fail);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(database(&path), None);
    }

    #[test]
    fn a_folder_that_others_can_write_must_be_mended() {
        let parent = tempfile::tempdir().unwrap();
        assert_eq!(folder(&parent.path().join("none")).verdict, Verdict::Ok);
        fs::set_permissions(parent.path(), Permissions::from_mode(0o770)).unwrap();
        assert_eq!(folder(parent.path()).verdict, Verdict::Fail);
        fs::set_permissions(parent.path(), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(folder(parent.path()).verdict, Verdict::Ok);
    }

    #[test]
    fn a_clock_that_stands_at_1970_must_be_mended() {
        assert_eq!(clock(SystemTime::UNIX_EPOCH).verdict, Verdict::Fail);
        assert_eq!(clock(SystemTime::UNIX_EPOCH + MADE).verdict, Verdict::Ok);
    }
}
