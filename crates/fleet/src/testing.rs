//! A fleet for unit tests.

use crate::{Config, Finding, Fleet, Mdns};
use std::path::Path;
use store::Shop;
use store::shop::SecretKey;

pub(crate) const KEY: [u8; 32] = [7; 32];

/// A fleet in a data folder, with the secrets under a key, that looks for no printers.
pub(crate) async fn begin(data: &Path, key: [u8; 32]) -> Fleet {
    let shop = Shop::open(&data.join("shop.db"), SecretKey::new(key)).await.unwrap();
    let discovery = Finding { ssdp_ports: vec![], ask: vec![], mdns: Mdns::Off };
    let config = Config { data: data.to_owned(), shop, hub: "test".to_owned(), discovery };
    Fleet::start(config).await.unwrap()
}
