//! One printer of the story: who stands at its panel, what befalls it, and when it was seen.

use crate::shop::{Shop, new_printer};
use crate::skewed;
use fleet::view::{self, Link};
use rand::Rng;
use rand::rngs::StdRng;
use sim::printer::{Act, Fault, Print, Printer, Protocol, Spec};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};

pub(crate) struct Station {
    pub(crate) protocol: Protocol,
    name: String,
    id: String,
    added_us: i64,
    printer: tokio::sync::Mutex<Printer>,
    watch: Mutex<Watch>,
}

/// When the fleet could see the printer, and when not.
#[derive(Default)]
struct Watch {
    /// Since when it does not; `None` while it does.
    blind_since_us: Option<i64>,
    blind: Vec<(i64, i64)>,
    /// Since when it is connected and shows something else than what is; and for how long it did.
    late_since_us: Option<i64>,
    late: Vec<(i64, i64)>,
    /// Slow, broken, cut or off.
    disturbed: bool,
    /// Nothing true comes from it: cut off, off, or it speaks nonsense.
    silent: bool,
    why: String,
    /// What its actor does.
    at: String,
    /// Prints of which nothing was left when somebody looked again, by their number.
    pub(crate) cleared: Vec<usize>,
}

impl Station {
    pub(crate) async fn start(shop: &Shop, protocol: Protocol, number: usize, seed: u64) -> Self {
        let mut spec = Spec::new(protocol, &format!("{protocol:?} {number}"));
        spec.serial_number = match protocol {
            Protocol::Bambu => format!("01P00A0000000{number:02}"),
            _ => format!("10589-37424416325000{number:02}"),
        };
        spec.speed = 180.0;
        spec.seed = seed ^ number as u64;
        let printer = Printer::start(spec).await.unwrap();
        for (name, content) in files(protocol) {
            printer.put_file(&name, content);
        }
        let added = shop.add(new_printer(printer.spec())).await;
        let watch = Watch { blind_since_us: Some(now_us()), ..Watch::default() };
        let station = Self {
            protocol,
            name: added.name.to_string(),
            id: added.id.to_string(),
            added_us: now_us(),
            printer: tokio::sync::Mutex::new(printer),
            watch: Mutex::new(watch),
        };
        // what happened before anybody ever looked is nobody's to know
        let until = Instant::now() + Duration::from_secs(30);
        while !station.is_seen() {
            assert!(Instant::now() < until, "{} is never seen: {}", station.name, station.why());
            station.sample(shop.view(&station.name).await).await;
            sleep(Duration::from_millis(50)).await;
        }
        station
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn is_seen(&self) -> bool {
        self.watch.lock().unwrap().blind_since_us.is_none()
    }

    pub(crate) fn why(&self) -> String {
        self.watch.lock().unwrap().why.clone()
    }

    pub(crate) fn at(&self) -> String {
        self.watch.lock().unwrap().at.clone()
    }

    fn does(&self, what: &str) {
        what.clone_into(&mut self.watch.lock().unwrap().at);
    }

    pub(crate) async fn truth(&self) -> Vec<Print> {
        let mut truth = self.printer.lock().await.truth();
        truth.retain(|print| us(print.started) > self.added_us);
        truth
    }

    pub(crate) fn cleared(&self) -> Vec<usize> {
        self.watch.lock().unwrap().cleared.clone()
    }

    /// The time around a moment in which the fleet did not see the printer.
    pub(crate) fn blind_at(&self, at_us: i64) -> Option<(i64, i64)> {
        let watch = self.watch.lock().unwrap();
        let around = watch
            .blind
            .iter()
            .filter(|(from, to)| (from - self.slack_us()..=to + self.slack_us()).contains(&at_us));
        around.copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    pub(crate) fn blind(&self) -> Vec<(i64, i64)> {
        self.watch.lock().unwrap().blind.clone()
    }

    /// Whether the fleet never saw the printer from one moment to another.
    pub(crate) fn is_dark(&self, from_us: i64, to_us: i64) -> bool {
        let watch = self.watch.lock().unwrap();
        let mut dark_until_us = from_us;
        for (from, to) in &watch.blind {
            let (from, to) = (from - self.slack_us(), to + self.slack_us());
            if (from..=to).contains(&dark_until_us) {
                dark_until_us = to;
            }
        }
        dark_until_us > to_us
    }

    /// The fleet is told of its blindness a moment after it has begun; and what begins just before
    /// it is cut off may not be told any more: printers say what they do about once a second, and
    /// PrusaLink is asked every two while it does nothing.
    pub(crate) fn slack_us(&self) -> i64 {
        if self.protocol == Protocol::PrusaLink { 2_500_000 } else { 1_000_000 }
    }

    /// Looks whether the fleet sees what is.
    pub(crate) async fn sample(&self, view: Option<view::Printer>) {
        let is_active = {
            let Ok(printer) = self.printer.try_lock() else { return };
            printer.truth().last().is_some_and(|print| print.ended.is_none())
        };
        let mut watch = self.watch.lock().unwrap();
        let watch = &mut *watch;
        let shown = view.as_ref().and_then(|view| view.state.as_ref());
        let online = view.as_ref().is_some_and(|view| view.health.link == Link::Online);
        let agrees = shown.is_some_and(|state| state.phase.is_active() == is_active);
        watch.why = match &view {
            None => "no fleet".to_owned(),
            Some(view) => format!(
                "{:?} {:?} {:?}, active {is_active}",
                view.health.link,
                view.health.problem,
                shown.map(|s| s.phase)
            ),
        };
        let late_since_us = watch.late_since_us;
        match watch.late_since_us {
            Some(since_us) if agrees || !online => {
                watch.late.push((since_us, now_us()));
                watch.late_since_us = None;
            }
            None if online && !agrees && !watch.silent => {
                watch.late_since_us = Some(now_us());
            }
            _ => {}
        }
        match watch.blind_since_us {
            Some(since_us) if online && agrees && !watch.disturbed => {
                watch.blind.push((since_us, now_us()));
                watch.blind_since_us = None;
            }
            // what it had not seen yet it never saw: within five seconds that is no fault
            None if !online || watch.disturbed => {
                watch.blind_since_us = Some(late_since_us.unwrap_or_else(now_us));
            }
            _ => {}
        }
    }

    /// When the fleet took more than a second to show what is.
    pub(crate) fn late(&self) -> Vec<(i64, i64)> {
        let watch = self.watch.lock().unwrap();
        watch.late.iter().filter(|(from, to)| to - from > 1_000_000).copied().collect()
    }

    /// What is short now may not be seen. What lasts is, and late if it takes too long.
    fn disturb(&self) {
        let mut watch = self.watch.lock().unwrap();
        watch.disturbed = true;
        let since_us = watch.late_since_us.unwrap_or_else(now_us);
        watch.blind_since_us.get_or_insert(since_us);
    }

    /// What cannot be heard is not late.
    fn silence(&self) {
        self.disturb();
        let mut watch = self.watch.lock().unwrap();
        watch.silent = true;
        let late_since_us = watch.late_since_us.take();
        watch.late.extend(late_since_us.map(|since_us| (since_us, now_us())));
    }

    fn leave_alone(&self) {
        let mut watch = self.watch.lock().unwrap();
        (watch.disturbed, watch.silent) = (false, false);
    }

    /// Somebody dismisses the result at the panel.
    async fn clear(&self) {
        let printer = self.printer.lock().await;
        let mut watch = self.watch.lock().unwrap();
        let count = printer.truth().len();
        watch.cleared.push(count.saturating_sub(1));
        printer.act(Act::Clear);
    }

    async fn act(&self, act: Act) {
        self.printer.lock().await.act(act);
    }

    async fn is_printing(&self) -> bool {
        let truth = self.printer.lock().await.truth();
        truth.last().is_some_and(|print| print.ended.is_none())
    }

    async fn count(&self) -> usize {
        self.printer.lock().await.truth().len()
    }

    async fn wait(&self, printing: bool, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.is_printing().await != printing {
            if Instant::now() > until {
                return false;
            }
            sleep(Duration::from_millis(50)).await;
        }
        true
    }
}

/// Everything that happens at one printer.
pub(crate) async fn live(
    shop: Arc<Shop>,
    station: Arc<Station>,
    prints: usize,
    mut random: StdRng,
) {
    let mut queued = false;
    while station.count().await < prints {
        sleep(Duration::from_millis(1500 + skewed(&mut random, 3000))).await;
        if random.random_bool(0.4) || needs_clearing(&station).await {
            station.clear().await;
        }
        let files = files(station.protocol);
        // mostly the same names, one after the other
        let which = if random.random_bool(0.7) { 0 } else { random.random_range(0..files.len()) };
        let (name, content) = files[which].clone();
        station.does("asks for a print");
        let asked = match random.random_range(0..10) {
            0..6 => false,
            6..8 => shop.send(&station.name, &name, content).await,
            _ => {
                queued = true;
                shop.enqueue(&station.name, &name, content, random.random_range(1..3)).await
            }
        };
        station.does("waits for a print");
        let before = station.count().await;
        if !asked || !station.wait(true, Duration::from_secs(8)).await {
            let path = if station.protocol == Protocol::PrusaLink { name.clone() } else { name };
            station.act(Act::Start { path }).await;
        }
        if station.count().await == before && !station.is_printing().await {
            station.clear().await;
            continue;
        }
        while station.is_printing().await {
            station.does("prints");
            befall(&station, &mut random).await;
        }
        if queued && random.random_bool(0.7) {
            queued = !shop.empty_queue(&station.name).await;
        }
    }
    station.does("ends");
    while queued && shop.empty_queue(&station.name).await {
        queued = false;
        station.wait(false, Duration::from_secs(40)).await;
    }
    station.wait(false, Duration::from_secs(40)).await;
}

async fn needs_clearing(station: &Station) -> bool {
    let truth = station.printer.lock().await.truth();
    truth.last().is_some_and(|print| matches!(print.ended, Some((_, sim::printer::End::Failed))))
}

/// A while of a print.
async fn befall(station: &Station, random: &mut StdRng) {
    let a_while = |random: &mut StdRng| Duration::from_millis(500 + skewed(random, 5000));
    let pause = a_while(random);
    // on demand only: what is rough, and where a second more or less decides
    let what = match random.random_range(0..24) {
        4..9 if crate::is_calm() => 9,
        what => what,
    };
    station.does(&format!("befall {what}"));
    match what {
        0 => station.act(Act::Cancel).await,
        1 => {
            let (code, text) = ("E1".to_owned(), "heating failed".to_owned());
            station.act(Act::Fail { code, text }).await;
        }
        2..4 => {
            station.act(Act::Pause).await;
            sleep(pause).await;
            station.act(Act::Resume).await;
        }
        4..6 => {
            station.silence();
            station.printer.lock().await.cut().await;
            sleep(pause).await;
            station.printer.lock().await.mend().await.unwrap();
            station.leave_alone();
        }
        6 => {
            station.silence();
            {
                let mut printer = station.printer.lock().await;
                let count = printer.truth().len();
                printer.off().await;
                station.watch.lock().unwrap().cleared.push(count.saturating_sub(1));
            }
            sleep(pause).await;
            station.printer.lock().await.on().await.unwrap();
            station.leave_alone();
        }
        7..9 => {
            let fault = match random.random_range(0..3) {
                0 => Fault::Slow(Duration::from_millis(random.random_range(100..900))),
                1 => Fault::Drops,
                _ => Fault::Garbled,
            };
            match fault {
                Fault::Slow(_) => station.disturb(),
                _ => station.silence(),
            }
            station.printer.lock().await.set_fault(fault);
            sleep(pause).await;
            station.printer.lock().await.set_fault(Fault::None);
            station.leave_alone();
        }
        _ => sleep(pause).await,
    }
}

/// Name and content. What a project takes the simulator does not read: half an hour.
fn files(protocol: Protocol) -> Vec<(String, Vec<u8>)> {
    let names = ["bracket", "vase", "gear"];
    let one = |(name, minutes): (&str, u32)| match protocol {
        Protocol::Bambu => (format!("{name}.gcode.3mf"), format!("PK {name}").into_bytes()),
        _ => {
            let content = format!(";TIME:{}\n;LAYER_COUNT:40\nG28\n;{name}\n", minutes * 60);
            (format!("{name}.gcode"), content.into_bytes())
        }
    };
    names.into_iter().zip([24, 40, 60]).map(one).collect()
}

pub(crate) fn us(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn now_us() -> i64 {
    us(SystemTime::now())
}
