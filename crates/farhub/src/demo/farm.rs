//! The printers of the demonstration: simulated, on the real wire, and always at work.

use anyhow::{Context, Result};
use hub::Hub;
use hub::fleet::view::{NewPrinter, Settings};
use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use sim::printer::{Act, Printer, Protocol, Spec};
use std::fmt;
use std::io::{Cursor, Write};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Printers that print for as long as this is there.
#[derive(Debug)]
pub(crate) struct Farm {
    _running: JoinSet<()>,
    _unpacked: Option<Unpacked>,
}

/// A printer that nobody has added yet and that tells of itself inside this computer, for whoever
/// tries to add one.
struct Unpacked {
    announced: ServiceDaemon,
    _printer: Printer,
}

/// One printer of the table below.
struct Model {
    protocol: Protocol,
    title: &'static str,
    model: &'static str,
    serial_number: &'static str,
    tags: &'static [&'static str],
}

/// Starts printers, adds them to a hub, and keeps them printing.
pub(crate) async fn start(hub: &Hub, which: Which) -> Result<Farm> {
    let models = match which {
        Which::Here => HERE,
        Which::Garage => GARAGE,
    };
    let mut printers = vec![];
    for (number, model) in models.iter().enumerate() {
        let printer = simulate(spec_of(model, number)).await?;
        add(hub, model, number, &printer).await?;
        printers.push(printer);
    }
    let mut running = JoinSet::new();
    let free = models.iter().enumerate().filter(|(_, model)| model.tags.contains(&FREE));
    let free: Vec<_> = free.map(|(number, _)| number).collect();
    running.spawn(keep_busy(printers, free));
    let unpacked = match which {
        Which::Here => unpack(models.len()).await?,
        Which::Garage => None,
    };
    Ok(Farm { _running: running, _unpacked: unpacked })
}

fn spec_of(model: &Model, number: usize) -> Spec {
    Spec {
        model: model.model.to_owned(),
        serial_number: model.serial_number.to_owned(),
        speed: SPEED,
        seed: number as u64,
        ..Spec::new(model.protocol, model.title)
    }
}

async fn simulate(spec: Spec) -> Result<Printer> {
    let protocol = spec.protocol;
    let printer = Printer::start(spec).await.context("a simulated printer")?;
    for (name, minutes, layers) in FILES {
        let (name, content) = file(protocol, name, *minutes, *layers)?;
        printer.put_file(&name, content);
    }
    Ok(printer)
}

/// None where this computer has no mDNS: then there is nothing to be found.
async fn unpack(number: usize) -> Result<Option<Unpacked>> {
    let spec = Spec { secret: String::new(), ..spec_of(&NEW, number) };
    let printer = simulate(spec).await?;
    Ok(match announce(printer.spec()) {
        Ok(announced) => Some(Unpacked { announced, _printer: printer }),
        Err(error) => {
            tracing::debug!(%error, "the new printer cannot be found");
            None
        }
    })
}

fn announce(spec: &Spec) -> Result<ServiceDaemon, mdns_sd::Error> {
    let daemon = ServiceDaemon::new()?;
    daemon.disable_interface(IfKind::All)?;
    daemon.enable_interface(IfKind::LoopbackV4)?;
    let host = format!("farhub-demo-{}.local.", spec.port);
    let nothing: &[(&str, &str)] = &[];
    daemon.register(ServiceInfo::new(MDNS, &spec.name, &host, spec.ip, spec.port, nothing)?)?;
    Ok(daemon)
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        self.announced.shutdown().ok();
    }
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacked").finish_non_exhaustive()
    }
}

/// At which of the two hubs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Here,
    Garage,
}

async fn add(hub: &Hub, model: &Model, number: usize, printer: &Printer) -> Result<()> {
    let spec = printer.spec();
    let new = NewPrinter {
        title: Some(model.title.to_owned()),
        name: None,
        protocol: model.protocol.as_str().parse().map_err(anyhow::Error::msg)?,
        host: spec.ip.to_string(),
        port: Some(spec.port),
        files_port: (spec.files_port != 0).then_some(spec.files_port),
        tls: false,
        serial_number: spec.serial_number.clone(),
        user: String::new(),
        secret: spec.secret.clone(),
        pin: None,
        model: String::new(),
        location: String::new(),
        tags: model.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        settings: Settings { clears_itself: false, keep_from_queue: !model.tags.contains(&FREE) },
    };
    let id = format!("printer-sim-{number}").parse()?;
    hub.add_simulated_printer(id, new).await.map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(())
}

