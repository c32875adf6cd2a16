//! A device of this program's own, used here: both ends of a session, with memory between them.
//!
//! The host's side of the session is the same as for a device of a peer, so that the kernel is
//! shown the same care, and nothing has to be proven twice.

use super::{End, Error, run};
use crate::serve;
use crate::{Counters, Device};
use link::{Duplex, Opener};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use wire::SessionId;
use wire::usb::{Attached, Window};

/// Shows `device` to the kernel or the USB/IP client on `socket`, until either lets go.
///
/// # Errors
/// When what is on the socket broke the rules.
pub async fn local(
    socket: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    device: Device,
    counters: Arc<Counters>,
) -> Result<End, Error> {
    let Device { speed, configuration, ref descriptors, .. } = device;
    let window = Window::OFFERED;
    let attached = Attached { session: SessionId(0), speed, configuration, window };
    let descriptors = descriptors.clone();
    let (here, there) = Duplex::pipe(PIPE_BYTES);
    let (streams, endpoints) = mpsc::channel(1);
    let opener = Opener::new(move |endpoint, _| {
        let streams = streams.clone();
        Box::pin(async move {
            let (here, there) = Duplex::pipe(PIPE_BYTES);
            let (rx, tx) = there.framed();
            let sent = streams.send((endpoint, rx.with_urbs(), tx)).await;
            sent.map(|()| here).map_err(|_| io::ErrorKind::BrokenPipe.into())
        })
    });
    let (rx, tx) = there.framed();
    let served = Arc::new(Counters::default());
    let serving = serve::run(device, (rx.with_urbs(), tx), endpoints, window, served);
    let (rx, tx) = here.framed();
    let attaching = run(socket, (attached, descriptors), (rx.with_urbs(), tx), opener, counters);
    let (mut serving, mut attaching) = (std::pin::pin!(serving), std::pin::pin!(attaching));
    tokio::select! {
        end = &mut attaching => end,
        // The device is gone. What it still had to say is on its way.
        served = &mut serving => {
            if let Err(error) = served {
                tracing::debug!("a device of our own: {error}");
            }
            attaching.await
        }
    }
}

/// More than most URBs, of which several may be under way.
const PIPE_BYTES: usize = 256 * 1024;
