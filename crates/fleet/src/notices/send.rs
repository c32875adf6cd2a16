//! One notice by one way.
//!
//! Addresses come from people who may use the hub, not from strangers; all the same, nothing is
//! sent to where only this computer or its cloud provider answers: link-local addresses (the
//! metadata services of clouds), and no redirect is followed. Loopback is allowed, since that is
//! where a home's own services run.

use super::Message;
use crate::Error;
use crate::view::Way;
use hmac::{Hmac, KeyInit, Mac};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use reqwest::{Client, Url, redirect};
use sha2::Sha256;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Whether it could be sent that way at all.
pub(super) fn check(way: &Way) -> Result<(), Error> {
    let wrong = match way {
        Way::Webhook { url, .. } => http(url).err(),
        Way::Ntfy { server, topic, .. } => {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let bad = topic.is_empty() || topic.len() > 64 || !topic.chars().all(fits);
            let topic = bad.then(|| "a topic has letters, digits, - and _".to_owned());
            http(server).err().or(topic)
        }
        Way::Email { security, from, to, .. } => {
            let known = ["tls", "starttls", "none"].contains(&security.as_str());
            let security = (!known).then(|| "security is tls, starttls or none".to_owned());
            let mailbox = |text: &str| {
                let error = text.parse::<Mailbox>().err();
                error.map(|_| format!("{text:?} is no e-mail address"))
            };
            security.or_else(|| mailbox(from)).or_else(|| mailbox(to))
        }
    };
    wrong.map_or(Ok(()), |wrong| Err(Error::Unacceptable(wrong)))
}

/// Where it goes, without what is secret in it: paths and queries of webhooks are keys.
pub(super) fn shown(way: &Way) -> String {
    match way {
        Way::Webhook { url, .. } => {
            let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            host.unwrap_or_default()
        }
        Way::Email { to, .. } => to.clone(),
        Way::Ntfy { server, .. } => server.clone(),
    }
}

/// Sends it, or says in a sentence why not after a few tries.
pub(super) async fn send_patiently(way: &Way, message: &Message) -> Result<(), String> {
    let mut sent = send(way, message).await;
    for pause in AGAIN_AFTER {
        if sent.is_ok() {
            break;
        }
        tokio::time::sleep(pause).await;
        sent = send(way, message).await;
    }
    sent
}

/// Sends it, or says in a sentence why not.
pub(super) async fn send(way: &Way, message: &Message) -> Result<(), String> {
    let sent = async {
        match way {
            Way::Webhook { url, secret } => webhook(url, secret, message).await,
            Way::Ntfy { server, topic, token } => ntfy(server, topic, token, message).await,
            Way::Email { .. } => email(way, message).await,
        }
    };
    let late = || Err("it took too long".to_owned());
    tokio::time::timeout(TIMEOUT, sent).await.unwrap_or_else(|_| late())
}

async fn webhook(url: &str, secret: &str, message: &Message) -> Result<(), String> {
    let body = crate::printers::json(message);
    let mut request = client(url).await?.post(url).header("content-type", "application/json");
    if !secret.is_empty() {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length fits");
        mac.update(body.as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        request = request.header("x-farhub-signature", format!("sha256={signature}"));
    }
    accepted(request.body(body)).await
}

async fn ntfy(server: &str, topic: &str, token: &str, message: &Message) -> Result<(), String> {
    let url = format!("{}/{topic}", server.trim_end_matches('/'));
    let mut request = client(&url).await?.post(&url).header("title", "farhub");
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    accepted(request.body(message.text.clone())).await
}

async fn accepted(request: reqwest::RequestBuilder) -> Result<(), String> {
    // the address may be a key: it is left out of what is said
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    let status = answer.status();
    if status.is_success() {
        Ok(())
    } else if status.is_redirection() {
        Err(format!("the server sends elsewhere ({status}): give the address that it means"))
    } else {
        Err(format!("the server answered {status}"))
    }
}

async fn email(way: &Way, message: &Message) -> Result<(), String> {
    let Way::Email { host, port, security, user, password, from, to } = way else {
        return Err("this is no e-mail".to_owned());
    };
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| error.to_string());
    let mail = lettre::Message::builder()
        .from(mailbox(from)?)
        .to(mailbox(to)?)
        .subject(message.text.chars().take(120).collect::<String>())
        .body(format!("{}\n", message.text))
        .map_err(|error| error.to_string())?;
    reachable(host, *port).await?;
    type Smtp = AsyncSmtpTransport<Tokio1Executor>;
    let builder = match security.as_str() {
        "tls" => Smtp::relay(host).map_err(|error| error.to_string())?,
        "starttls" => Smtp::starttls_relay(host).map_err(|error| error.to_string())?,
        _ => Smtp::builder_dangerous(host),
    };
    let mut builder = builder.port(*port).timeout(Some(TIMEOUT));
    if !user.is_empty() {
        builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
    }
    let sent = builder.build().send(mail).await;
    sent.map(|_| ()).map_err(|error| format!("the mail server: {error}"))
}

fn http(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
    parsed
        .filter(Url::has_host)
        .ok_or_else(|| "give a whole address, as in https://example.org/hook".to_owned())
}

/// A client that goes to addresses that were looked at, and nowhere else.
async fn client(url: &str) -> Result<Client, String> {
    let url = http(url)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses = reachable(&host, port).await?;
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .resolve_to_addrs(&host, &addresses)
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())
}

/// The addresses of a host, without those that nothing is sent to.
async fn reachable(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|error| format!("{host} is not known: {error}"))?;
    let (fit, unfit): (Vec<_>, Vec<_>) = found.partition(|address| is_fit(address.ip()));
    match (fit.is_empty(), unfit.is_empty()) {
        (false, _) => Ok(fit),
        (true, false) => Err(format!("{host} is an address that notices are not sent to")),
        (true, true) => Err(format!("{host} has no address")),
    }
}

fn is_fit(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            !v4.is_link_local() && !v4.is_multicast() && !v4.is_unspecified() && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_multicast() && !v6.is_unspecified(),
    }
}

const TIMEOUT: Duration = Duration::from_secs(15);
const AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

#[cfg(test)]
mod tests;
