//! Types of plain scalars by YAML 1.1, in go-yaml v2's reading of it.

use crate::value::{Number, Value};

/// What an unquoted scalar stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A string that looks like a date or a time; it is read as a string but must be quoted when written.
    Timestamp,
    String,
}

/// The type of the plain scalar `text`.
pub(super) fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => word(text).unwrap_or_else(|| number(text)),
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            word(text).unwrap_or(Scalar::String)
        }
        _ => Scalar::String,
    }
}

/// The words with a meaning of their own.
fn word(text: &str) -> Option<Scalar> {
    if text.len() > 5 {
        return None;
    }
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Scalar::Bool(false),
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(text: &str) -> Scalar {
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Scalar::String;
    }
    if text.starts_with('.') {
        // Underscores are not taken out here: go-yaml asks Go's number parser directly.
        return float(text).map_or(Scalar::String, Scalar::Float);
    }
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    if text.contains('_') { without_underscores(&text.replace('_', "")) } else { without_underscores(text) }
}

fn without_underscores(text: &str) -> Scalar {
    if let Some(whole) = integer(text) {
        return whole;
    }
    float(text).map_or(Scalar::String, Scalar::Float)
}

/// Decimal, `0x`, `0o`, `0b` and, with a leading zero, octal; with or without a sign.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(number) => Some(Scalar::Int(number)),
        // A plus sign is for signed numbers only.
        Err(_) if text.starts_with('+') => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// A decimal number with a fraction or an exponent; nothing that does not fit a double.
fn float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(bytes, &mut at);
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        fraction = digits(bytes, &mut at);
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        if digits(bytes, &mut at) == 0 {
            return None;
        }
    }
    if at != bytes.len() {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Steps over decimal digits and says how many there were.
fn digits(bytes: &[u8], at: &mut usize) -> usize {
    let start = *at;
    while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    *at - start
}

/// `2001-12-14`, `2001-12-14T21:59:43.10-05:00`, `2001-12-14 21:59:43.10`: with a `T` the zone is a must, with a blank it
/// must not be there.
pub(super) fn is_timestamp(text: &str) -> bool {
    let mut rest = Fields { bytes: text.as_bytes(), at: 0 };
    let (Some(year), true) = (rest.number(4, 4), rest.skip(b"-")) else { return false };
    let (Some(month), true) = (rest.number(1, 2), rest.skip(b"-")) else { return false };
    let Some(day) = rest.number(1, 2) else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    if !(1..=days).contains(&day) || rest.ended() {
        return rest.ended() && (1..=days).contains(&day);
    }
    let zoned = rest.skip(b"tT");
    if !zoned && !rest.skip(b" ") {
        return false;
    }
    let clock = [24, 60, 60].iter().enumerate().all(|(index, limit)| {
        (index == 0 || rest.skip(b":")) && rest.number(1, 2).is_some_and(|number| number < *limit)
    });
    if !clock || (rest.skip(b".") && digits(rest.bytes, &mut rest.at) == 0) {
        return false;
    }
    if !zoned || rest.skip(b"Z") {
        return rest.ended();
    }
    rest.skip(b"+-")
        && rest.number(2, 2).is_some_and(|hours| hours <= 24)
        && rest.skip(b":")
        && rest.number(2, 2).is_some_and(|minutes| minutes < 60)
        && rest.ended()
}

/// Walks over the fields of a date.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    /// A number of so many digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let start = self.at;
        while self.at - start < most && self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let field = &self.bytes[start..self.at];
        (field.len() >= least).then(|| field.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    /// Steps over one of the bytes wanted, if one is there.
    fn skip(&mut self, wanted: &[u8]) -> bool {
        let found = self.bytes.get(self.at).is_some_and(|byte| wanted.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn ended(&self) -> bool {
        self.at == self.bytes.len()
    }
}

/// The JSON number that Go prints for a double: without a fraction it is an integer again. `None` for infinities and
/// not-a-number.
pub(super) fn json_number(number: f64) -> Option<Number> {
    if number.fract() == 0.0 {
        // The bounds are exact in a double; the upper ones are the first that do not fit.
        if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
            return Some(Number::from(number as i64));
        }
        if (0.0..18_446_744_073_709_551_616.0).contains(&number) {
            return Some(Number::from(number as u64));
        }
    }
    Number::from_f64(number)
}

/// Turns doubles without a fraction into integers, all through a value that came from JSON text.
pub(super) fn normalise(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(same) = number.as_f64().and_then(json_number) {
                *number = same;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => fields.values_mut().for_each(normalise),
        _ => {}
    }
}

impl Scalar {
    /// The short form of the YAML tag.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Scalar::Null => "!!null",
            Scalar::Bool(_) => "!!bool",
            Scalar::Int(_) | Scalar::Uint(_) => "!!int",
            Scalar::Float(_) => "!!float",
            Scalar::Timestamp => "!!timestamp",
            Scalar::String => "!!str",
        }
    }
}
