//! Words of G-code: a letter and a number. Strict on purpose, and no kin of what the product reads
//! G-code with: what is simulated here is what the product is tested against.

/// Reads a number as GRBL's `read_float` does: a sign, digits, one point; no exponent. Returns what
/// is behind it. `None` when there is no digit.
pub(super) fn number(text: &str) -> Option<(f64, &str)> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let mut points = 0;
    let digits = text[sign..].find(|c: char| {
        points += usize::from(c == '.');
        !(c.is_ascii_digit() || (c == '.' && points == 1))
    });
    let end = digits.map_or(text.len(), |digits| sign + digits);
    let value = &text[..end];
    if !value.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: f64 = value.parse().expect("a sign, digits and a point are a number");
    Some((value.clamp(-VALUE_MAX, VALUE_MAX), &text[end..]))
}

/// No machine is so large, and sums of such numbers are still times and places.
const VALUE_MAX: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_they_end() {
        assert_eq!(number("-1.50Y2"), Some((-1.5, "Y2")));
        assert_eq!(number("+.5"), Some((0.5, "")));
        assert_eq!(number("1.2.3"), Some((1.2, ".3")));
        assert_eq!(number("10E3"), Some((10.0, "E3")));
        assert_eq!(number("-"), None);
        assert_eq!(number("."), None);
        assert_eq!(number("X"), None);
    }
}
