//! Kubernetes' quantities, as far as injection has to read them: whether a text is one, and its canonical form.

/// Decimal suffixes with their powers of ten, the largest first.
const DECIMAL: [(&str, i32); 10] =
    [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3), ("u", -6), ("n", -9)];
/// Binary suffixes with their powers of 1024, the largest first.
const BINARY: [(&str, u32); 6] = [("Ei", 6), ("Pi", 5), ("Ti", 4), ("Gi", 3), ("Mi", 2), ("Ki", 1)];

/// The quantity as an apiserver prints it (`3000m` is `3`, `1024Mi` is `1Gi`); `None` if the text is no quantity.
///
/// Exponents (`1e3`) and numbers beyond what an apiserver keeps exactly are quantities, and stay as they are written.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return None;
    }
    let decimal = DECIMAL.iter().find(|(s, _)| *s == suffix);
    let binary = BINARY.iter().find(|(s, _)| *s == suffix);
    if decimal.is_none() && binary.is_none() {
        let exponent = suffix.strip_prefix(['e', 'E'])?;
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        return fine.then(|| text.to_owned());
    }
    let exact = || {
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let scale = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        if digits == 0 {
            return Some("0".to_owned());
        }
        if let Some((_, power)) = binary {
            let bytes = digits.checked_mul(1024i128.checked_pow(*power)?)?;
            if bytes % scale != 0 {
                return None;
            }
            let bytes = bytes / scale;
            let (suffix, power) = BINARY.iter().find(|(_, p)| bytes % 1024i128.pow(*p) == 0).unwrap_or(&("", 0));
            return Some(format!("{sign}{}{suffix}", bytes / 1024i128.pow(*power)));
        }
        let (_, power) = decimal?;
        // In billionths, the smallest unit that an apiserver keeps.
        let nanos = digits.checked_mul(10i128.checked_pow(u32::try_from(power + 9).ok()?)?)?;
        if nanos % scale != 0 {
            return None;
        }
        let nanos = nanos / scale;
        let unit = |power: i32| u32::try_from(power + 9).ok().and_then(|p| 10i128.checked_pow(p));
        let (suffix, size) =
            DECIMAL.iter().filter_map(|(s, p)| Some((*s, unit(*p)?))).find(|(_, size)| nanos % size == 0)?;
        Some(format!("{sign}{}{suffix}", nanos / size))
    };
    Some(exact().unwrap_or_else(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn texts_come_out_as_an_apiserver_prints_them() {
        for (text, wanted) in [
            ("3000m", "3"),
            ("0.5", "500m"),
            ("1000", "1k"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100Mi", "100Mi"),
            ("-2.50", "-2500m"),
            ("+1", "1"),
            ("0", "0"),
            ("1e3", "1e3"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "1Q", "1 Mi", "m", "1..2", "1.2.3", "1e", "one", "1mm"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
