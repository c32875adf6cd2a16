//! `farhub helper`: the part of the service that runs as root, and the only one.

use crate::cli;
use crate::error::Error;
use crate::root::Root;
use crate::service::account::group_id;

/// Where it listens; systemd makes the folder.
pub(crate) const SOCKET: &str = usb::attach::door::HELPER_SOCKET;

/// Runs until it is killed, which leaves nothing behind that matters: ports stay plugged.
pub(crate) fn helper(args: &cli::Helper) -> Result<(), Error> {
    let group = group_id(&Root("/".into()), &args.group).ok_or_else(|| {
        Error::failed(format!("there is no group {}", args.group))
            .hint("make it with: sudo farhub service install")
    })?;
    crate::up::tell("info")?;
    match usb::attach::helper::helper(&args.socket, Some(group)) {
        Ok(never) => match never {},
        Err(error) => Err(Error::failed(format!("{}: {error}", args.socket.display()))),
    }
}
