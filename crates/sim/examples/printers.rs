//! Simulated printers of each kind, for programs that are not ours:
//! `cargo run -p sim --example printers -- SPEED NAMES`. Prints where they are, a JSON object for
//! each on a line of its own, and ends when its input does. Without names those that speak HTTP are
//! started; a name stands for all that begin with it.
//!
//! A line of input is an order: the printer's name, then `fault NAME`, `off`, `on`, `cut`, `mend`
//! or `truth`; each is answered with one line.

use serde_json::json;
use sim::printer::{Fault, Printer, Protocol, Spec};
use std::error::Error;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let speed = std::env::args().nth(1).map_or(Ok(120.0), |text| text.parse())?;
    let mut printers = Vec::new();
    let wanted: Vec<String> = std::env::args().skip(2).collect();
    for (protocol, name, model) in PRINTERS {
        let is_wanted = match &wanted[..] {
            [] => protocol != Protocol::Bambu,
            wanted => wanted.iter().any(|wanted| name.starts_with(wanted.as_str())),
        };
        if !is_wanted {
            continue;
        }
        let mut spec = Spec { speed, ..Spec::new(protocol, name) };
        if !model.is_empty() {
            (spec.model, spec.serial_number) = (model.into(), format!("FARHUB-{name}"));
        }
        let printer = Printer::start(spec).await?;
        printer.put_file("there.gcode", b";TIME:600\n;LAYER_COUNT:50\nG28\n".to_vec());
        tell(printer.spec());
        printers.push(printer);
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let printer = printers.iter_mut().find(|p| Some(&p.spec().name.as_str()) == words.first());
        let Some(printer) = printer else { continue };
        match words[1..] {
            ["fault", name] => printer.set_fault(fault(name)?),
            ["off"] => printer.off().await,
            ["on"] => printer.on().await?,
            ["cut"] => printer.cut().await,
            ["mend"] => printer.mend().await?,
            ["truth"] => {}
            _ => return Err(format!("no such order: {line}").into()),
        }
        let prints = printer.truth().into_iter().map(|print| {
            let end = print.ended.map(|(_, end)| format!("{end:?}"));
            json!({ "file": print.file, "end": end, "pauses": print.pauses.len() })
        });
        println!("{}", json!({ "prints": prints.collect::<Vec<_>>() }));
    }
    Ok(())
}

fn tell(spec: &Spec) {
    let mut known = json!({
        "name": spec.name, "host": spec.ip, "port": spec.port, "secret": spec.secret
    });
    if spec.protocol == Protocol::Bambu {
        known["serial_number"] = spec.serial_number.as_str().into();
        known["model"] = spec.model.as_str().into();
        known["files_port"] = spec.files_port.into();
        known["camera_port"] = spec.camera_port.into();
    }
    println!("{known}");
}

fn fault(name: &str) -> Result<Fault, String> {
    Ok(match name {
        "none" => Fault::None,
        "silent" => Fault::Silent,
        "drops" => Fault::Drops,
        "garbled" => Fault::Garbled,
        "disk-full" => Fault::DiskFull,
        "no-storage" => Fault::NoStorage,
        "developer-mode-off" => Fault::DeveloperModeOff,
        "wrong-secret" => Fault::WrongSecret,
        "truncates-files" => Fault::TruncatesFiles,
        other => return Err(format!("no such fault: {other}")),
    })
}

/// The model where it matters.
const PRINTERS: [(Protocol, &str, &str); 6] = [
    (Protocol::Bambu, "bambu-a1", "A1"),
    (Protocol::Bambu, "bambu-p1", "P1S"),
    (Protocol::Bambu, "bambu-x1", "X1C"),
    (Protocol::PrusaLink, "prusalink", ""),
    (Protocol::Moonraker, "moonraker", ""),
    (Protocol::OctoPrint, "octoprint", ""),
];
