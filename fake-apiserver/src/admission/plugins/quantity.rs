//! Comparing and adding quantities (`100m`, `2Gi`), in thousandths of a millionth.

/// The value times 10^9, rounded up; none when the text is no quantity.
pub(crate) fn nanos(text: &str) -> Option<i128> {
    let split = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (multiply, divide): (i128, i128) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10_i128.checked_pow(power.unsigned_abs())?;
            if power < 0 { (1, factor) } else { (factor, 1) }
        }
    };
    let mut value: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut scale: i128 = 1;
    for digit in fraction.bytes() {
        value = value.checked_mul(10)?.checked_add(i128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))?;
        scale = scale.checked_mul(10)?;
    }
    let value = value.checked_mul(multiply)?.checked_mul(1_000_000_000)?;
    let divisor = divide.checked_mul(scale)?;
    let rounded = value / divisor + i128::from(value % divisor != 0);
    Some(if negative { -rounded } else { rounded })
}

/// A count or an amount of nanos as text: whole numbers plain, else in thousandths.
pub(crate) fn text(nanos: i128) -> String {
    if nanos % 1_000_000_000 == 0 {
        (nanos / 1_000_000_000).to_string()
    } else {
        format!("{}m", nanos / 1_000_000 + i128::from(nanos % 1_000_000 > 0))
    }
}

/// The same for bytes: in the largest binary unit that leaves a whole number.
pub(crate) fn binary_text(nanos: i128) -> String {
    let mut value = nanos / 1_000_000_000;
    let mut unit = 0;
    while value != 0 && value % 1024 == 0 && unit < 6 {
        value /= 1024;
        unit += 1;
    }
    format!("{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][unit])
}

#[cfg(test)]
mod tests {
    use super::{binary_text, nanos, text};

    #[test]
    fn quantities_compare() {
        assert_eq!(nanos("100m"), Some(100_000_000));
        assert_eq!(nanos("0.1"), nanos("100m"));
        assert_eq!(nanos("1Gi"), nanos("1024Mi"));
        assert_eq!(nanos("1e3"), nanos("1k"));
        assert_eq!((nanos("x"), nanos("")), (None, None));
        assert_eq!(
            (text(1_500_000_000), binary_text(nanos("2048Ki").unwrap())),
            ("1500m".to_owned(), "2Mi".to_owned())
        );
    }
}
