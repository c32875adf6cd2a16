//! `farhub printer notices`: where the hub tells what happens.

use super::words;
use crate::cli::printers::{Notices, NoticesAdd};
use crate::client::{Client, encode};
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::secret;
use crate::table::{Cell, Table, Tone};
use hub::fleet::view::{Channel, ChannelKind, NewChannel, Notice, Way};
use serde_json::json;

pub(super) async fn notices(client: &Client, out: Out, action: Notices) -> Result<(), Error> {
    match action {
        Notices::List => {
            let channels: Vec<Channel> = client.get("/shop/channels").await?;
            if channels.is_empty() && !out.json {
                eprintln!("Nobody is told. See: farhub printer notices --help");
                return Ok(());
            }
            if out.json { out.document(&channels) } else { out.table(&table(&channels)) }
        }
        Notices::Add(args) => add(client, out, *args).await,
        Notices::Test { channel } => {
            let channel = named(client, &channel).await?;
            let path = format!("/shop/channels/{}/test", encode(&channel.id));
            client.post_only(&path, &json!({})).await?;
            eprintln!("A test has gone to {}.", channel.name);
            Ok(())
        }
        Notices::Remove { channel } => {
            let channel = named(client, &channel).await?;
            client.delete(&format!("/shop/channels/{}", encode(&channel.id))).await?;
            eprintln!("{} is told nothing any more.", channel.name);
            Ok(())
        }
    }
}

async fn named(client: &Client, typed: &str) -> Result<Channel, Error> {
    let channels: Vec<Channel> = client.get("/shop/channels").await?;
    let found = channels.into_iter().find(|one| one.name == typed || one.id == typed);
    found.ok_or_else(|| {
        Error::new(Exit::NotFound, format!("nobody is told by the name of {typed}"))
            .hint("see who is: farhub printer notices list")
    })
}

async fn add(client: &Client, out: Out, args: NoticesAdd) -> Result<(), Error> {
    let usual = vec![
        Notice::JobFinished,
        Notice::JobFailed,
        Notice::JobPaused,
        Notice::PrinterOffline,
        Notice::PrinterFault,
        Notice::QueueStuck,
    ];
    let way = way(&args)?;
    let events = if args.events.is_empty() { usual } else { args.events };
    let new = NewChannel { name: args.name, events, enabled: true, way: Some(way) };
    let channel: Channel = client.post("/shop/channels", &new).await?;
    if out.json {
        return out.document(&channel);
    }
    eprintln!("Added. Try it: farhub printer notices test {}", channel.name);
    Ok(())
}

/// Secrets are typed, and on no command line.
fn way(args: &NoticesAdd) -> Result<Way, Error> {
    let wrong = |message: &str, hint: &str| Error::new(Exit::Usage, message).hint(hint);
    let secret = |prompt: &str| {
        if args.secret { secret::read(prompt) } else { Ok(String::new()) }
    };
    if let Some(url) = &args.way.webhook {
        let url = if url == "-" { secret::read("URL: ")? } else { url.clone() };
        return Ok(Way::Webhook { url, secret: secret("Secret for signing: ")? });
    }
    if let Some(topic) = &args.way.ntfy {
        let topic = topic.trim_end_matches('/');
        let split = topic.rsplit_once('/').filter(|(server, _)| !server.ends_with('/'));
        let (server, topic) =
            split.ok_or_else(|| wrong("a server and a topic are needed", "as in ntfy.sh/TOPIC"))?;
        let scheme = if server.contains("://") { "" } else { "https://" };
        let token = secret("Token: ")?;
        return Ok(Way::Ntfy {
            server: format!("{scheme}{server}"),
            topic: topic.to_owned(),
            token,
        });
    }
    let (Some(to), Some(from), Some(smtp)) = (&args.way.email, &args.from, &args.smtp) else {
        return Err(wrong("where to is missing", "--webhook, --ntfy or --email"));
    };
    let usual = match args.security.as_str() {
        "tls" => 465,
        "starttls" => 587,
        _ => 25,
    };
    let (host, port) = match smtp.rsplit_once(':') {
        Some((host, port)) => {
            let port =
                port.parse().map_err(|_| wrong("no port of a server", "--smtp HOST:PORT"))?;
            (host, port)
        }
        None => (smtp.as_str(), usual),
    };
    let password = match &args.user {
        Some(_) => secret::read("Password: ")?,
        None => String::new(),
    };
    Ok(Way::Email {
        host: host.to_owned(),
        port,
        security: args.security.clone(),
        user: args.user.clone().unwrap_or_default(),
        password,
        from: from.clone(),
        to: to.clone(),
    })
}

fn table(channels: &[Channel]) -> Table {
    let mut table = Table::titled(["NAME", "KIND", "TO", "LAST", "EVENTS"]);
    for channel in channels {
        let kind = match channel.kind {
            ChannelKind::Webhook => "webhook",
            ChannelKind::Email => "e-mail",
            ChannelKind::Ntfy => "ntfy",
        };
        let events = channel
            .events
            .iter()
            .filter_map(|event| Some(serde_json::to_value(event).ok()?.as_str()?.to_owned()));
        table.row([
            Cell::from(&channel.name),
            Cell::from(kind),
            Cell::from(&channel.shown),
            Cell::from(channel.last_us.map_or_else(|| "-".to_owned(), words::at)),
            Cell::from(events.collect::<Vec<_>>().join(" ")),
        ]);
        if !channel.enabled {
            table.line("  switched off", Tone::Notice);
        }
        if let Some(problem) = &channel.last_problem {
            table.line(format!("  ! {problem}"), Tone::Bad);
        }
    }
    table
}
