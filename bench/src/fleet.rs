//! Five hundred simulated printers at one hub, and fifty dashboards that look.
//!
//! The hub is the real program, a process of its own; printers and dashboards are in this one, so
//! that the hub's processor time and memory are its own. Latency is from what a printer does (its
//! panel is pressed), and from when it tells that, until a dashboard has read it.

mod hub;
mod look;

use anyhow::{Context, Result, ensure};
use hub::Hub;
use look::Dashboards;
use sim::printer::{Act, Fault, Printer, Protocol, Spec};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What DESIGN asks for: 300 that say something each second, and 200 of the others.
const FARM: [(Protocol, usize); 4] = [
    (Protocol::Bambu, 300),
    (Protocol::PrusaLink, 100),
    (Protocol::Moonraker, 50),
    (Protocol::OctoPrint, 50),
];
const DASHBOARDS: usize = 50;
/// Of each kind.
const PRESSES: usize = 40;
/// Of which so many are at once.
const TOGETHER: usize = 5;
const JOBS: usize = 10_000;
const MEASURED: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(300);
/// Every fifth stops answering for the second half.
const BLACK_HOLED: usize = 5;

pub(crate) async fn run(farhub: &Path) -> Result<()> {
    let data = tempfile::tempdir()?;
    eprintln!("{JOBS} jobs into the database");
    hub::write_jobs(data.path(), JOBS).await?;
    let hub = Hub::start(farhub, data.path()).await?;
    let bare = hub.resident_mb()?;
    println!("| 10 000 jobs | median of 20 |\n|---|---:|");
    for (what, path) in [
        ("list, 50 of them", "/shop/jobs?limit=50"),
        ("search for two words", "/shop/jobs?limit=50&search=part%20printer"),
        ("export as CSV", "/shop/jobs/export"),
    ] {
        println!("| {what} | {:.0} ms |", hub.median_ms(path, 20).await?);
    }
    let printers = farm(&hub).await?;
    for printer in &printers {
        printer.act(Act::Start { path: "long.gcode".to_owned() });
    }
    let mut dashboards = Dashboards::open(&hub, DASHBOARDS).await?;
    tokio::time::sleep(SETTLE).await;
    println!("\n| 500 printers, 50 dashboards; times: p50, p99 | all well | 100 silent |");
    println!("|---|---:|---:|");
    let well = measure(&hub, &printers, &mut dashboards, 1).await?;
    for printer in printers.iter().step_by(BLACK_HOLED) {
        printer.set_fault(Fault::Silent);
    }
    tokio::time::sleep(SETTLE).await;
    let holed = measure(&hub, &printers, &mut dashboards, BLACK_HOLED).await?;
    for (line, silent) in well.iter().zip(holed) {
        println!("| {} | {} | {} |", line.0, line.1, silent.1);
    }
    println!("\nMemory before the first printer: {bare:.0} MB.");
    Ok(())
}

/// Starts the printers, and adds each to the hub.
async fn farm(hub: &Hub) -> Result<Vec<Printer>> {
    let mut printers = vec![];
    for (protocol, count) in FARM {
        for number in 0..count {
            let name = format!("{}-{number}", protocol.as_str());
            let serial_number = format!("01P00A{:09}", printers.len());
            let spec = Spec { serial_number, ..Spec::new(protocol, &name) };
            let printer = Printer::start(spec).await?;
            let content = b";TIME:86400\n;LAYER_COUNT:400\nG28\n".to_vec();
            printer.put_file("long.gcode", content);
            printers.push(printer);
        }
    }
    eprintln!("{} printers", printers.len());
    let mut adding = JoinSet::new();
    for printer in &printers {
        if adding.len() >= 8 {
            adding.join_next().await.context("one of them")???;
        }
        let (hub, spec) = (hub.clone(), printer.spec().clone());
        adding.spawn(async move { hub.add(&spec).await });
    }
    while let Some(added) = adding.join_next().await {
        added??;
    }
    let began = Instant::now();
    loop {
        let online = hub.online().await?;
        if online == printers.len() {
            return Ok(printers);
        }
        ensure!(began.elapsed() < SOON, "{online} of {} are online", printers.len());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What it costs, and how soon something is seen. Of printers whose number `holes` divides, none is
/// pressed when `holes` is above 1.
async fn measure(
    hub: &Hub,
    printers: &[Printer],
    dashboards: &mut Dashboards,
    holes: usize,
) -> Result<Vec<(String, String)>> {
    let (cpu, at) = (hub.cpu()?, Instant::now());
    tokio::time::sleep(MEASURED).await;
    let share = (hub.cpu()? - cpu).as_secs_f64() / at.elapsed().as_secs_f64();
    let mut lines = vec![
        ("processor, of one core".to_owned(), format!("{:.1} %", share * 100.0)),
        ("memory".to_owned(), format!("{:.0} MB", hub.resident_mb()?)),
        ("threads".to_owned(), hub.threads()?.to_string()),
    ];
    for (protocol, _) in FARM {
        let pressed: Vec<_> = printers
            .iter()
            .enumerate()
            .filter(|(number, _)| holes == 1 || number % holes != 0)
            .map(|(_, printer)| printer)
            .filter(|printer| printer.spec().protocol == protocol)
            .take(PRESSES)
            .collect();
        let (mut since_pressed, mut since_told) = (vec![], vec![]);
        for group in pressed.chunks(TOGETHER) {
            // not in step with what the hub tells
            tokio::time::sleep(Duration::from_millis(rand::random_range(300..800))).await;
            dashboards.drain();
            let mut pressed = BTreeMap::new();
            for printer in group {
                pressed.insert(printer.spec().name.as_str(), Instant::now());
                printer.act(Act::Pause);
            }
            let names: Vec<&str> = pressed.keys().copied().collect();
            let heard = dashboards.all_heard(&names, "paused").await?;
            for printer in group {
                let name = printer.spec().name.as_str();
                let told = printer.paused_told().context("who heard of it was told")?;
                for (_, at) in heard.iter().filter(|(printer, _)| printer == name) {
                    since_pressed.push(at.saturating_duration_since(pressed[name]));
                    since_told.push(at.saturating_duration_since(told));
                }
                printer.act(Act::Resume);
            }
        }
        let kind = protocol.as_str();
        lines.push((format!("{kind}: from the press to the dashboard"), shares(since_pressed)));
        lines.push((format!("{kind}: from the printer's word on"), shares(since_told)));
    }
    Ok(lines)
}

/// The median, and what one of a hundred exceeds.
fn shares(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |percent: usize| {
        let time = times.get(times.len() * percent / 100).or(times.last());
        time.map_or("-".to_owned(), |time| format!("{:.0}", time.as_secs_f64() * 1e3))
    };
    format!("{}, {} ms", ms(50), ms(99))
}
