//! The tiny root helper: plugs sockets of its users into `vhci_hcd`, and nothing else.
//!
//! A unix socket of whole messages (`SOCK_SEQPACKET`), one request and one answer for each
//! connection, in words:
//!
//! | request | with | answer |
//! |---|---|---|
//! | `attach SPEED` | the kernel's end of a socketpair, `SCM_RIGHTS` | `ok PORT DEVID` |
//! | `detach PORT DEVID` | | `ok` |
//!
//! or `error` and what happened. Who may connect is decided by the group of the socket file. A
//! user may attach only sockets of their own and detach only what they attached.

use super::vhci::{Error, Plugged, Vhci};
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use wire::usb::Speed;

/// Serves requests on `socket` for ever; members of `group` may connect, and root.
///
/// # Errors
/// When the socket can't be made.
pub fn helper(socket: &Path, group: Option<u32>) -> io::Result<Infallible> {
    let listener = listen(socket, group)?;
    let mut helper = Helper { sysfs: "/sys".as_ref(), plugged: HashMap::new() };
    loop {
        match rustix::net::accept_with(&listener, SocketFlags::CLOEXEC) {
            Ok(connection) => helper.serve(&connection),
            Err(error) => {
                tracing::warn!("accepting: {error}");
                std::thread::sleep(PATIENCE); // out of descriptors: others give some back
            }
        }
    }
}

fn listen(path: &Path, group: Option<u32>) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = seqpacket()?;
    // 0660 from the first moment on.
    let before = rustix::process::umask(Mode::from_raw_mode(0o117));
    let bound = rustix::net::bind(&listener, &SocketAddrUnix::new(path)?);
    rustix::process::umask(before);
    bound?;
    std::os::unix::fs::chown(path, None, group)?;
    rustix::net::listen(&listener, 16)?;
    Ok(listener)
}

fn seqpacket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

struct Helper<'a> {
    sysfs: &'a Path,
    /// By port: whose it is.
    plugged: HashMap<u32, (u32, Plugged)>,
}

impl Helper<'_> {
    fn serve(&mut self, connection: &OwnedFd) {
        let answer = match self.answer(connection) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::info!("refused: {error}");
                format!("error {error}")
            }
        };
        let answer = &answer.as_bytes()[..answer.len().min(MESSAGE_BYTES_MAX)];
        // A user who doesn't wait for the answer doesn't get it.
        let _ = rustix::net::send(connection, answer, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    fn answer(&mut self, connection: &OwnedFd) -> Result<String, Error> {
        let failed = || Error::io("reading the request");
        let patience = sockopt::Timeout::Recv;
        sockopt::set_socket_timeout(connection, patience, Some(PATIENCE))
            .map_err(|error| failed()(error.into()))?;
        let uid = owner(connection.as_fd()).map_err(failed())?;
        let (request, socket) = receive(connection).map_err(failed())?;
        let words: Vec<&str> = request.split(' ').collect();
        match (&words[..], socket) {
            (["attach", speed], Some(socket)) => {
                let speed = speed.parse().ok().and_then(speed_of).ok_or_else(malformed)?;
                self.attach(uid, &socket, speed)
            }
            (["detach", port, devid], None) => {
                let port = port.parse().map_err(|_| malformed())?;
                let devid = devid.parse().map_err(|_| malformed())?;
                self.detach(uid, Plugged { port, devid })
            }
            _ => Err(malformed()),
        }
    }

    fn attach(&mut self, uid: u32, socket: &OwnedFd, speed: Speed) -> Result<String, Error> {
        let failed = || Error::io("looking at the socket");
        let domain = sockopt::socket_domain(socket).map_err(|error| failed()(error.into()))?;
        let kind = sockopt::socket_type(socket).map_err(|error| failed()(error.into()))?;
        let theirs = owner(socket.as_fd()).map_err(failed())? == uid;
        if domain != AddressFamily::UNIX || kind != SocketType::STREAM || !theirs {
            return Err(Error::Refused("not a unix stream socket of yours".to_owned()));
        }
        let plugged = Vhci::open(self.sysfs)?.attach(socket.as_fd(), speed)?;
        self.plugged.insert(plugged.port, (uid, plugged));
        Ok(format!("ok {} {}", plugged.port, plugged.devid))
    }

    fn detach(&mut self, uid: u32, plugged: Plugged) -> Result<String, Error> {
        if self.plugged.get(&plugged.port) != Some(&(uid, plugged)) {
            return Err(Error::NotOurs(plugged.port));
        }
        Vhci::open(self.sysfs)?.detach(plugged)?;
        self.plugged.remove(&plugged.port);
        Ok("ok".to_owned())
    }
}

/// `SO_PEERCRED`: whoever connected, or made the pair.
fn owner(socket: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(sockopt::socket_peercred(socket)?.uid.as_raw())
}

fn malformed() -> Error {
    Error::Refused("a request that is none".to_owned())
}

fn speed_of(code: u32) -> Option<Speed> {
    let speeds = [Speed::Low, Speed::Full, Speed::High, Speed::Super, Speed::SuperPlus];
    speeds.into_iter().find(|speed| speed.code() == code)
}

/// One message, and the descriptor that came with it. Further ones are closed.
fn receive(connection: &OwnedFd) -> io::Result<(String, Option<OwnedFd>)> {
    let mut bytes = [0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(connection, &mut slices, &mut control, flags)?;
    let mut descriptor = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.last();
        }
    }
    Ok((String::from_utf8_lossy(&bytes[..received.bytes]).into_owned(), descriptor))
}