/// Starts something on every printer that has stood still for a while, but for those that are kept
/// free for whoever tries the queue. The second of them needs
/// somebody now and then, as real ones do.
async fn keep_busy(printers: Vec<Printer>, free: Vec<usize>) {
    let mut rounds = 0_usize;
    loop {
        for (number, printer) in printers.iter().enumerate() {
            let now = SystemTime::now();
            match printer.truth().last().map(|print| (print.ended, print.pauses.len())) {
                Some((None, 0)) if number == 1 && rounds % 7 == 6 => printer.act(Act::Pause),
                Some((None, _)) if number == 1 && rounds % 7 == 2 => printer.act(Act::Resume),
                Some((None, _)) => {}
                Some((Some((ended, _)), _)) => {
                    let rested = now.duration_since(ended).unwrap_or_default();
                    if rested > REST && !free.contains(&number) {
                        begin(printer, rounds + number);
                    }
                }
                None if free.contains(&number) => {}
                None => begin(printer, number),
            }
        }
        rounds += 1;
        tokio::time::sleep(EVERY).await;
    }
}

fn begin(printer: &Printer, number: usize) {
    let files = printer.files();
    let file = number.checked_rem(files.len()).and_then(|place| files.get(place));
    if let Some((path, _)) = file {
        printer.act(Act::Clear);
        printer.act(Act::Start { path: path.clone() });
    }
}

/// G-code that says of itself what slicers say; for Bambu in a project, as they are sent there.
fn file(protocol: Protocol, name: &str, minutes: u32, layers: u32) -> Result<(String, Vec<u8>)> {
    let seconds = minutes * 60;
    let metres = f64::from(minutes) * 0.12;
    let grams = metres * 3.0;
    let mut gcode = format!(
        "; generated by farhub, for demonstration\n;TIME:{seconds}\n;LAYER_COUNT:{layers}\n\
         ;Filament used: {metres:.2}m\n; filament used [g] = {grams:.2}\n; filament_type = PLA\n"
    );
    for layer in 0..layers {
        gcode.push_str(&format!(";LAYER:{layer}\nG1 Z{}.{} F600\n", layer / 5, layer % 5 * 2));
    }
    if protocol != Protocol::Bambu {
        return Ok((format!("{name}.gcode"), gcode.into_bytes()));
    }
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default();
    zip.start_file("Metadata/plate_1.gcode", options)?;
    zip.write_all(gcode.as_bytes())?;
    zip.start_file("Metadata/slice_info.config", options)?;
    write!(
        zip,
        "<config><plate><metadata key=\"index\" value=\"1\"/>\
         <metadata key=\"prediction\" value=\"{seconds}\"/>\
         <metadata key=\"nozzle_diameters\" value=\"0.4\"/>\
         <filament id=\"1\" type=\"PLA\" color=\"#2E7D32\" used_m=\"{metres:.2}\" \
         used_g=\"{grams:.2}\"/></plate></config>"
    )?;
    Ok((format!("{name}.gcode.3mf"), zip.finish()?.into_inner()))
}

const fn one(
    protocol: Protocol,
    title: &'static str,
    model: &'static str,
    serial_number: &'static str,
    tags: &'static [&'static str],
) -> Model {
    Model { protocol, title, model, serial_number, tags }
}

const HERE: &[Model] = &[
    one(Protocol::Bambu, "A1 left", "A1", "03900D000000001", &["pla", FREE]),
    one(Protocol::Bambu, "A1 right", "A1", "03900D000000002", &["pla"]),
    one(Protocol::Bambu, "X1 Carbon", "X1C", "00M00A000000003", &["petg"]),
    one(Protocol::PrusaLink, "Prusa MK4 No. 1", "MK4", "10589-3742441632500001", &["pla"]),
    one(Protocol::PrusaLink, "Prusa MK4 No. 2", "MK4", "10589-3742441632500002", &["pla"]),
    one(Protocol::Moonraker, "Voron 2.4", "Voron", "", &["abs", FREE]),
    one(Protocol::OctoPrint, "Ender by the window", "Ender-3", "", &[]),
];
const GARAGE: &[Model] = &[
    one(Protocol::Bambu, "P1S in the garage", "P1S", "01P00A000000004", &[]),
    one(Protocol::Moonraker, "Big Klipper", "Voron", "", &[]),
];
/// It has no secret: a click adds it.
const NEW: Model = one(Protocol::Moonraker, "New Voron", "Voron", "", &[]);
/// As Moonraker announces itself (its component `zeroconf`).
const MDNS: &str = "_moonraker._tcp.local.";
/// Tag of those that the queue may use.
const FREE: &str = "queue";
/// Name, minutes on a real printer, layers.
const FILES: &[(&str, u32, u32)] = &[
    ("bracket", 42, 90),
    ("vase-spiral", 95, 400),
    ("gear-set", 63, 120),
    ("phone-stand", 28, 75),
    ("lamp-shade", 180, 600),
];
/// A print is over in minutes, so that there is something to see.
const SPEED: f64 = 20.0;
const REST: Duration = Duration::from_secs(25);
const EVERY: Duration = Duration::from_secs(5);
