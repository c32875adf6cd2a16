//! `farhub doctor`: what is wrong on this computer, and the command that mends it.
//!
//! It looks and changes nothing. Each area has a module; what the kernel tells is read below a
//! folder that tests replace ([`Root`]).

mod attach;
mod buttons;
mod hub;
mod network;
mod serve;

use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Exit};
use crate::out::Out;
use crate::root::Root;
use crate::table::{Cell, Table, Tone};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What was found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub area: Area,
    pub verdict: Verdict,
    pub message: String,
    /// A command to type, or what to change.
    pub fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Area {
    Hub,
    /// Sharing the devices of this computer.
    Share,
    /// Using those of others.
    Attach,
    Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    /// Something is limited, or only matters to some.
    Warn,
    /// Something does not work.
    Fail,
}

/// Looks at everything.
///
/// # Errors
/// When something must be mended.
pub(crate) async fn doctor(
    client: &Client,
    out: Out,
    root: PathBuf,
    data: &Path,
    config: Result<Config, Error>,
) -> Result<(), Error> {
    let root = Root(root);
    let mut findings = hub::look(client, data, config.as_ref()).await;
    findings.extend(serve::look(&root));
    if let Ok(config) = &config {
        let state = client.state().await.ok();
        findings.extend(buttons::look(&root, &config.stop_button, state.as_ref()));
    }
    findings.extend(attach::look(&root));
    let key = if hub::runs(client).await { None } else { hub::key_of(data) };
    findings.extend(network::look(&config.unwrap_or_default(), key).await);
    show(&findings, out)?;
    match findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count() {
        0 => Ok(()),
        1 => Err(Error::new(Exit::Failed, "one thing must be mended")),
        failed => Err(Error::new(Exit::Failed, format!("{failed} things must be mended"))),
    }
}

fn show(findings: &[Finding], out: Out) -> Result<(), Error> {
    if out.json {
        return out.document(&findings);
    }
    let mut table = Table::default();
    let mut area = None;
    for finding in findings {
        if area.replace(finding.area) != Some(finding.area) {
            let title = match finding.area {
                Area::Hub => "The hub",
                Area::Share => "Sharing devices of this computer",
                Area::Attach => "Attaching devices of others",
                Area::Network => "The network",
            };
            table.line(title, Tone::Title);
        }
        let (word, tone) = match finding.verdict {
            Verdict::Ok => ("  ok", Tone::Good),
            Verdict::Warn => ("  warn", Tone::Notice),
            Verdict::Fail => ("  FAIL", Tone::Bad),
        };
        table.row([Cell::new(word, tone), Cell::from(&finding.message)]);
        if let Some(fix) = &finding.fix {
            table.row([Cell::from(""), Cell::from(format!("-> {fix}"))]);
        }
    }
    out.table(&table)
}

/// Makes the findings of one area.
#[derive(Clone, Copy, Debug)]
struct In(Area);

impl In {
    fn ok(self, message: impl Into<String>) -> Finding {
        Finding { area: self.0, verdict: Verdict::Ok, message: message.into(), fix: None }
    }

    fn warn(self, message: impl Into<String>, fix: impl Into<String>) -> Finding {
        let fix = Some(fix.into());
        Finding { area: self.0, verdict: Verdict::Warn, message: message.into(), fix }
    }

    fn fail(self, message: impl Into<String>, fix: impl Into<String>) -> Finding {
        let fix = Some(fix.into());
        Finding { area: self.0, verdict: Verdict::Fail, message: message.into(), fix }
    }
}
