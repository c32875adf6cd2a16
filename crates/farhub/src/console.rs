//! `farhub console`: a machine at the other end of a line.
//!
//! Two ways of speaking: typed at a terminal ([`typed`]), and lines from a pipe ([`piped`]). Both
//! follow what the hub tells of the machine ([`crate::feed`]) and send one line after the other
//! ([`turn`]); the rest has no I/O.

mod heard;
mod keys;
mod line;
mod piped;
mod screen;
mod terminal;
mod turn;
mod typed;

use crate::at::At;
use crate::attach;
use crate::cli::Console;
use crate::client::Client;
use crate::error::Error;
use crate::feed::Feed;
use crate::out::Out;
use hub::view::{Act, Machine};
use serde_json::json;
use std::io::{self, IsTerminal};
use wire::serial::Profile;

pub(crate) async fn console(client: &Client, out: Out, args: Console) -> Result<(), Error> {
    attach::unlock(client, &args.address, args.pin, args.totp.as_ref()).await?;
    let at = At::new(client, &args.address).await?;
    let feed = Feed::open(at.clone()).await?;
    let is_typed = !args.watch && !out.json && io::stdin().is_terminal();
    if is_typed && io::stdout().is_terminal() {
        typed::talk(at, feed).await
    } else if args.watch {
        piped::watch(out, feed).await
    } else {
        piped::talk(at, feed, out, args.wait).await
    }
}

/// Sends a line. What stands in the way is told as the machine shows it.
async fn send(at: &At, line: &str, machine: Option<&Machine>) -> Result<(), Error> {
    let sent = at.client.post_only(&at.machine("/send"), &json!({ "text": line })).await;
    let Err(error) = sent else { return Ok(()) };
    if error.wants_code() {
        let hint = format!("farhub console {} --pin, or --totp CODE", at.address);
        return Err(error.hint(hint));
    }
    let Some(state) = machine.map(|machine| &machine.state).filter(|_| error.hint.is_none()) else {
        return Err(error);
    };
    let address = &at.address;
    let Some(user) = &state.user else {
        let is_stopped = state.stopped.is_some();
        let hint = format!("farhub machine clear {address}");
        return Err(if is_stopped { error.hint(hint) } else { error });
    };
    let here = at.is_attached().await.unwrap_or(false);
    Err(error.hint(if here {
        format!("it is attached here: type it in your program, or farhub detach {address}")
    } else {
        format!("{user} uses it; to watch: farhub console {address} --watch")
    }))
}

async fn act(at: &At, act: &Act) -> Result<(), Error> {
    at.client.post_only(&at.machine("/act"), act).await
}

/// Whether `!`, `~` and `?` are no lines, but done at once.
fn knows_realtime(profile: Profile) -> bool {
    gcode::profile::is_grbl(profile) || profile == Profile::Smoothie
}
