//! The use of a peer's device here: as soon as it can be used, again after every interruption,
//! until somebody says otherwise.

use crate::core::{Core, PeerId};
use crate::door::{self, DoorError, Place};
use crate::peers::Peer;
use crate::resuming::Resuming;
use crate::view::{AttachmentState, Factor, Problem, Via};
use crate::{Inner, links};
use anyhow::{Context, Result};
use link::{Duplex, Rx};
use std::sync::Arc;
use std::time::Duration;
use usb::attach::End;
use usb::attach::door::Door;
use usb::attach::usbip::Listener;
use wire::device::{Kind, State};
use wire::usb::{Attached, Down, Up, Window};
use wire::{Device, DeviceId, Open, Priority, Refusal};

/// The answer to an open: the other hub may first have to take the device from its drivers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Between tries, doubling from the first to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

type Key = (PeerId, DeviceId);

/// Runs for as long as the attachment exists.
pub(crate) async fn keep(inner: Arc<Inner>, key: Key) {
    let end = inner.shared.look(|core| core.attachments.get(&key).map(|known| known.end.clone()));
    let Some(end) = end else { return };
    let mut retry = RETRY.0;
    loop {
        let began = std::time::Instant::now();
        let once = async {
            let device = inner.shared.until(|core| usable(core, &key)).await;
            attach(&inner, &key, &device).await
        };
        let result = tokio::select! {
            result = once => result,
            () = end.cancelled() => break,
        };
        match result {
            Ok(End::KernelClosed) => {
                // somebody detached it by the kernel's own means, and meant it
                inner.forget_attachment(&key).await;
                break;
            }
            Ok(End::PeerGone | End::DeviceGone) => note(&inner, &key, None, None),
            Err(error) => {
                tracing::info!(device = %key.1, "not attached: {error:#}");
                note(&inner, &key, Some(problem(&error)), factor(&error));
            }
        }
        if began.elapsed() > RETRY.1 {
            retry = RETRY.0;
        }
        tokio::select! {
            () = tokio::time::sleep(retry), if !asked(&inner, &key) => {
                retry = (retry * 2).min(RETRY.1);
            }
            () = changed(&inner, &key) => retry = RETRY.0,
            () = end.cancelled() => break,
        }
    }
}

/// The device when it can be used now.
fn usable(core: &Core, key: &Key) -> Option<Device> {
    let device = core.peers.get(&key.0)?.shelf.get(&key.1)?;
    (device.state == State::Free).then(|| device.clone())
}

/// Resolves when the device is plugged in or out, or on the shelf again, or when its peer's trust
/// or the door by which it is to come in is another than now. That it is in use is no change: our
/// own try, when it fails, makes it so, and each would be followed by the next at once.
async fn changed(inner: &Inner, key: &Key) {
    let now = |core: &Core| {
        let there = |peer: &Peer| {
            peer.shelf.get(&key.1).is_some_and(|device| device.state != State::Absent)
        };
        let peer = core.peers.get(&key.0).map(|peer| (peer.trusted, there(peer)));
        (peer, core.attachments.get(key).map(|known| (known.via, known.unlocked)))
    };
    let before = inner.shared.look(now);
    inner.shared.until(|core| (now(core) != before).then_some(())).await;
}

/// Attaches once, and stays until that ends.
async fn attach(inner: &Inner, key: &Key, device: &Device) -> Result<End> {
    let Kind::Usb(usb) = &device.kind;
    let (via, counters, trusted) = inner.shared.change(|core| {
        let trusted = core.peers.get(&key.0).is_some_and(|peer| peer.trusted);
        let known = core.attachments.get_mut(key).context("the attachment was ended")?;
        known.name = device.name.clone();
        known.counters = Arc::default();
        known.enter(AttachmentState::Connecting);
        anyhow::Ok((known.via, known.counters.clone(), trusted))
    })?;
    if usb.needs_trust() && !trusted {
        return Err(Trouble::Untrusted.into());
    }
    let way = match via {
        Via::Vhci => Way::Vhci(door::find()?),
        Via::Usbip => Way::Usbip(Listener::bind().await?),
    };
    let connection = inner.links.latest(&key.0).ok_or(Trouble::Offline)?;
    let mut duplex = links::open(&connection, Priority::Control).await?;
    duplex.open(&Open::Device { device: key.1.clone() }).await?;
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, duplex.answered()).await;
    let duplex = answered.map_err(|_| Trouble::Silent)??;
    let mut rx = Rx::<Attached>::new(duplex.reader);
    let first = tokio::time::timeout(ANSWER_TIMEOUT, rx.recv()).await;
    let (mut attached, descriptors) =
        first.map_err(|_| Trouble::Silent)??.ok_or(Trouble::Silent)?;
    // what was shown is what is attached: a device that turned into another is refused
    let Window { urbs, bytes } = Window::OFFERED;
    attached.window.urbs = attached.window.urbs.min(urbs);
    attached.window.bytes = attached.window.bytes.min(bytes);
    let shown = usb::descriptor::parse(&descriptors).map_err(|_| Trouble::Changed)?;
    let same = (shown.vendor_id, shown.product_id) == (usb.vendor_id, usb.product_id)
        && (shown.class, shown.subclass, shown.protocol) == (usb.class, usb.subclass, usb.protocol)
        && shown.interfaces == usb.interfaces;
    if !same {
        return Err(Trouble::Changed.into());
    }
    let grace = inner.grace.of(usb);
    let resuming = Resuming::new((inner, key), attached.session, connection, grace);
    let stream = Duplex { reader: Box::new(rx.into_reader()), writer: duplex.writer };
    let (rx, tx) = resuming.first(stream)?.framed::<Down, Up>();
    let mut streams = (rx.with_urbs(), tx);
    // one for both: a client may come while the session is frozen
    let kept = resuming.keep();
    tokio::pin!(kept);

    let (socket, place) = match way {
        Way::Vhci(door) => door::plug(door, &attached).await?,
        Way::Usbip(listener) => {
            waits_for_client(inner, key, &listener);
            tokio::select! {
                imported = door::imported(listener, &attached, &descriptors) => imported?,
                // nothing was asked yet, so whatever comes is the end
                _ = streams.0.recv() => return Ok(End::DeviceGone),
                end = &mut kept => return end,
            }
        }
    };
    entered(inner, key, &place);
    let socket = (socket.reader, socket.writer);
    let opener = resuming.opener();
    let run = usb::attach::run(socket, (attached, descriptors), streams, opener, counters);
    let nodes = watch_nodes(inner, key, &place);
    let end = tokio::select! {
        end = run => end.map_err(anyhow::Error::from),
        end = &mut kept => end,
        never = nodes => match never {},
    };
    place.gone().await;
    end
}

