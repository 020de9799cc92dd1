//! Quantities as these eras need them: is it one, and how many processors is it.

/// Digits before and after the point, and the power of ten or two.
fn parts(text: &str) -> Option<(f64, f64)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    if digits.contains(['+', '-']) || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024f64,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10f64.powi(exponent)
        }
    };
    Some((number.parse().ok()?, factor))
}

/// Whether the API takes the text as a quantity.
pub(crate) fn is_valid(text: &str) -> bool {
    parts(text).is_some()
}

/// Whole processors, rounded up; 0 for what is no quantity or not above zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a small range before")]
pub(crate) fn processors(text: &str) -> u32 {
    // Thousandths first, so that 2000m is 2 and not a bit more.
    let thousandths = parts(text).map_or(0.0, |(number, factor)| (number * factor * 1000.0).round());
    (thousandths / 1000.0).ceil().clamp(0.0, 1e6) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_told_from_other_texts() {
        for good in ["0", "100m", "1.5", ".5Gi", "1e3", "1E3", "2E", "+1", "128Mi"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", " ", "m", "1 Gi", "1gi", "1.2.3", "1-2", "1e", "x"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn processors_are_rounded_up() {
        for (text, count) in
            [("2000m", 2), ("2", 2), ("100m", 1), ("2001m", 3), ("0", 0), ("", 0), ("-1", 0), ("1k", 1000)]
        {
            assert_eq!(processors(text), count, "{text}");
        }
    }
}
