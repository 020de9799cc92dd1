//! Bodies in `application/vnd.kubernetes.protobuf`, which kubectl and Go's typed clients send, as the JSON that they mean.
//!
//! A body is the four bytes `k8s\0` and a message `runtime.Unknown` that holds apiVersion, kind and the object. Which field of
//! which kind has which number stands in `protobuf/fields.txt` (made by `tools/protobuf-fields`, which says how to read it).
//! Answers are JSON: every client that sends protobuf accepts both.

mod fields;
#[cfg(test)]
mod tests;
mod wire;

use apimachinery::clock::Timestamp;
use apimachinery::value::{Map, Number, Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::fields::{Field, Form, Message, TABLE};
use self::wire::{Part, Reader};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Messages within messages.
const MAX_DEPTH: u32 = 64;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    #[error("proto: the message is cut off or malformed")]
    Malformed,
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind { api_version: String, kind: String },
    #[error("proto: messages are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// The object of a body. `api_version` and `kind` are what is expected where the body does not say so itself.
pub(crate) fn decode(body: &[u8], api_version: &str, kind: &str) -> Result<Value, Error> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Error::NoMagic)?;
    let (mut said_version, mut said_kind, mut raw) = (String::new(), String::new(), &b""[..]);
    for part in Reader(envelope) {
        match part? {
            (1, Part::Bytes(type_meta)) => {
                for part in Reader(type_meta) {
                    match part? {
                        (1, Part::Bytes(text)) => said_version = utf8(text),
                        (2, Part::Bytes(text)) => said_kind = utf8(text),
                        _ => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let api_version = if said_version.is_empty() { api_version.to_owned() } else { said_version };
    let kind = if said_kind.is_empty() { kind.to_owned() } else { said_kind };
    let Some(message) = TABLE.kind(&api_version, &kind) else { return Err(Error::UnknownKind { api_version, kind }) };
    let mut object = object(message, raw, 0)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn object(message: &Message, bytes: &[u8], depth: u32) -> Result<Map, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let mut object = Map::new();
    for part in Reader(bytes) {
        let (number, part) = part?;
        // A field that is not known is a newer client's.
        let Some(field) = message.field(number) else { continue };
        take(&mut object, field, &part, depth)?;
    }
    Ok(object)
}

/// Adds what one part says to the object.
fn take(object: &mut Map, field: &Field, part: &Part<'_>, depth: u32) -> Result<(), Error> {
    if field.inline {
        if let (Form::Message(name), Part::Bytes(bytes)) = (field.form.inner(), part)
            && let Some(message) = TABLE.message(name)
        {
            object.extend(self::object(message, bytes, depth + 1)?);
        }
        return Ok(());
    }
    match &field.form {
        Form::List(item) => {
            let value = value(item, part, depth)?;
            if let Value::Array(list) = object.entry(field.name.clone()).or_insert_with(|| json!([])) {
                list.push(value);
            }
        }
        Form::Map(item) => {
            let Part::Bytes(entry) = part else { return Err(Error::Malformed) };
            let (mut key, mut found) = (String::new(), empty(item));
            for part in Reader(entry) {
                match part? {
                    (1, Part::Bytes(text)) => key = utf8(text),
                    (2, part) => found = value(item, &part, depth)?,
                    _ => {}
                }
            }
            if let Value::Object(map) = object.entry(field.name.clone()).or_insert_with(|| json!({})) {
                map.insert(key, found);
            }
        }
        Form::Pointer(item) => {
            object.insert(field.name.clone(), value(item, part, depth)?);
        }
        plain => {
            // Go writes values that are no pointers even when they are empty; JSON leaves them out.
            let value = value(plain, part, depth)?;
            if field.keeps_empty && !value.is_object() || !is_empty(&value) {
                object.insert(field.name.clone(), value);
            }
        }
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// What a map's entry without a value means.
fn empty(form: &Form) -> Value {
    match form {
        Form::Integer | Form::Float => 0.into(),
        Form::Bool => false.into(),
        Form::NamedList(_) | Form::List(_) => json!([]),
        Form::Message(_) => json!({}),
        _ => "".into(),
    }
}

fn value(form: &Form, part: &Part<'_>, depth: u32) -> Result<Value, Error> {
    Ok(match (form, part) {
        (Form::Pointer(inner), part) => value(inner, part, depth)?,
        (Form::Text, Part::Bytes(text)) => utf8(text).into(),
        (Form::Bytes, Part::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        (Form::Integer, Part::Varint(number)) => number.cast_signed().into(),
        (Form::Bool, Part::Varint(number)) => (*number != 0).into(),
        (Form::Float, Part::Fixed64(bits)) => {
            Number::from_f64(f64::from_bits(*bits)).map_or(Value::Null, Value::Number)
        }
        (Form::Float, Part::Fixed32(bits)) => {
            Number::from_f64(f64::from(f32::from_bits(*bits))).map_or(Value::Null, Value::Number)
        }
        (Form::Time, Part::Bytes(bytes)) => time(bytes, false)?,
        (Form::MicroTime, Part::Bytes(bytes)) => time(bytes, true)?,
        (Form::Duration, Part::Bytes(bytes)) => {
            let nanos = numbers(bytes, [1])?[0];
            format!("{nanos}ns").into()
        }
        (Form::Quantity, Part::Bytes(bytes)) => text_of(bytes, 1)?.into(),
        (Form::IntOrString, Part::Bytes(bytes)) => {
            let [kind, number] = numbers(bytes, [1, 2])?;
            if kind == 0 { number.into() } else { text_of(bytes, 3)?.into() }
        }
        (Form::Raw, Part::Bytes(bytes)) => {
            let raw = Reader(bytes).find_map(|part| match part {
                Ok((1, Part::Bytes(raw))) => Some(raw),
                _ => None,
            });
            raw.map_or(Ok(Value::Null), serde_json::from_slice).map_err(|_| Error::Malformed)?
        }
        (Form::Message(name), Part::Bytes(bytes)) => match TABLE.message(name) {
            Some(message) => Value::Object(object(message, bytes, depth + 1)?),
            None => json!({}),
        },
        (Form::NamedList(item), Part::Bytes(bytes)) => {
            let mut list = Vec::new();
            for part in Reader(bytes) {
                if let (1, part) = part? {
                    list.push(value(item, &part, depth + 1)?);
                }
            }
            list.into()
        }
        _ => return Err(Error::Malformed),
    })
}

/// The text in a field of a message.
fn text_of(bytes: &[u8], wanted: u32) -> Result<String, Error> {
    let mut text = String::new();
    for part in Reader(bytes) {
        match part? {
            (number, Part::Bytes(found)) if number == wanted => text = utf8(found),
            _ => {}
        }
    }
    Ok(text)
}

/// The numbers in fields of a message.
fn numbers<const N: usize>(bytes: &[u8], wanted: [u32; N]) -> Result<[i64; N], Error> {
    let mut found = [0; N];
    for part in Reader(bytes) {
        if let (number, Part::Varint(value)) = part?
            && let Some(at) = wanted.iter().position(|wanted| *wanted == number)
        {
            found[at] = value.cast_signed();
        }
    }
    Ok(found)
}

/// Seconds and nanoseconds; an empty message is Go's zero time, which JSON writes as null.
fn time(bytes: &[u8], micros: bool) -> Result<Value, Error> {
    let [seconds, nanos] = numbers(bytes, [1, 2])?;
    // The zero time is the first second of the year 1.
    if bytes.is_empty() || seconds == -62_135_596_800 {
        return Ok(Value::Null);
    }
    let total = seconds.saturating_mul(1_000_000).saturating_add(if micros { nanos / 1000 } else { 0 });
    let time = Timestamp::from_unix_micros(total);
    Ok(if micros { time.rfc3339_micro() } else { time.rfc3339() }.into())
}
