//! How Go prints values in its error messages, which apiservers and injectors hand on.

use std::fmt::Write as _;

use crate::value::Value;

/// `fmt`'s `%v` of a decoded JSON value: `map[a:1 b:[x <nil>]]`.
pub(crate) fn plain(value: &Value) -> String {
    let mut out = String::new();
    write_plain(&mut out, value);
    out
}

/// `fmt`'s `%v` of a list.
pub(crate) fn plain_list(items: &[Value]) -> String {
    let mut out = String::new();
    write_list(&mut out, items);
    out
}

fn write_plain(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => write_list(out, items),
        Value::Object(fields) => {
            out.push_str("map[");
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                write_plain(out, value);
            }
            out.push(']');
        }
        Value::Bool(_) | Value::Number(_) => {
            // Writing to a String cannot fail.
            let _ = match value.as_f64() {
                Some(float) if value.is_f64() => write!(out, "{}", general(&format!("{float:e}"), 21)),
                _ => write!(out, "{value}"),
            };
        }
    }
}

fn write_list(out: &mut String, items: &[Value]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write_plain(out, item);
    }
    out.push(']');
}

/// The name of a decoded JSON value's Go type; `%!s(<nil>)` is what Go prints for the type of nothing.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A double as Go's `strconv.FormatFloat(f, 'g', -1, …)` prints it, given its shortest digits in Rust's `{:e}` form:
/// with an exponent from `10^largest` on and below a ten-thousandth. `strconv` has 6 for `largest`, `fmt` has 21.
pub(crate) fn general(scientific: &str, largest: i32) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    if (-4..largest).contains(&exponent) {
        let digits = mantissa.replace('.', "");
        let point = exponent + 1;
        if point <= 0 {
            let zeros = "0".repeat(point.unsigned_abs() as usize);
            return format!("{sign}0.{zeros}{digits}");
        }
        let point = point.unsigned_abs() as usize;
        if digits.len() <= point {
            return format!("{sign}{digits}{}", "0".repeat(point - digits.len()));
        }
        return format!("{sign}{}.{}", &digits[..point], &digits[point..]);
    }
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{direction}{:02}", exponent.unsigned_abs())
}

/// A text in double quotes as Go's `strconv.Quote` and `%q` print it: letters, marks, digits, punctuation, symbols and the plain space
/// as they are, all else escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        let code = u32::from(character);
        // Writing to a String cannot fail.
        let _ = match character {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            ' '..='~' => out.write_char(character),
            '\u{7}' => out.write_str("\\a"),
            '\u{8}' => out.write_str("\\b"),
            '\u{c}' => out.write_str("\\f"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            '\u{b}' => out.write_str("\\v"),
            '\0'..='\u{7f}' => write!(out, "\\x{code:02x}"),
            _ if is_printable(character) => out.write_char(character),
            ..='\u{ffff}' => write!(out, "\\u{code:04x}"),
            _ => write!(out, "\\U{code:08x}"),
        };
    }
    out.push('"');
    out
}

/// Go's `strconv.IsPrint` beyond ASCII. The standard library goes by the same categories when it escapes, but for marks at the
/// beginning of a text, which is why there is a letter before it.
fn is_printable(character: char) -> bool {
    let mut text = [0; 8];
    text[0] = b'a';
    let length = 1 + character.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..length]).is_ok_and(|text| text.escape_debug().count() == 2)
}

#[cfg(test)]
mod tests {
    use super::quote;

    /// By the rules of `strconv.Quote`: what `strconv.IsPrint` takes for printable stands as it is.
    #[test]
    fn texts_in_quotes() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a \"b\" \\ <&>", r#""a \"b\" \\ <&>""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1b}\u{7f}", r#""\x00\x1b\x7f""#),
            ("äß日本😀", r#""äß日本😀""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{301}", "\"\u{301}\""),
            ("\u{80}\u{a0}\u{ad}", r#""\u0080\u00a0\u00ad""#),
            ("\u{200b}\u{2028}\u{3000}\u{feff}\u{e000}", r#""\u200b\u2028\u3000\ufeff\ue000""#),
            ("\u{e0001}\u{10ffff}", r#""\U000e0001\U0010ffff""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
