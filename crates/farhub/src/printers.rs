//! `farhub printer`: 3D printers of this hub and of its peers.

mod adding;
mod feed;
mod files;
mod jobs;
mod list;
mod notices;
mod orders;
mod place;
mod queue;
mod setting;
mod show;
mod words;

use crate::cli::printers::Printer;
use crate::client::Client;
use crate::error::Error;
use crate::out::Out;
use place::Place;
use printer::{Command, Start};
use serde_json::json;

pub(crate) async fn printer(client: &Client, out: Out, action: Printer) -> Result<(), Error> {
    let order = match action {
        Printer::List { watch: true } => return list::watch(client, out).await,
        Printer::List { watch: false } => return list::list(client, out).await,
        Printer::Seen { seconds } => return list::seen(client, out, seconds).await,
        Printer::Add(args) => return adding::add(client, out, *args).await,
        Printer::Test(one) => return adding::test(client, out, &one.printer).await,
        Printer::Show { one, watch: true } => return show::watch(client, out, &one.printer).await,
        Printer::Show { one, watch: false } => return show::once(client, out, &one.printer).await,
        Printer::Set(args) => return setting::set(client, out, *args).await,
        Printer::Remove(one) => {
            let at = Place::of(client, &one.printer).await?;
            at.client.delete(&at.path("")).await?;
            eprintln!("{} is forgotten here. Its jobs and files stay.", one.printer);
            return Ok(());
        }
        Printer::BedClear(one) => return orders::bed_clear(client, out, &one.printer).await,
        Printer::Files { one, refresh, search } => {
            let at = Place::of(client, &one.printer).await?;
            return files::list(&at, out, refresh, &search).await;
        }
        Printer::Send { one, file, start } => {
            let at = Place::of(client, &one.printer).await?;
            return files::send(&at, out, &file, start).await;
        }
        Printer::Fetch { one, path, to } => {
            let at = Place::of(client, &one.printer).await?;
            return files::fetch(&at, out, &path, to).await;
        }
        Printer::Jobs(args) => return jobs::jobs(client, out, args).await,
        Printer::Queue(action) => return queue::queue(client, out, action).await,
        Printer::Notices(action) => return notices::notices(client, out, action).await,
        Printer::Start { one, path, plate } => {
            let path = files::path_of(&Place::of(client, &one.printer).await?, path).await?;
            (one, Command::Start(Box::new(Start { path, plate, ..Start::default() })))
        }
        Printer::Pause(one) => (one, Command::Pause),
        Printer::Resume(one) => (one, Command::Resume),
        Printer::Stop(one) => (one, Command::Stop),
        Printer::Clear(one) => (one, Command::Clear),
        Printer::Light { one, on } => (one, Command::Light { on }),
        Printer::Speed { one, percent } => (one, Command::Speed { percent }),
        Printer::Heat { one, heater, target_c } => (one, Command::Temperature { heater, target_c }),
        Printer::Gcode { one, lines } => (one, Command::Gcode { lines: lines.join("\n") }),
    };
    let (one, command) = order;
    let at = Place::of(client, &one.printer).await?;
    at.client.post_only(&at.path("/command"), &json!({ "command": command })).await?;
    if !out.json {
        eprintln!("{} {}", one.printer, orders::done(&command));
    }
    Ok(())
}
