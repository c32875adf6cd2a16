//! Amounts of a program that keeps them as floating point: money, weights, lengths.
//!
//! A float is taken as the decimal that it was written as (the shortest that reads as the same
//! float), and rounded half up from there: 1.005 becomes 1.01 and not 1.00.

use serde_json::Value;

/// Whole parts of `10^-digits`: `scaled(12.345, 2)` is 1235. None for what is no number, and for
/// amounts that no shop has.
pub(super) fn scaled(value: &Value, digits: usize) -> Option<i64> {
    let text = match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.to_string(),
            None => decimal(number.as_f64()?)?,
        },
        Value::String(text) => plain(text)?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    of_decimal(&text, digits)
}

/// A float as a whole number, if it is within reason.
pub(super) fn rounded(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "its size is looked at")]
    let whole = number.round() as i64;
    (number.abs() < 9e15).then_some(whole)
}

fn decimal(number: f64) -> Option<String> {
    // never with an exponent
    (number.abs() < NUMBER_MAX).then(|| format!("{number}"))
}

/// `1.234,56 €` as `1234.56`: whichever mark comes last is the decimal one.
fn plain(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches(['€', '%']).trim_end_matches("EUR").trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    if text.contains(['e', 'E']) {
        return decimal(text.parse().ok()?);
    }
    let mark = text.rfind([',', '.']);
    let kept = text.char_indices().filter(|(at, c)| !",.".contains(*c) || Some(*at) == mark);
    Some(kept.map(|(_, c)| if c == ',' { '.' } else { c }).collect())
}

fn of_decimal(text: &str, digits: usize) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let kept: String = part.chars().chain(std::iter::repeat('0')).take(digits).collect();
    let up = part.as_bytes().get(digits).is_some_and(|next| *next >= b'5');
    let number = format!("{whole}{kept}").parse::<i64>().ok()?.checked_add(i64::from(up))?;
    let number = Some(number).filter(|number| *number < AMOUNT_MAX)?;
    Some(if negative { -number } else { number })
}

const TEXT_BYTES_MAX: usize = 40;
const NUMBER_MAX: f64 = 1e12;
/// A thousand million euros in cents, a thousand tons in milligrams.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn cents_are_rounded_as_people_do() {
        let cents = |value| scaled(&value, 2);
        assert_eq!(cents(json!(1.005)), Some(101));
        assert_eq!(cents(json!(0.1)), Some(10));
        assert_eq!(cents(json!(2.675)), Some(268));
        assert_eq!(cents(json!(19)), Some(1900));
        assert_eq!(cents(json!(-0.015)), Some(-2));
        assert_eq!(cents(json!("1.234,565 €")), Some(123_457));
        assert_eq!(cents(json!("1,234.50")), Some(123_450));
        assert_eq!(cents(json!("12")), Some(1200));
        assert_eq!(cents(json!("1e3")), Some(100_000));
        assert_eq!(scaled(&json!(0.75), 6), Some(750_000));
        assert_eq!(scaled(&json!(1.75), 3), Some(1750));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for value in [json!(null), json!(""), json!("viel"), json!("--1"), json!("."), json!(1e40)]
        {
            assert_eq!(scaled(&value, 2), None, "{value}");
        }
        assert_eq!(scaled(&json!(i64::MAX), 6), None);
        assert_eq!(scaled(&json!("nan"), 2), None);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,50}|[0-9.,eE€-]{0,40}", number in any::<f64>()) {
            scaled(&text.into(), 2);
            scaled(&number.into(), 6);
            rounded(number);
        }

        #[test]
        fn what_was_cents_is_the_same_cents(cents in -100_000_000_i64..100_000_000) {
            #[expect(clippy::cast_precision_loss, reason = "it is below 2^53")]
            let euros = cents as f64 / 100.0;
            prop_assert_eq!(scaled(&euros.into(), 2), Some(cents));
        }
    }
}
