//! What is told of a printer itself: that it is away, is back, or shows a fault.

use crate::view::Notice;
use printer::{Fault, PrinterState, Severity};
use std::time::{Duration, Instant};

/// What was told of one printer.
#[derive(Debug, Default)]
pub(crate) struct OfPrinter {
    was_there: bool,
    away_since: Option<Instant>,
    is_told_away: bool,
    faults: Vec<Fault>,
}

/// What is to be told.
pub(crate) type Tell = Vec<(Notice, String)>;

impl OfPrinter {
    /// It is there, and shows this.
    pub(crate) fn shows(&mut self, state: &PrinterState) -> Tell {
        let mut tell = vec![];
        if std::mem::take(&mut self.is_told_away) {
            tell.push((Notice::PrinterOnline, "it is connected again".to_owned()));
        }
        (self.was_there, self.away_since) = (true, None);
        if self.faults != state.faults {
            let news = state
                .faults
                .iter()
                .filter(|fault| fault.severity != Severity::Info && !self.faults.contains(fault));
            let told = |fault: &Fault| (Notice::PrinterFault, fault.text.as_str().to_owned());
            tell.extend(news.take(FAULTS_TOLD_MAX).map(told));
            self.faults.clone_from(&state.faults);
        }
        tell
    }

    /// It could not be reached. Printers that come back at once are not worth a word, nor are
    /// those that were off from the start.
    pub(crate) fn is_away(&mut self, why: &str, now: Instant) -> Tell {
        let since = *self.away_since.get_or_insert(now);
        if !self.was_there || self.is_told_away || now.duration_since(since) < AWAY {
            return vec![];
        }
        self.is_told_away = true;
        vec![(Notice::PrinterOffline, format!("it cannot be reached: {why}"))]
    }
}

const AWAY: Duration = Duration::from_secs(60);
/// Of one state; a printer shows them all.
const FAULTS_TOLD_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printer_that_stays_away_is_told_once_and_when_it_is_back() {
        let (mut told, start) = (OfPrinter::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let state = PrinterState::default();
        assert!(told.is_away("off", at(0)).is_empty() && told.is_away("off", at(999)).is_empty());
        assert!(told.shows(&state).is_empty(), "nobody was told that it was away");
        assert!(told.is_away("no answer", at(1000)).is_empty());
        assert!(told.is_away("no answer", at(1030)).is_empty());
        let away = (Notice::PrinterOffline, "it cannot be reached: no answer".to_owned());
        assert_eq!(told.is_away("no answer", at(1061)), [away]);
        assert!(told.is_away("no answer", at(1200)).is_empty());
        let back = (Notice::PrinterOnline, "it is connected again".to_owned());
        assert_eq!(told.shows(&state), [back]);
        assert!(told.is_away("no answer", at(1300)).is_empty());
        assert!(told.shows(&state).is_empty(), "it was back at once");
    }

    #[test]
    fn a_fault_is_told_when_it_comes() {
        let fault = |text: &str, severity| Fault { severity, code: "1".into(), text: text.into() };
        let mut told = OfPrinter::default();
        let faults = vec![fault("no filament", Severity::Serious), fault("hint", Severity::Info)];
        let mut state = PrinterState { faults, ..PrinterState::default() };
        let tell = [(Notice::PrinterFault, "no filament".to_owned())];
        assert_eq!(told.shows(&state), tell);
        assert!(told.shows(&state).is_empty());
        state.faults.push(fault("too hot", Severity::Fatal));
        assert_eq!(told.shows(&state), [(Notice::PrinterFault, "too hot".to_owned())]);
        state.faults.clear();
        assert!(told.shows(&state).is_empty());
        state.faults.push(fault("no filament", Severity::Serious));
        assert_eq!(told.shows(&state), tell);
    }
}
