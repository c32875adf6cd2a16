//! A USB device of a peer, by the kernel's ports or by USB/IP.

use super::{Key, begun, entered, set_nodes, told};
use crate::Inner;
use crate::attaching::trouble::Trouble;
use crate::door::{self, Place};
use crate::resuming::Resuming;
use crate::view::Via;
use ::usb::Counters;
use ::usb::attach::End;
use ::usb::attach::door::Door;
use ::usb::attach::usbip::Listener;
use ::usb::pdu::op::Record;
use anyhow::Result;
use link::{Duplex, Rx};
use std::sync::Arc;
use std::time::Duration;
use wire::device::{Kind, Usb};
use wire::usb::{Attached, Down, Up, Window};

/// Attaches once, and stays until that ends.
pub(super) async fn attach(
    inner: &Inner,
    key: &Key,
    usb: &Usb,
    via: &Via,
    counters: Arc<Counters>,
) -> Result<End> {
    let way = Way::find(via).await?;
    let (connection, duplex) = begun(inner, key).await?;
    let mut rx = Rx::<Attached>::new(duplex.reader);
    let (mut attached, descriptors) = told(&mut rx).await?;
    // what was shown is what is attached: a device that turned into another is refused
    let Window { urbs, bytes } = Window::OFFERED;
    attached.window.urbs = attached.window.urbs.min(urbs);
    attached.window.bytes = attached.window.bytes.min(bytes);
    let shown = ::usb::descriptor::parse(&descriptors).map_err(|_| Trouble::Changed)?;
    let same = (shown.vendor_id, shown.product_id) == (usb.vendor_id, usb.product_id)
        && (shown.class, shown.subclass, shown.protocol) == (usb.class, usb.subclass, usb.protocol)
        && shown.interfaces == usb.interfaces;
    if !same {
        return Err(Trouble::Changed.into());
    }
    let grace = inner.grace.of(&Kind::Usb(usb.clone()));
    let resuming = Resuming::new((inner, key), attached.session, connection, grace);
    let stream = Duplex { reader: Box::new(rx.into_reader()), writer: duplex.writer };
    let (rx, tx) = resuming.first(stream)?.framed::<Down, Up>();
    let mut streams = (rx.with_urbs(), tx);
    // one for both: a client may come while the session is frozen
    let kept = resuming.keep();
    tokio::pin!(kept);

    let (socket, place) = match way {
        Way::Vhci(door) => door::plug(door, attached.speed).await?,
        Way::Usbip(listener) => {
            waits_for_client(inner, key, &listener);
            let Attached { speed, configuration, .. } = attached;
            let record = Record::from_descriptors(&descriptors, speed, configuration);
            tokio::select! {
                imported = door::imported(listener, record) => imported?,
                // nothing was asked yet, so whatever comes is the end
                _ = streams.0.recv() => return Ok(End::DeviceGone),
                end = &mut kept => return end,
            }
        }
    };
    entered(inner, key, &place);
    let socket = (socket.reader, socket.writer);
    let opener = resuming.opener();
    let run = ::usb::attach::run(socket, (attached, descriptors), streams, opener, counters);
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
pub(super) enum Way {
    Vhci(Door),
    Usbip(Listener),
}

impl Way {
    /// Before the other hub takes the device from its drivers.
    pub(super) async fn find(via: &Via) -> Result<Self> {
        Ok(match via {
            Via::Vhci => Self::Vhci(door::find()?),
            Via::Usbip => Self::Usbip(Listener::bind().await?),
            Via::Port(_) => return Err(Trouble::NotSerial.into()),
        })
    }
}

pub(super) fn waits_for_client(inner: &Inner, key: &Key, listener: &Listener) {
    inner.shared.change(|core| {
        if let Some(known) = core.attachments.get_mut(key) {
            known.place = Some(listener.command());
        }
    });
}

/// Shows the device nodes that the kernel's drivers make; they come and go for some seconds.
pub(super) async fn watch_nodes(
    inner: &Inner,
    key: &Key,
    place: &Place,
) -> std::convert::Infallible {
    let mut wait = Duration::from_millis(100);
    loop {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(30));
        let nodes = place.nodes().await;
        set_nodes(inner, key, nodes);
    }
}
