//! What may be read out of a printer's JSON: whatever does not fit is not there.
//!
//! serde_json itself refuses JSON that is deeper than 128 levels, and numbers that are none.

use serde_json::Value;
use wire::Text;

/// A pointer (RFC 6901) leads to each value, without escapes: no printer has keys that need any.
pub(crate) trait Json {
    /// As [`Value::pointer`], which makes two strings of each key.
    fn at(&self, at: &str) -> Option<&Value>;
    fn text(&self, at: &str) -> Option<Text>;
    /// A text that is given back to the printer and so must stay as it is.
    fn path(&self, at: &str) -> Option<String>;
    fn number(&self, at: &str) -> Option<f64>;
    /// At least zero; fractions are cut.
    fn count(&self, at: &str) -> Option<u32>;
    fn flag(&self, at: &str) -> Option<bool>;
    fn items(&self, at: &str) -> &[Value];
}

impl Json for Value {
    fn at(&self, at: &str) -> Option<&Value> {
        at.split('/').skip(1).try_fold(self, |value, key| match value {
            Value::Object(map) => map.get(key),
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }
    fn text(&self, at: &str) -> Option<Text> {
        let text = Text::from(self.at(at)?.as_str()?);
        (!text.is_empty()).then_some(text)
    }
    fn path(&self, at: &str) -> Option<String> {
        let text = self.at(at)?.as_str()?;
        (!text.is_empty() && text.len() <= PATH_BYTES_MAX).then(|| text.to_owned())
    }
    fn number(&self, at: &str) -> Option<f64> {
        self.at(at)?.as_f64().filter(|number| number.is_finite())
    }
    fn count(&self, at: &str) -> Option<u32> {
        whole(self.number(at)?)
    }
    fn flag(&self, at: &str) -> Option<bool> {
        self.at(at)?.as_bool()
    }
    fn items(&self, at: &str) -> &[Value] {
        self.at(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// Fractions are cut. `None` for what no printer has.
pub(crate) fn whole(number: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "is checked")]
    let whole = (0.0..f64::from(u32::MAX)).contains(&number).then_some(number as u32);
    whole
}

/// Of a size or a length in bytes.
pub(crate) fn bytes(value: &Value, at: &str) -> Option<u64> {
    value.at(at)?.as_u64()
}

/// Seconds since 1970 as microseconds; `None` before 2001, when a printer's clock was never set.
pub(crate) fn micros(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "is checked")]
    let micros = (1e9..1e11).contains(&seconds).then_some((seconds * 1e6) as i64);
    micros
}

/// 0 to 100.
pub(crate) fn percent(number: f64) -> Option<f32> {
    // A printer may be a little beyond its own end.
    #[expect(clippy::cast_possible_truncation, reason = "is checked")]
    let percent = (0.0..=101.0).contains(&number).then_some((number as f32).min(100.0));
    percent
}

/// The longest path of any printer's file system.
const PATH_BYTES_MAX: usize = 4096;

/// Any JSON, for proptest.
#[cfg(test)]
pub(crate) fn any() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = "(job|state|file|printer|params|result|method|id|flags|progress|[a-z]{1,3})";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

/// Puts another value at the place with that number, anywhere in it.
#[cfg(test)]
pub(crate) fn spoil(mut whole: Value, at: usize, with: &Value) -> Value {
    fn walk(value: &mut Value, left: &mut usize, with: &Value) {
        if *left == 0 {
            *value = with.clone();
        }
        *left = left.wrapping_sub(1);
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, left, with)),
            Value::Object(map) => map.values_mut().for_each(|item| walk(item, left, with)),
            _ => {}
        }
    }
    walk(&mut whole, &mut { at }, with);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_not_there() {
        let value = json!({"a": {"b": [1.9, -1, "x", 1e300, true]}});
        assert_eq!(value.count("/a/b/0"), Some(1));
        assert_eq!(value.count("/a/b/1"), None);
        assert_eq!(value.count("/a/b/3"), None);
        assert_eq!(value.text("/a/b/2"), Some("x".into()));
        assert_eq!(value.text("/a/b/0"), None);
        assert_eq!(value.flag("/a/b/4"), Some(true));
        assert_eq!(value.items("/a").len(), 0);
        assert_eq!(micros(1e300).or(micros(0.0)), None);
        assert_eq!(percent(100.5), Some(100.0));
        assert_eq!(percent(f64::NAN), None);
    }

    #[test]
    fn deep_json_is_refused() {
        let deep = "[".repeat(100_000);
        assert!(serde_json::from_str::<Value>(&deep).is_err());
    }
}