/// The user's side: plugs the kernel's end of a socketpair in.
pub(super) fn attach(
    helper: &Path,
    socket: BorrowedFd<'_>,
    speed: Speed,
) -> Result<Plugged, Error> {
    let answer = ask(helper, &format!("attach {}", speed.code()), Some(socket))?;
    let numbers: Vec<u32> = answer.split(' ').flat_map(str::parse).collect();
    match numbers[..] {
        [port, devid] => Ok(Plugged { port, devid }),
        _ => Err(Error::Refused(format!("an answer that is none: {answer}"))),
    }
}

/// The user's side: pulls a device out.
pub(super) fn detach(helper: &Path, plugged: Plugged) -> Result<(), Error> {
    ask(helper, &format!("detach {} {}", plugged.port, plugged.devid), None).map(drop)
}

fn ask(helper: &Path, request: &str, socket: Option<BorrowedFd<'_>>) -> Result<String, Error> {
    let connection = connect(helper).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Error::NotInGroup(helper.to_owned()),
        _ => Error::NoHelper(error),
    })?;
    let answer = exchange(&connection, request, socket).map_err(Error::io("asking the helper"))?;
    match answer.split_once(' ').unwrap_or((&answer, "")) {
        ("ok", rest) => Ok(rest.to_owned()),
        ("error", why) => Err(Error::Refused(why.to_owned())),
        _ => Err(Error::Refused(format!("an answer that is none: {answer}"))),
    }
}

fn connect(helper: &Path) -> io::Result<OwnedFd> {
    let connection = seqpacket()?;
    rustix::net::connect(&connection, &SocketAddrUnix::new(helper)?)?;
    sockopt::set_socket_timeout(&connection, sockopt::Timeout::Recv, Some(ANSWER))?;
    Ok(connection)
}

fn exchange(
    connection: &OwnedFd,
    request: &str,
    socket: Option<BorrowedFd<'_>>,
) -> io::Result<String> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets: Vec<BorrowedFd<'_>> = socket.into_iter().collect();
    if !sockets.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&sockets));
    }
    let slices = [IoSlice::new(request.as_bytes())];
    rustix::net::sendmsg(connection, &slices, &mut control, SendFlags::NOSIGNAL)?;
    Ok(receive(connection)?.0)
}

/// The longest message; an error's text is cut.
const MESSAGE_BYTES_MAX: usize = 512;
/// How long the answer may take: the helper may have to load the module first.
const ANSWER: Duration = Duration::from_secs(10);
/// How long one user may keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::vhci::tests::{tree, written};
    use super::*;
    use std::os::unix::net::UnixStream;

    fn round<T>(helper: &mut Helper<'_>, ask: impl FnOnce(OwnedFd) -> T) -> T {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (here, there) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| helper.serve(&there));
            ask(here)
        })
    }

    fn say(helper: &mut Helper<'_>, request: &str, socket: Option<BorrowedFd<'_>>) -> String {
        round(helper, |here| exchange(&here, request, socket).unwrap())
    }

    #[test]
    fn attaches_and_detaches_for_its_user() {
        let root = tree(&[("status", "hs  0002 004 000 00000000 000000 0-0\n")]);
        let mut helper = Helper { sysfs: root.path(), plugged: HashMap::new() };
        let (socket, _kept) = UnixStream::pair().unwrap();
        let answer = say(&mut helper, "attach 3", Some(socket.as_fd()));
        let devid = answer.strip_prefix("ok 2 ").expect("attached to port 2").to_owned();
        assert!(written(root.path(), "attach").starts_with("2 "));
        let wrong = say(&mut helper, "detach 2 77", None);
        assert_eq!(wrong, "error port 2 is not ours");
        helper.plugged.get_mut(&2).unwrap().0 += 1; // of another user
        let request = format!("detach 2 {devid}");
        assert_eq!(say(&mut helper, &request, None), "error port 2 is not ours");
        helper.plugged.get_mut(&2).unwrap().0 -= 1;
        assert_eq!(say(&mut helper, &request, None), "ok");
    }

    #[test]
    fn only_unix_stream_sockets_go_to_the_kernel() {
        let root = tree(&[("status", "hs  0002 004 000 00000000 000000 0-0\n")]);
        let mut helper = Helper { sysfs: root.path(), plugged: HashMap::new() };
        let file = std::fs::File::open("/dev/null").unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (datagram, _kept) = std::os::unix::net::UnixDatagram::pair().unwrap();
        for socket in [file.as_fd(), tcp.as_fd(), datagram.as_fd()] {
            assert!(say(&mut helper, "attach 3", Some(socket)).starts_with("error "));
        }
        assert_eq!(written(root.path(), "attach"), "");
    }

    #[test]
    fn nonsense_is_refused() {
        let root = tree(&[("status", "hs  0002 004 000 00000000 000000 0-0\n")]);
        let mut helper = Helper { sysfs: root.path(), plugged: HashMap::new() };
        let (socket, _kept) = UnixStream::pair().unwrap();
        for request in ["attach", "attach 4", "attach x", "detach 1", "detach -1 2", "\u{0}", "x"] {
            for socket in [None, Some(socket.as_fd())] {
                let answer = say(&mut helper, request, socket);
                assert!(answer.starts_with("error "), "{request}: {answer}");
            }
        }
        assert!(say(&mut helper, "attach 3", None).starts_with("error "));
        round(&mut helper, drop); // a user who says nothing
    }

    #[test]
    fn the_socket_is_for_its_group_and_replaces_an_old_one() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("helper.sock");
        for _ in 0..2 {
            let _listener = listen(&path, None).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        }
        assert!(connect(&path).is_err());
    }
}
