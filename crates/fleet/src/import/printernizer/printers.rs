//! Its printers: kind, IPv4 address, key or access code in plain text.

use super::{Plan, printer_id};
use crate::import::source::Row;
use crate::import::when::{self, Naive};
use crate::printers::json;
use crate::view::Settings;
use printer::Protocol;
use std::collections::BTreeMap;
use store::shop::{self, NewPrinter};
use wire::Name;

/// What a printer is called, by its id there.
pub(super) type Names = BTreeMap<String, String>;

pub(super) fn read(plan: &mut Plan, rows: Vec<Row>) -> Names {
    let mut names = Names::new();
    for mut row in rows {
        plan.tally("printers").found += 1;
        let title = row.text("name").unwrap_or_default();
        let Some(theirs) = row.text("id") else {
            plan.tally("printers").skip("it has no id", &title);
            continue;
        };
        names.insert(theirs.clone(), if title.is_empty() { theirs.clone() } else { title.clone() });
        let kind = row.text("type").unwrap_or_default();
        let Some(protocol) = protocol(&kind) else {
            let why = "farhub does not speak its protocol, or it has none";
            plan.tally("printers").skip(why, &names[&theirs]);
            continue;
        };
        let (new, lacks) = printer(row, &theirs, title, protocol);
        if let Some(lacks) = lacks {
            let why = format!("switched off: {lacks}");
            plan.tally("printers").repair(&why, &names[&theirs]);
        }
        plan.rows.printers.push(new);
    }
    names
}

/// `bambu_lab`, `prusa_core` and `octoprint` are what it knows.
fn protocol(kind: &str) -> Option<Protocol> {
    match kind.to_lowercase().as_str() {
        "bambu_lab" | "bambu" | "bambulab" => Some(Protocol::Bambu),
        "prusa_core" | "prusa" | "prusalink" | "prusa_link" => Some(Protocol::PrusaLink),
        "octoprint" => Some(Protocol::OctoPrint),
        "klipper" | "moonraker" => Some(Protocol::Moonraker),
        _ => None,
    }
}

/// A printer, and what it needs before it can be watched.
fn printer(
    mut row: Row,
    theirs: &str,
    title: String,
    protocol: Protocol,
) -> (NewPrinter, Option<&'static str>) {
    let address = address(&row.text("ip_address").unwrap_or_default(), protocol);
    let (access_code, api_key) = (row.text("access_code"), row.text("api_key"));
    let secret = match protocol {
        Protocol::Bambu => access_code,
        Protocol::PrusaLink | Protocol::OctoPrint | Protocol::Moonraker => api_key.or(access_code),
    };
    let secret = secret.unwrap_or_default();
    let serial_number = row.text("serial_number").unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric();
    let is_bambu = protocol == Protocol::Bambu;
    let lacks = if address.is_none() {
        Some("its address is missing, or is none")
    } else if is_bambu && (serial_number.is_empty() || !serial_number.chars().all(fits)) {
        Some("its serial number is missing")
    } else if secret.is_empty() && protocol != Protocol::Moonraker {
        Some("its access code or key is missing")
    } else {
        None
    };
    let (host, port, tls) = address.unwrap_or((String::new(), protocol.default_port(), false));
    let created_us = when::read(&row.take("created_at"), Naive::Local).map_or(0, |when| when.us);
    let active = row.truth("is_active").unwrap_or(true);
    let title = if title.is_empty() { theirs.to_owned() } else { title };
    let row_here = shop::Printer {
        id: printer_id(theirs),
        name: Name::from_text(&title, protocol.as_str()).as_str().to_owned(),
        title,
        protocol: protocol.as_str().to_owned(),
        host,
        port: i32::from(port),
        files_port: 990,
        tls,
        serial_number,
        user_name: String::new(),
        pin: None,
        model: String::new(),
        location: row.text("location").unwrap_or_default(),
        tags: "[]".to_owned(),
        settings: json(&Settings::default()),
        enabled: active && lacks.is_none(),
        // nobody has looked
        bed_clear: false,
        created_us,
        updated_us: created_us,
    };
    // how it was when it was last looked at
    row.take("status");
    (NewPrinter { row: row_here, secret, extra: row.rest() }, lacks)
}

/// Host, port, TLS. Its own check takes IPv4 only; what was put in by hand may be more.
fn address(text: &str, protocol: Protocol) -> Option<(String, u16, bool)> {
    let (tls, rest) = match text.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some((_, rest)) => (false, rest),
        None => (false, text),
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or("");
    let usual = if tls { 443 } else { protocol.default_port() };
    let (host, port) = if rest.parse::<std::net::Ipv6Addr>().is_ok() {
        (rest, usual)
    } else if let Some(inner) = rest.strip_prefix('[') {
        let (host, port) = inner.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, port.strip_prefix(':').map_or(Some(usual), |port| port.parse().ok())?)
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (rest, usual),
        }
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    let is_host = !host.is_empty() && host.len() <= 253 && host.chars().all(fits) && port != 0;
    is_host.then(|| (host.to_owned(), port, tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_in_many_ways() {
        let octoprint = |text| address(text, Protocol::OctoPrint);
        let is = |host: &str, port, tls| Some((host.to_owned(), port, tls));
        assert_eq!(octoprint("192.168.1.5"), is("192.168.1.5", 80, false));
        assert_eq!(octoprint("http://octopi.local:5000/api"), is("octopi.local", 5000, false));
        assert_eq!(octoprint("https://octopi.local/"), is("octopi.local", 443, true));
        assert_eq!(octoprint("[fe80::1]:81"), is("fe80::1", 81, false));
        assert_eq!(octoprint("fe80::1"), is("fe80::1", 80, false));
        assert_eq!(address("10.0.0.9", Protocol::Bambu), is("10.0.0.9", 8883, false));
        for text in ["", "a b", "1.2.3.4:0", "1.2.3.4:x", "http://", "[x]:1", "-\u{0}"] {
            assert_eq!(octoprint(text), None, "{text:?}");
        }
    }
}
