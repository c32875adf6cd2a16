//! `farhub printer set`: what its owner says of a printer, one thing at a time.

use super::{Place, adding};
use crate::cli::printers::Set;
use crate::client::Client;
use crate::error::Error;
use crate::out::Out;
use crate::secret;
use hub::fleet::view::{Printer, PrinterChange, Settings};

pub(super) async fn set(client: &Client, out: Out, args: Set) -> Result<(), Error> {
    let at = Place::of(client, &args.one.printer).await?;
    let before = at.printer().await?;
    let secret = match &args.login.secret_file {
        Some(file) => Some(adding::of_file(file)?),
        None if args.secret => Some(secret::read(adding::prompt(before.protocol))?),
        None => None,
    };
    let change = change(args, &before, secret);
    if change == PrinterChange::default() {
        eprintln!("Nothing was named, and nothing was changed: farhub printer set --help");
    }
    let now: Printer = at.client.patch(&at.path(""), &change).await?;
    if out.json {
        return out.document(&now);
    }
    eprintln!("{} is set.", at.shown);
    Ok(())
}

fn change(args: Set, before: &Printer, secret: Option<String>) -> PrinterChange {
    let settings = Settings {
        keep_from_queue: args.queue.map_or(before.settings.keep_from_queue, |queue| !queue),
        clears_itself: args.clears_itself.unwrap_or(before.settings.clears_itself),
    };
    // "" takes the last one away
    let tags = (!args.tag.is_empty())
        .then(|| args.tag.into_iter().filter(|tag| !tag.is_empty()).collect());
    PrinterChange {
        title: args.title,
        host: args.host,
        port: args.login.port,
        files_port: args.login.files_port,
        tls: args.tls,
        serial_number: args.login.serial,
        user: args.login.user,
        secret,
        forget_pin: args.forget_pin,
        model: args.model,
        location: args.location,
        tags,
        enabled: args.enabled,
        settings: (settings != before.settings).then_some(settings),
    }
}
