//! `farhub helper`: the part of the service that runs as root, and the only one.

use crate::cli;
use crate::error::Error;

/// Where it listens; systemd makes the folder.
pub(crate) const SOCKET: &str = "/run/farhub/helper.sock";

/// Runs until SIGTERM.
pub(crate) async fn helper(args: cli::Helper) -> Result<(), Error> {
    let cli::Helper { socket, group } = args;
    // usb::attach::helper::helper(&socket, &group)
    Err(Error::failed(format!("no helper for {group} at {}", socket.display())))
}
