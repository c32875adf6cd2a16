//! A relay that changes what it carries: a proxy before a real one that speaks without TLS. Bytes
//! are counted from the start of each connection and way, so none of the greeting is changed.

use anyhow::Result;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Passes on, both ways, for every connection; a line for each byte that was changed.
pub(crate) fn corrupt(address: &str, relay: &str) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("ready");
    for near in listener.incoming() {
        let (near, far) = (near?, TcpStream::connect(relay)?);
        for end in [&near, &far] {
            end.set_nodelay(true)?;
        }
        let (back_from, back_to) = (far.try_clone()?, near.try_clone()?);
        thread::spawn(move || pass(near, far));
        thread::spawn(move || pass(back_from, back_to));
    }
    Ok(())
}

/// What is broken off ends the other way too.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let (mut chunk, mut passed) = (vec![0; 64 << 10], 0);
    while let Ok(bytes @ 1..) = from.read(&mut chunk) {
        let next = (passed / EVERY_BYTES + 1) * EVERY_BYTES;
        if next < passed + bytes {
            chunk[next - passed] ^= 1;
            println!("changed byte {next}");
        }
        passed += bytes;
        if to.write_all(&chunk[..bytes]).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // gone already, or gone now
        let _ = end.shutdown(std::net::Shutdown::Both);
    }
}

/// One byte in so many: beyond the greeting, and often enough to matter.
const EVERY_BYTES: usize = 100_003;
