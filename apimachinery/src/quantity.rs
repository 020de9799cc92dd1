//! Amounts of resources: `100m`, `1Gi`, `1e3`.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;

/// An amount, exact to a billionth as in an apiserver: finer amounts are rounded away from zero, amounts beyond about
/// 10^29 become the largest `int64`.
///
/// Amounts are equal, and ordered, whatever they were written as; printing gives the canonical text.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Quantity {
    /// Reads a quantity; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (format, factor, exponent) = read_suffix(suffix)?;
        let nano = billionths(whole, fraction, factor, exponent).unwrap_or(i128::from(i64::MAX) * NANO);
        Some(Self { nano: if negative { -nano } else { nano }, format })
    }

    /// Zero, whatever it is written as.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// Below zero.
    pub fn is_negative(&self) -> bool {
        self.nano < 0
    }

    /// Without a fraction.
    pub fn is_integer(&self) -> bool {
        self.nano % NANO == 0
    }

    /// A whole number of times another amount; never of nothing.
    pub fn is_multiple_of(&self, unit: &Self) -> bool {
        unit.nano != 0 && self.nano % unit.nano == 0
    }

    /// Both together, written as this one is.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano), format: self.format }
    }

    /// Whole units, the next above if there is a fraction.
    pub fn ceil(&self) -> i128 {
        self.nano.div_euclid(NANO) + i128::from(!self.is_integer())
    }
}

/// `whole.fraction` times `factor` times ten to the power of `exponent`, in billionths, rounded up; `None` if it is too large.
fn billionths(whole: &str, fraction: &str, factor: i128, exponent: i64) -> Option<i128> {
    // Digits that are kept: what int64 holds and nine places after it; fewer leave room for a binary factor.
    let limit = 10i128.pow(if factor == 1 { 28 } else { 19 });
    let (mut mantissa, mut scale, mut rest) = (0i128, exponent + 9, false);
    for (digit, places) in whole.bytes().map(|d| (d, 0)).chain(fraction.bytes().map(|d| (d, 1))) {
        if mantissa < limit {
            mantissa = mantissa * 10 + i128::from(digit - b'0');
            scale -= places;
        } else {
            rest |= digit != b'0';
            scale += 1 - places;
        }
    }
    let mut nano = mantissa.checked_mul(factor)?;
    while scale > 0 && nano != 0 {
        nano = nano.checked_mul(10)?;
        scale -= 1;
    }
    while scale < 0 && nano != 0 {
        rest |= nano % 10 != 0;
        nano /= 10;
        scale += 1;
    }
    nano.checked_add(i128::from(rest))
}

/// The suffix's format, its factor, and its power of ten.
fn read_suffix(suffix: &str) -> Option<(Format, i128, i64)> {
    let decimal = |exponent| Some((Format::Decimal, 1, exponent));
    let binary = |power: u32| Some((Format::Binary, 1 << (10 * power), 0));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let exponent: i64 = exponent.parse().ok()?;
            Some((Format::Exponent, 1, exponent.clamp(-1000, 1000)))
        }
    }
}

impl fmt::Display for Quantity {
    /// The canonical text: no fraction, the largest suffix that keeps it exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let small = self.nano.abs() < 1024 * NANO;
        if self.format == Format::Binary && !small && self.is_integer() {
            let (number, suffix) = shorten(self.nano / NANO, 1024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]);
            return write!(f, "{number}{suffix}");
        }
        if self.format == Format::Exponent {
            let (number, exponent) =
                shorten(self.nano, 1000, &["e-9", "e-6", "e-3", "", "e3", "e6", "e9", "e12", "e15", "e18"]);
            return write!(f, "{number}{exponent}");
        }
        let (number, suffix) = shorten(self.nano, 1000, &["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]);
        write!(f, "{number}{suffix}")
    }
}

/// The number in the largest unit that keeps it whole; each unit is `step` times the one before.
fn shorten<'s>(mut number: i128, step: i128, units: &[&'s str]) -> (i128, &'s str) {
    let mut units = units.iter().copied();
    let mut unit = units.next().unwrap_or_default();
    while number % step == 0
        && let Some(next) = units.next()
    {
        (number, unit) = (number / step, next);
    }
    (number, unit)
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn canonical_texts() {
        for (text, canonical) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1000", "1k"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512", "512"),
            ("1000M", "1G"),
            ("2E", "2E"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("1e2", "100"),
            ("1e-3", "1e-3"),
            ("0.5Ki", "512"),
            ("100m", "100m"),
            ("-1", "-1"),
            ("-2.50", "-2500m"),
            ("1234567", "1234567"),
            ("0.0000000001", "1n"),
            ("+3", "3"),
            (".5", "500m"),
            ("1500Mi", "1500Mi"),
            ("1e999999", "9223372036854775807"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.to_string()).as_deref(), Some(canonical), "{text}");
        }
    }

    #[test]
    fn long_numbers_keep_their_size() {
        let digits = "1".repeat(10_000);
        let text = |text: String| Quantity::parse(&text).map(|q| q.to_string());
        assert_eq!(text(format!("0.{digits}")).as_deref(), Some("111111112n"));
        assert_eq!(text(format!("1.{digits}Ki")).as_deref(), Some("1137777777778n"));
        assert_eq!(text(digits).as_deref(), Some("9223372036854775807"));
        assert_eq!(text(format!("{}5", "0".repeat(10_000))).as_deref(), Some("5"));
    }

    #[test]
    fn other_texts_are_none() {
        let bad =
            ["", " ", "m", "-", ".", "abc", "1x", "1Q", "1.2.3", "1..2", "1-2", "1 ", "1 Gi", "1gi", "1mm", "1e", "1é"];
        for text in bad {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_compare_whatever_they_are_written_as() {
        let [one, same, more] = ["1", "1000m", "1001m"].map(Quantity::parse);
        assert!(one.is_some() && one == same && one < more);
        let ceils = ["2001m", "2", "0", "-1500m", "1n"].map(|t| Quantity::parse(t).map(|q| q.ceil()));
        assert_eq!(ceils, [Some(3), Some(2), Some(0), Some(-1), Some(1)]);
    }
}
