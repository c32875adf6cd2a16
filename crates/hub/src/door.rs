//! The doors by which a device comes in.
use tokio::net::UnixStream;
#[derive(Debug, thiserror::Error)]
#[error("no door")]
pub(crate) struct DoorError;
pub(crate) struct Place;
impl Place {
    pub(crate) fn nodes(&self) -> Vec<String> {
        vec![]
    }
    pub(crate) async fn gone(self) {}
}
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("x")
    }
}
pub(crate) type Socket = (tokio::net::unix::OwnedReadHalf, tokio::net::unix::OwnedWriteHalf);
pub(crate) async fn vhci(_: &wire::usb::Attached) -> Result<(Socket, Place), DoorError> {
    Err(DoorError)
}
pub(crate) struct Offer;
impl Offer {
    pub(crate) fn command(&self) -> String {
        String::new()
    }
    pub(crate) async fn accept(self) -> Result<(Socket, Place), DoorError> {
        let _ = UnixStream::pair();
        Err(DoorError)
    }
}
pub(crate) async fn offer(
    _: &wire::device::Usb,
    _: &wire::usb::Attached,
) -> Result<Offer, DoorError> {
    Err(DoorError)
}