/// A way in that was found.
enum Way {
    Vhci(Door),
    Usbip(Listener),
}

fn waits_for_client(inner: &Inner, key: &Key, listener: &Listener) {
    inner.shared.change(|core| {
        if let Some(known) = core.attachments.get_mut(key) {
            known.place = Some(listener.command());
        }
    });
}

fn entered(inner: &Inner, key: &Key, place: &Place) {
    inner.shared.change(|core| {
        let Some(known) = core.attachments.get_mut(key) else { return };
        known.enter(AttachmentState::Attached);
        known.place = Some(place.to_string());
        (known.error, known.factor) = (None, None);
    });
}

/// Shows the device nodes that the kernel's drivers make; they come and go for some seconds.
async fn watch_nodes(inner: &Inner, key: &Key, place: &Place) -> std::convert::Infallible {
    let mut wait = Duration::from_millis(100);
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(30));
        let nodes = place.nodes().await;
        let differs = inner
            .shared
            .look(|core| core.attachments.get(key).is_some_and(|known| known.nodes != nodes));
        if differs {
            inner.shared.change(|core| {
                if let Some(known) = core.attachments.get_mut(key) {
                    known.nodes = nodes;
                }
            });
        }
    }
}

/// Whether somebody has to show something first: no use in trying again until then.
fn asked(inner: &Inner, key: &Key) -> bool {
    inner.shared.look(|core| core.attachments.get(key).is_some_and(|one| one.factor.is_some()))
}

fn note(inner: &Inner, key: &Key, error: Option<Problem>, factor: Option<Factor>) {
    inner.shared.change(|core| {
        if let Some(known) = core.attachments.get_mut(key) {
            known.enter(AttachmentState::Waiting);
            (known.error, known.factor) = (error, factor);
        }
    });
}

/// What keeps a device from being attached, other than a refusal or a broken stream.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("it could type or be a network adapter, and the peer is not trusted with that")]
    Untrusted,
    #[error("the peer cannot be reached")]
    Offline,
    #[error("the peer does not answer")]
    Silent,
    #[error("the device is not what the peer said it is")]
    Changed,
}

/// The error as people see it, with what to do.
fn problem(error: &anyhow::Error) -> Problem {
    let hint = match error.downcast_ref::<Trouble>() {
        Some(Trouble::Untrusted) => Some("if you trust it: farhub trust PEER"),
        Some(Trouble::Offline | Trouble::Silent) => Some("see why: farhub path PEER"),
        Some(Trouble::Changed) => Some("look at it on the other hub"),
        None => match error.downcast_ref::<link::Error>() {
            Some(link::Error::Refused(refusal)) => refusal_hint(*refusal),
            Some(_) => None,
            None => error.downcast_ref::<DoorError>().map(|_| "see: farhub doctor"),
        },
    };
    Problem { message: format!("{error:#}"), hint: hint.map(str::to_owned) }
}

/// What the other hub wants to be shown, if that is why it refused.
fn factor(error: &anyhow::Error) -> Option<Factor> {
    match error.downcast_ref() {
        Some(link::Error::Refused(refusal)) => Factor::of(*refusal),
        _ => None,
    }
}

fn refusal_hint(refusal: Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::NotGranted => Some("on the other hub: farhub grant"),
        Refusal::Failed => Some("look at the log of the other hub, or run there: farhub doctor"),
        Refusal::NotUnderstood | Refusal::Unknown(_) => Some("are both hubs of the same version?"),
        Refusal::NeedsPin => Some("farhub attach HUB/NAME --pin"),
        Refusal::NeedsCode => Some("farhub attach HUB/NAME --totp CODE"),
        Refusal::NeedsPinAndCode => Some("farhub attach HUB/NAME --pin --totp CODE"),
        Refusal::TimeUsedUp => Some("it can be used again after ten minutes of rest"),
        Refusal::InUse => Some("ask for it: farhub request HUB/NAME"),
        Refusal::Absent | Refusal::Busy | Refusal::Ticket => None,
        Refusal::Wrong | Refusal::LockedOut => None,
        // of pairings, not of devices
        Refusal::NotNear | Refusal::Declined | Refusal::CodesDiffer | Refusal::NotAnswered => None,
    }
}
