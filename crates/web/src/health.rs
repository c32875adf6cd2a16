//! For whoever looks after the computer: `/healthz`, `/readyz` and `/metrics`.
//!
//! Health and readiness say a word and nothing else, so that they need no login. Metrics are for
//! those who may see the rest: on loopback, on the Unix socket, or logged in.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hub::fleet::view::{Link, Printer};
use hub::{Caller, Hub};
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::fs;

pub(crate) fn routes() -> Router<Hub> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Whether the hub can do its work: its databases answer.
async fn ready(State(hub): State<Hub>) -> Response {
    match hub.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::error!("not ready: {error:#}");
            (StatusCode::SERVICE_UNAVAILABLE, "a database does not answer\n").into_response()
        }
    }
}

/// Prometheus, text format 0.0.4.
async fn metrics(State(hub): State<Hub>) -> Response {
    let mut text = Text::default();
    let printers = hub.printers(Caller::Local);
    of_printers(&mut text, &printers);
    of_shop(&mut text, &hub).await;
    of_hub(&mut text, &hub);
    of_process(&mut text);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text.0).into_response()
}

fn of_printers(text: &mut Text, printers: &[Printer]) {
    let mut links: BTreeMap<&str, u64> =
        ["connecting", "online", "offline", "disabled", "elsewhere"].map(|link| (link, 0)).into();
    for printer in printers {
        *links.entry(word(printer.health.link)).or_default() += 1;
    }
    text.head("farhub_printers", "gauge", "3D printers by their connection.");
    for (link, count) in links {
        text.value("farhub_printers", &[("link", link)], count);
    }
    text.head("farhub_printer_online", "gauge", "Whether a printer is connected.");
    for printer in printers {
        let online = u8::from(printer.health.link == Link::Online);
        text.value("farhub_printer_online", &[("printer", printer.name.as_str())], online);
    }
    text.head("farhub_printer_printing", "gauge", "Whether a print is under way.");
    text.head("farhub_printer_progress_ratio", "gauge", "Of the print under way, 0 to 1.");
    text.head("farhub_printer_temperature_celsius", "gauge", "Measured.");
    text.head("farhub_printer_faults", "gauge", "Faults that it shows.");
    for printer in printers {
        let Some(state) = &printer.state else { continue };
        let name = [("printer", printer.name.as_str())];
        text.value("farhub_printer_printing", &name, u8::from(state.phase.is_active()));
        text.value("farhub_printer_faults", &name, state.faults.len());
        let progress = state.job.as_ref().and_then(|job| job.progress_percent);
        if let Some(percent) = progress.filter(|_| state.phase.is_active()) {
            text.value("farhub_printer_progress_ratio", &name, percent / 100.0);
        }
        let hotend = state.temperatures.hotends.first().map(|hotend| ("hotend", *hotend));
        let bed = state.temperatures.bed.map(|bed| ("bed", bed));
        for (part, temperature) in [hotend, bed].into_iter().flatten() {
            let labels = [("printer", printer.name.as_str()), ("part", part)];
            text.value("farhub_printer_temperature_celsius", &labels, temperature.now_c);
        }
    }
}

async fn of_shop(text: &mut Text, hub: &Hub) {
    let filter = hub::fleet::view::JobFilter { limit: Some(1), ..Default::default() };
    if let Ok(page) = hub.fleet().jobs(&filter).await {
        text.head("farhub_print_jobs", "gauge", "Jobs that are stored, by state.");
        for (state, count) in page.counts {
            text.value("farhub_print_jobs", &[("state", &state)], count);
        }
    }
    if let Ok(queue) = hub.fleet().queue(hub::fleet::Over::Hidden).await {
        text.head("farhub_queue_jobs", "gauge", "Jobs that wait for a printer.");
        text.value("farhub_queue_jobs", &[], queue.len());
    }
}

fn of_hub(text: &mut Text, hub: &Hub) {
    let state = hub.state(Caller::Local);
    let info = [("version", state.hub.version.as_str()), ("name", state.hub.name.as_str())];
    text.head("farhub_info", "gauge", "Which hub this is.");
    text.value("farhub_info", &info, 1);
    text.head("farhub_peers", "gauge", "Paired hubs.");
    text.value("farhub_peers", &[], state.peers.len());
    text.head("farhub_peers_online", "gauge", "Paired hubs that are connected.");
    let online = state.peers.iter().filter(|peer| peer.online).count();
    text.value("farhub_peers_online", &[], online);
    text.head("farhub_devices", "gauge", "Devices of this hub.");
    text.value("farhub_devices", &[], state.devices.iter().filter(|one| one.local).count());
    text.head("farhub_attachments", "gauge", "Devices of peers that are used here.");
    text.value("farhub_attachments", &[], state.attachments.len());
}

/// proc(5). Where it is missing there is nothing to tell.
fn of_process(text: &mut Text) {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
    let line = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
    };
    if let Some(kib) = line("VmRSS:") {
        text.head("process_resident_memory_bytes", "gauge", "Memory in use.");
        text.value("process_resident_memory_bytes", &[], kib * 1024);
    }
    if let Some(threads) = line("Threads:") {
        text.head("process_threads", "gauge", "Threads.");
        text.value("process_threads", &[], threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        text.head("process_open_fds", "gauge", "Open files and connections.");
        text.value("process_open_fds", &[], open.count());
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().map(|rest| {
        let fields = rest.split_whitespace().skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>()
    });
    if let Some(ticks) = ticks {
        text.head("process_cpu_seconds_total", "counter", "Time on processors.");
        text.value("process_cpu_seconds_total", &[], ticks / TICKS_PER_SECOND);
    }
}

fn word(link: Link) -> &'static str {
    match link {
        Link::Connecting => "connecting",
        Link::Online => "online",
        Link::Offline => "offline",
        Link::Disabled => "disabled",
        Link::Elsewhere => "elsewhere",
    }
}

/// Metrics as they are written.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let escaped =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> =
            labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// `USER_HZ` of every Linux that runs this.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        text.value("a", &[("b", "c\"\\\nd")], 1);
        text.value("e", &[], 0.5);
        assert_eq!(text.0, "a{b=\"c\\\"\\\\\\nd\"} 1\ne 0.5\n");
    }
}
