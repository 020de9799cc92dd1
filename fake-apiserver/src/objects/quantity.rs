//! Amounts of resources: `100m`, `1Gi`, `1e3`.

use std::fmt;

/// What the apiserver answers to a text that is no quantity.
pub(crate) const FORMAT_ERROR: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const NANO: i128 = 1_000_000_000;

/// An amount, exact to a billionth (finer amounts are rounded away from zero, very large ones are cut).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
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

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.nano.partial_cmp(&other.nano)
    }
}

impl Quantity {
    /// Reads a quantity; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Quantity> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|character: char| !character.is_ascii_digit() && character != '.');
        let (number, suffix) = unsigned.split_at(end.unwrap_or(unsigned.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (format, multiplier, exponent) = suffix_value(suffix)?;
        // mantissa * multiplier * 10^(exponent - digits of the fraction), in billionths
        let fraction = fraction.trim_end_matches('0');
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
        }
        let mut nano = mantissa.saturating_mul(multiplier);
        let mut scale = exponent + 9 - i64::try_from(fraction.len()).ok()?;
        while scale > 0 && nano != 0 && nano < i128::MAX / 10 {
            nano *= 10;
            scale -= 1;
        }
        while scale < 0 && nano != 0 {
            let rest = nano % 10;
            nano = nano / 10 + i128::from(rest != 0);
            scale += 1;
            if nano == 1 && rest != 0 {
                break;
            }
        }
        Some(Quantity { nano: if negative { -nano } else { nano }, format })
    }

    /// Zero, whatever it is written as.
    pub(crate) fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// Below zero.
    pub(crate) fn is_negative(&self) -> bool {
        self.nano < 0
    }

    /// Without a fraction.
    pub(crate) fn is_integer(&self) -> bool {
        self.nano % NANO == 0
    }

    /// Both together, written as this one is.
    pub(crate) fn plus(&self, other: &Quantity) -> Quantity {
        Quantity { nano: self.nano.saturating_add(other.nano), format: self.format }
    }

    /// A whole number of times another amount.
    pub(crate) fn is_multiple_of(&self, unit: &Quantity) -> bool {
        unit.nano != 0 && self.nano % unit.nano == 0
    }
}

fn suffix_value(suffix: &str) -> Option<(Format, i128, i64)> {
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
            let mut number = self.nano / NANO;
            let mut power = 0;
            while number % 1024 == 0 && power < 6 {
                number /= 1024;
                power += 1;
            }
            return write!(f, "{number}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]);
        }
        let mut number = self.nano;
        let mut power = 0;
        while number % 1000 == 0 && power < 9 {
            number /= 1000;
            power += 1;
        }
        if self.format == Format::Exponent {
            let exponent = (i64::try_from(power).unwrap_or(0) - 3) * 3;
            return if exponent == 0 { write!(f, "{number}") } else { write!(f, "{number}e{exponent}") };
        }
        write!(f, "{number}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][power])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts() {
        for (text, canonical) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512", "512"),
            ("1000M", "1G"),
            ("1e3", "1e3"),
            ("0.5Ki", "512"),
            ("100m", "100m"),
            ("-1", "-1"),
            ("2.50", "2500m"),
            ("1234567", "1234567"),
            ("0.0000000001", "1n"),
            ("+3", "3"),
            (".5", "500m"),
            ("1500Mi", "1500Mi"),
        ] {
            assert_eq!(
                Quantity::parse(text).map(|quantity| quantity.to_string()).as_deref(),
                Some(canonical),
                "{text}"
            );
        }
        for text in ["", "abc", "1x", "1.2.3", "-", "1 ", "1e", "."] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
        assert!(Quantity::parse("1").zip(Quantity::parse("1000m")).is_some_and(|(one, other)| one == other));
    }
}
