//! A TCP port for programs that connect to one: each connection is a door.
//!
//! [`Speech::Raw`] is bytes and nothing else: nothing is added when a program connects, and
//! telnet's commands mean nothing. It is also what programs call "GRBL over TCP", on port 23 when
//! they are not told otherwise.
//!
//! Whoever can connect can use the port: the address should be of this computer only, unless
//! somebody has asked for more.

use super::stream::{self, serve};
use super::{Door, Program};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    Raw,
    Rfc2217,
}

/// Makes a door of every connection, until the session takes no more of them.
/// Dropping the future ends the connections.
///
/// # Errors
/// When the listener fails for good.
pub async fn listen(
    listener: TcpListener,
    speech: Speech,
    doors: mpsc::Sender<Door>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                match accepted {
                    Ok((stream, _)) => {
                        let (door, program) = Door::new();
                        if doors.send(door).await.is_err() {
                            return Ok(());
                        }
                        connections.spawn(connection(stream, speech, program));
                    }
                    // The connection was gone again before we got it.
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            Some(_) = connections.join_next() => {}
            () = doors.closed() => return Ok(()),
        }
    }
}

async fn connection(mut stream: TcpStream, speech: Speech, program: Program) {
    // A program whose computer is gone must not keep the writer's place.
    let keepalive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE / 4).with_retries(4);
    let set = stream.set_nodelay(true).and(SockRef::from(&stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = set {
        tracing::debug!("a program's connection: {error}");
    }
    let speech = match speech {
        Speech::Raw => stream::Speech::Raw,
        Speech::Rfc2217 => stream::Speech::Telnet(Box::default()),
    };
    let (reader, writer) = stream.split();
    serve(reader, writer, speech, program).await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Programs at one port; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 32;
/// After so long without a sign of life a program's computer is asked for one.
const ALIVE: Duration = Duration::from_secs(20);
