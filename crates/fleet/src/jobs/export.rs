//! Jobs as a file for other programs: CSV as German and English spreadsheets read it without
//! questions, and JSON. Written in pieces, so that no number of jobs needs much memory.

use crate::Error;
use crate::fleet::Inner;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::sync::Arc;
use store::shop::{Job, JobQuery};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Csv,
    Json,
}

/// How numbers and dates are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    #[default]
    English,
    German,
}

/// An export that is under way.
#[derive(Debug)]
pub struct Export {
    inner: Arc<Inner>,
    query: JobQuery,
    format: Format,
    locale: Locale,
    zone: TimeZone,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    Rows { any: bool },
    Over,
}

impl Export {
    pub(crate) fn new(inner: Arc<Inner>, query: JobQuery, format: Format, locale: Locale) -> Self {
        let query = JobQuery { limit: ROWS_AT_ONCE, after: None, ..query };
        let zone = TimeZone::system();
        Self { inner, query, format, locale, zone, part: Part::Head }
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let any = match self.part {
            Part::Over => return Ok(None),
            Part::Head => {
                self.part = Part::Rows { any: false };
                return Ok(Some(self.head()));
            }
            Part::Rows { any } => any,
        };
        let page = self.inner.shop.jobs(&self.query).await?;
        let mut text = String::new();
        for (number, job) in page.rows.iter().enumerate() {
            match self.format {
                Format::Csv => self.row(job, &mut text),
                Format::Json => {
                    text.push_str(if any || number > 0 { ",\n" } else { "" });
                    text.push_str(&crate::printers::json(&crate::view::Job::from(job.clone())));
                }
            }
        }
        self.part = match page.next {
            Some(next) => {
                self.query.after = Some(next);
                Part::Rows { any: any || !page.rows.is_empty() }
            }
            None => {
                text.push_str(if self.format == Format::Json { "\n]\n" } else { "" });
                Part::Over
            }
        };
        Ok(Some(text))
    }

    fn head(&self) -> String {
        if self.format == Format::Json {
            return "[\n".to_owned();
        }
        let (names, between) = match self.locale {
            Locale::English => (ENGLISH, ","),
            Locale::German => (GERMAN, ";"),
        };
        // without the mark, spreadsheets read UTF-8 as something else
        format!("\u{feff}{}\r\n", names.join(between))
    }

    fn row(&self, job: &Job, text: &mut String) {
        let number = |value: Option<i64>, per: i64| {
            let value = value.map(|value| self.decimal(value, per));
            value.unwrap_or_default()
        };
        let state = match self.locale {
            Locale::English => job.state.clone(),
            Locale::German => german(&job.state).to_owned(),
        };
        let cells = [
            plain(&job.id),
            plain(&job.printer_name),
            plain(&job.name),
            state,
            plain(job.reason.as_deref().unwrap_or("")),
            self.time(Some(job.started_us)),
            self.time(job.ended_us),
            number(job.printed_s, 60),
            number(Some(job.paused_s), 60),
            number(Some(job.progress_permille), 10),
            number(job.filament_um, 1_000_000),
            number(job.filament_mg, 1000),
            plain(&job.made_by),
            plain(&job.note),
        ];
        let between = if self.locale == Locale::German { ';' } else { ',' };
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                text.push(between);
            }
            if cell.contains([between, '"', '\n', '\r']) {
                let _ = write!(text, "\"{}\"", cell.replace('"', "\"\""));
            } else {
                text.push_str(cell);
            }
        }
        text.push_str("\r\n");
    }

    /// `value / per`, with two places.
    fn decimal(&self, value: i64, per: i64) -> String {
        let hundredths = (i128::from(value) * 100 + i128::from(per) / 2) / i128::from(per);
        let point = if self.locale == Locale::German { ',' } else { '.' };
        format!("{}{point}{:02}", hundredths / 100, hundredths % 100)
    }

    fn time(&self, us: Option<i64>) -> String {
        let Some(time) = us.and_then(|us| Timestamp::from_microsecond(us).ok()) else {
            return String::new();
        };
        let format = match self.locale {
            Locale::English => "%Y-%m-%d %H:%M:%S",
            Locale::German => "%d.%m.%Y %H:%M:%S",
        };
        time.to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

/// A text that no spreadsheet takes for a formula (OWASP, CSV injection).
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn german(state: &str) -> &str {
    match state {
        "preparing" => "wird vorbereitet",
        "printing" => "druckt",
        "paused" => "angehalten",
        "finished" => "fertig",
        "cancelled" => "abgebrochen",
        "failed" => "fehlgeschlagen",
        "unknown" => "unbekannt",
        other => other,
    }
}

const ENGLISH: [&str; 14] = [
    "id",
    "printer",
    "job",
    "state",
    "reason",
    "started",
    "ended",
    "printing minutes",
    "paused minutes",
    "progress percent",
    "filament metres",
    "filament grams",
    "started by",
    "note",
];
const GERMAN: [&str; 14] = [
    "Kennung",
    "Drucker",
    "Auftrag",
    "Zustand",
    "Grund",
    "Beginn",
    "Ende",
    "Druckminuten",
    "Pausenminuten",
    "Fortschritt Prozent",
    "Filament Meter",
    "Filament Gramm",
    "Gestartet von",
    "Notiz",
];
const ROWS_AT_ONCE: u32 = 500;
