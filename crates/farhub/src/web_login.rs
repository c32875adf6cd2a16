//! `farhub web`: the password of the web UI, how it is offered, and who is logged in.

use crate::cli;
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::invite::second;
use crate::out::Out;
use crate::secret;
use crate::table::{Cell, Table, Tone};
use hub::Failure;
use hub::view::{NewPassword, WebSession, WebStatus};
use rustix::process::geteuid;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(crate) async fn web(
    client: &Client,
    out: Out,
    action: cli::Web,
    folder: &Path,
) -> Result<(), Error> {
    match action {
        cli::Web::Password => password(client, out, folder).await,
        cli::Web::Status => status(client, out).await,
        cli::Web::Sessions(cli::WebSessions { end: Some(id), .. }) => {
            client.delete(&format!("/web/sessions/{}", encode(&id))).await?;
            eprintln!("The session {id} has ended.");
            Ok(())
        }
        cli::Web::Sessions(cli::WebSessions { all: true, .. }) => {
            client.delete("/web/sessions").await?;
            eprintln!("Everybody is logged out.");
            Ok(())
        }
        cli::Web::Sessions(cli::WebSessions { .. }) => sessions(client, out).await,
    }
}

/// Asks the hub, or where none is running writes it down for the next start: without a password
/// it may not start.
async fn password(client: &Client, out: Out, folder: &Path) -> Result<(), Error> {
    let password = secret::read_new("password of the web UI")?;
    let new = NewPassword { password };
    match client.put::<WebStatus>("/web/password", &new).await {
        Ok(status) => {
            eprintln!("The password is set, and everybody is logged out.");
            if out.json { out.document(&status) } else { Ok(()) }
        }
        Err(error) if error.exit == Exit::NotRunning => {
            owned_by_us(folder)?;
            let set = hub::set_web_password(folder, new.password).await;
            set.map_err(|error| match error.downcast::<Failure>() {
                Ok(failure) => Error::from(hub::view::Failure { error: failure }),
                Err(error) => Error::from(error),
            })?;
            eprintln!("The password is set; the hub is not running. To open its web UI:");
            eprintln!("  farhub up --listen 0.0.0.0:3482");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What root makes in another user's folder, that user's hub could not read.
fn owned_by_us(folder: &Path) -> Result<(), Error> {
    let owner = folder.metadata().map_or(0, |folder| folder.uid());
    if !geteuid().is_root() || owner == 0 {
        return Ok(());
    }
    let error = Error::new(Exit::NotRunning, "the hub of another user is not running");
    Err(error.hint("start it first: sudo systemctl start farhub; or run this as its user"))
}

async fn status(client: &Client, out: Out) -> Result<(), Error> {
    let status: WebStatus = client.get("/web").await?;
    if out.json {
        return out.document(&status);
    }
    let mut table = Table::default();
    let mut row = |what: &str, value: Cell| table.row([Cell::new(what, Tone::Quiet), value]);
    row("address", Cell::from(&status.url));
    row("listens on", Cell::from(&status.listen));
    if !status.hosts.is_empty() {
        row("also called", Cell::from(status.hosts.join(", ")));
    }
    row("login", Cell::from(if status.login { "asked for" } else { "not asked for" }));
    let set = status.password_set.as_deref().map(second);
    let none = Cell::new("none yet: farhub web password", Tone::Notice);
    let account = &status.account;
    row("password", set.map_or(none, |set| Cell::from(format!("of {account}, set {set}"))));
    if let Some(tls) = &status.tls {
        let whose = if tls.self_signed { "made by the hub" } else { "your own" };
        row("certificate", Cell::from(whose));
        row("SHA-256", Cell::from(&tls.fingerprint));
    }
    row("logged in", Cell::from(status.sessions.to_string()));
    out.table(&table)
}

async fn sessions(client: &Client, out: Out) -> Result<(), Error> {
    let sessions: Vec<WebSession> = client.get("/web/sessions").await?;
    if out.json {
        return out.document(&sessions);
    }
    if sessions.is_empty() {
        eprintln!("Nobody is logged in.");
        return Ok(());
    }
    let mut table = Table::titled(["SESSION", "FROM", "SINCE", "LAST USED", "ENDS", "BROWSER"]);
    for session in &sessions {
        let (since, seen, ends) =
            (second(&session.since), second(&session.seen), second(&session.expires));
        let (id, from) = (session.id.as_str(), session.address.as_str());
        table.row([id, from, &since, &seen, &ends, &session.agent].map(Cell::from));
    }
    out.table(&table)
}
