//! JSON text as Go's `encoding/json` writes it.
//!
//! kube-apiserver encodes reviews with Go's encoder: `<`, `>`, `&`, U+2028 and U+2029 inside strings are written as
//! `\u003c` and so on, and numbers without a fraction have no `.0`. A webhook that compares or hashes bytes sees the
//! difference, so the fake writes the same.

mod text;

use std::io;

use apimachinery::value::Value;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use text::Style;

/// Encodes `value` on one line, as Go does, without a trailing newline.
///
/// # Errors
/// Only if `value`'s own `Serialize` fails (a map with keys that are not strings, for example); a
/// [`apimachinery::value::Value`] never does.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(512);
    append(&mut out, value)?;
    Ok(out)
}

/// Appends the encoding of `value` to `out`; on an error `out` keeps what was written so far.
pub(crate) fn append<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), serde_json::Error> {
    value.serialize(&mut Serializer::with_formatter(out, Go))
}

/// Encodes a value on one line as serde_json does: the same without the escapes of Go, as an apiserver answers its clients.
pub fn plain_to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    plain_append(&mut out, value);
    out
}

/// The same, appended to what is there.
pub fn plain_append(out: &mut Vec<u8>, value: &Value) {
    const PLAIN: Style = Style {
        is_special: |bytes| {
            bytes.iter().fold(false, |found, byte| found | (*byte < b' ') | (*byte == b'"') | (*byte == b'\\'))
        },
        text: |out, text| drop(serde_json::to_writer(out, text)),
        float: |out, number| drop(serde_json::to_writer(out, number)),
    };
    PLAIN.value(out, value);
}

const GO: Style = Style {
    is_special: |bytes| {
        bytes.iter().fold(false, |found, byte| {
            let escaped = (*byte < b' ') | (*byte == b'"') | (*byte == b'\\');
            found | escaped | (*byte == b'<') | (*byte == b'>') | (*byte == b'&') | (*byte == 0xe2)
        })
    },
    text: |out, text| drop(append(out, text)),
    float: |out, number| drop(append(out, number)),
};

/// Appends a value as [`to_vec`] encodes it: values are most of what is encoded, and go without serde's detours.
pub fn append_value(out: &mut Vec<u8>, value: &Value) {
    GO.value(out, value);
}

/// The same, where `part` is asked for every object in a field, with the field's name: it writes the object, just as
/// [`append_value`] would, and says so with `true`, or leaves it.
pub fn append_parts(out: &mut Vec<u8>, value: &Value, part: &mut dyn FnMut(&mut Vec<u8>, &str, &Value) -> bool) {
    GO.parts(out, value, part);
}

/// serde_json's compact form, with Go's escapes and Go's floats.
struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        // Without a branch per byte, so that it is done many bytes at a time.
        let is_special = |byte: u8| (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == 0xe2);
        if !bytes.iter().fold(false, |found, byte| found | is_special(*byte)) {
            return writer.write_all(bytes);
        }
        let mut written = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let (escape, length): (&[u8], usize) = match byte {
                b'<' => (b"\\u003c", 1),
                b'>' => (b"\\u003e", 1),
                b'&' => (b"\\u0026", 1),
                0xe2 => match bytes.get(at + 1..at + 3) {
                    Some([0x80, 0xa8]) => (b"\\u2028", 3),
                    Some([0x80, 0xa9]) => (b"\\u2029", 3),
                    _ => continue,
                },
                _ => continue,
            };
            writer.write_all(&bytes[written..at])?;
            writer.write_all(escape)?;
            written = at + length;
        }
        writer.write_all(&bytes[written..])
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // Go: shortest digits, plain notation between 1e-6 and 1e21, otherwise an exponent with its sign.
        let size = value.abs();
        if size == 0.0 || (1e-6..1e21).contains(&size) {
            return write!(writer, "{value}");
        }
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => write!(writer, "{digits}e+{exponent}"),
            _ => writer.write_all(text.as_bytes()),
        }
    }

    fn begin_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        CompactFormatter.begin_string(writer)
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    fn text(value: apimachinery::value::Value) -> String {
        String::from_utf8(to_vec(&value).unwrap()).unwrap()
    }

    #[test]
    fn escapes_what_go_escapes() {
        assert_eq!(
            text(json!("a<b>&\u{2028}\u{2029}\"\\\n\t\u{1}é\u{20ac}")),
            r#""a\u003cb\u003e\u0026\u2028\u2029\"\\\n\t\u0001é€""#
        );
        assert_eq!(text(json!({"<k>": "\u{2028}"})), r#"{"\u003ck\u003e":"\u2028"}"#);
    }

    #[test]
    fn floats_as_go_prints_them() {
        for (value, want) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (123456.789, "123456.789"),
        ] {
            assert_eq!(text(json!(value)), want);
        }
        assert_eq!(text(json!(10000000000u64)), "10000000000");
    }

    #[test]
    fn values_are_written_as_serde_writes_them() {
        let texts =
            ["", "plain", "a<b>&c", "\u{2028}", "\u{20ac}uro", "\"quoted\" \\", "tab\t\n\r\u{8}\u{c}\u{1}\u{7f}"];
        let scalars = [json!(null), json!(true), json!(false), json!(0), json!(-7), json!(u64::MAX), json!(i64::MIN)];
        let floats = [json!(1.0), json!(-0.5), json!(1e300)];
        let mut object = apimachinery::value::Map::new();
        for (number, text) in texts.iter().enumerate() {
            object.insert((*text).to_owned(), json!([text, number, {}, [], {*text: [scalars, floats]}]));
        }
        let value = Value::Object(object);
        let mut written = Vec::new();
        append_value(&mut written, &value);
        assert_eq!(written, to_vec(&value).unwrap());
        assert_eq!(plain_to_vec(&value), serde_json::to_vec(&value).unwrap());
    }
}
