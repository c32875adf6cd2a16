//! Reading values that may be anything: firmwares write one and the same number as `21`, `21.0` or
//! `"21"`, and leave out what they please.

use serde_json::{Map, Value};

/// What stands at a path of keys.
pub(super) fn at<'a>(object: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, key| value.get(key))
}

pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| number.is_finite())
}

/// A whole number; what stands behind the point is left out.
pub(super) fn whole(value: &Value) -> Option<i64> {
    if let Some(whole) = value.as_i64() {
        return Some(whole);
    }
    let number = number(value)?;
    #[expect(clippy::cast_possible_truncation, reason = "within the bounds of f64's integers")]
    (number.abs() < 9.0e15).then_some(number as i64)
}

/// Text that is not empty; a number as it is written.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Of text that is written in hexadecimal, or of a number.
pub(super) fn bits(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => {
            let digits = text.trim().trim_start_matches("0x");
            u64::from_str_radix(digits, 16).ok()
        }
        Value::Number(number) => number.as_u64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn list<'a>(object: &'a Map<String, Value>, path: &[&str]) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
