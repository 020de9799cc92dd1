//! Values written without serde's detours: texts and keys are most of an object, and most of them need no escape.

use std::io::Write as _;

use apimachinery::value::{Map, Value};

/// How texts and floats are written.
pub(super) struct Style {
    /// Whether a byte may begin something that is escaped; branch-free, so that it is asked of many bytes at a time.
    pub(super) is_special: fn(&[u8]) -> bool,
    /// Texts that hold something special, with their quotes.
    pub(super) text: fn(&mut Vec<u8>, &str),
    /// Numbers that are no integers.
    pub(super) float: fn(&mut Vec<u8>, &apimachinery::value::Number),
}

impl Style {
    pub(super) fn value(&self, out: &mut Vec<u8>, value: &Value) {
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(number) if number.is_f64() => (self.float)(out, number),
            // Writing to a Vec cannot fail.
            Value::Number(number) => drop(write!(out, "{number}")),
            Value::String(text) => self.text(out, text),
            Value::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.value(out, item);
                }
                out.push(b']');
            }
            Value::Object(fields) => self.object(out, fields),
        }
    }

    /// As [`Style::value`]; `part` may write the objects in fields.
    pub(super) fn parts(
        &self,
        out: &mut Vec<u8>,
        value: &Value,
        part: &mut dyn FnMut(&mut Vec<u8>, &str, &Value) -> bool,
    ) {
        match value {
            Value::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.parts(out, item, part);
                }
                out.push(b']');
            }
            Value::Object(fields) => {
                out.push(b'{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.text(out, name);
                    out.push(b':');
                    if !(value.is_object() && part(out, name, value)) {
                        self.parts(out, value, part);
                    }
                }
                out.push(b'}');
            }
            scalar => self.value(out, scalar),
        }
    }

    fn object(&self, out: &mut Vec<u8>, fields: &Map) {
        out.push(b'{');
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.text(out, name);
            out.push(b':');
            self.value(out, value);
        }
        out.push(b'}');
    }

    fn text(&self, out: &mut Vec<u8>, text: &str) {
        let bytes = text.as_bytes();
        if (self.is_special)(bytes) {
            return (self.text)(out, text);
        }
        out.reserve(bytes.len() + 2);
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    }
}
