//! Conditions of a query that depend on what was asked for.
//!
//! The text is put together from constants of this crate only; everything else becomes a value
//! with a placeholder.

use crate::shop::db::Arg;

/// The conditions after `WHERE`, all of which must hold.
#[derive(Debug, Default)]
pub(super) struct Filter {
    conditions: Vec<String>,
    pub(super) args: Vec<Arg>,
}

impl Filter {
    /// A value, as its placeholder.
    pub(super) fn bind(&mut self, arg: impl Into<Arg>) -> String {
        self.args.push(arg.into());
        format!("${}", self.args.len())
    }

    pub(super) fn and(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// `what` has one of these; none of them is no condition.
    pub(super) fn one_of(&mut self, what: &str, values: &[String]) {
        if !values.is_empty() {
            let list = self.list(values);
            self.and(format!("{what} IN ({list})"));
        }
    }

    /// Placeholders for these.
    pub(super) fn list(&mut self, values: &[String]) -> String {
        let places: Vec<_> = values.iter().map(|value| self.bind(value)).collect();
        places.join(", ")
    }

    /// `what` is `than`: `>=`, `<`.
    pub(super) fn compare(&mut self, what: &str, than: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            let place = self.bind(value);
            self.and(format!("{what} {than} {place}"));
        }
    }

    /// Every word is somewhere in `what`, which is in lower case.
    pub(super) fn words(&mut self, what: &str, search: &str) {
        for word in search.split_whitespace().take(WORDS_MAX) {
            let place = self.bind(format!("%{}%", literal(&lower(word))));
            self.and(format!("{what} LIKE {place} ESCAPE '!'"));
        }
    }

    /// ` WHERE …`, or nothing.
    pub(super) fn sql(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.conditions.join(" AND "))
    }
}

/// What is searched in and for: neither engine lower-cases all of Unicode as the other does.
pub(super) fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// A text in which `LIKE` sees nothing special.
fn literal(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

/// Words of a search that are looked at.
const WORDS_MAX: usize = 16;
