//! Reading a value of a known type: what does not belong is noted and dropped, what is zero is written as the apiserver writes it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Write as _};

use apimachinery::quantity::Quantity;
use apimachinery::schema::Kind;
use apimachinery::value::{List, Map, Number, Text, Unordered, Value};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::times;
use crate::objects::types::{Field, Type};

/// What the apiserver answers to a text that is no quantity.
pub(super) const FORMAT_ERROR: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// Most unknown and duplicate fields that are reported.
const MOST_STRICT_ERRORS: usize = 100;

/// What was found on the way through a document.
#[derive(Debug, Default)]
pub(super) struct Findings {
    steps: Vec<Step>,
    /// The structs on the way, innermost last.
    structs: Vec<&'static str>,
    /// Unknown and duplicate fields, in the order of the document.
    pub(super) strict: Vec<String>,
    /// The first value of a wrong type, in the apiserver's words.
    pub(super) error: Option<String>,
}

#[derive(Debug)]
enum Step {
    Field(&'static str),
    Key(Text),
    Index(usize),
}

impl Findings {
    fn strict(&mut self, what: &str, name: &str) {
        if self.strict.len() >= MOST_STRICT_ERRORS {
            return;
        }
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Field(name) => path.extend([if path.is_empty() { "" } else { "." }, name]),
                Step::Key(name) => path.extend([if path.is_empty() { "" } else { "." }, name.as_str()]),
                Step::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
            }
        }
        path.extend([if path.is_empty() { "" } else { "." }, name]);
        self.strict.push(format!("{what} field \"{path}\""));
    }

    fn mismatch<E: de::Error>(&mut self, found: &str, wanted: &str) -> E {
        let path: Vec<&str> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Field(name) => Some(*name),
                _ => None,
            })
            .collect();
        let text = match self.structs.last() {
            Some(name) if !path.is_empty() => {
                format!(
                    "json: cannot unmarshal {found} into Go struct field {name}.{} of type {wanted}",
                    path.join(".")
                )
            }
            _ => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
        };
        self.fail(text)
    }

    fn fail<E: de::Error>(&mut self, text: String) -> E {
        self.error.get_or_insert(text);
        E::custom("value of a wrong type")
    }
}

/// A value of a type; the outcome is `Null` for what is absent.
pub(super) struct Typed<'f> {
    pub(super) findings: &'f mut Findings,
    kind: &'f Kind,
    field: &'f Field,
}

impl<'f> Typed<'f> {
    fn wanted(&self) -> String {
        self.field.go(self.kind)
    }

    fn mismatch<E: de::Error>(self, found: &str) -> E {
        let wanted = self.wanted();
        self.findings.mismatch(found, &wanted)
    }

    fn text<E: de::Error>(self, text: Cow<'_, str>) -> Result<Value, E> {
        match self.kind {
            Kind::String | Kind::IntOrString | Kind::Any => Ok(Value::from(text)),
            Kind::Quantity => match Quantity::parse(text.trim()) {
                Some(quantity) => Ok(Value::from(quantity.to_string())),
                None => Err(self.findings.fail(FORMAT_ERROR.to_owned())),
            },
            Kind::Time | Kind::MicroTime => {
                if text.is_empty() {
                    return Ok(Value::Null);
                }
                times::canonical(&text, matches!(self.kind, Kind::MicroTime))
                    .map(Value::from)
                    .map_err(|error| self.findings.fail(error))
            }
            Kind::Bytes => match BASE64_STANDARD.decode(text.as_bytes()) {
                Ok(_) => Ok(Value::from(text)),
                Err(error) => Err(self.findings.fail(base64_error(&text, &error))),
            },
            _ => Err(self.mismatch("string")),
        }
    }

    fn integer<E: de::Error>(self, number: Number) -> Result<Value, E> {
        match self.kind {
            Kind::Int32 | Kind::IntOrString => {
                if number.as_i64().is_some_and(|value| i32::try_from(value).is_ok()) {
                    return Ok(Value::Number(number));
                }
                let wanted = if matches!(self.kind, Kind::Int32) { self.wanted() } else { "int32".to_owned() };
                Err(self.findings.mismatch(&format!("number {number}"), &wanted))
            }
            Kind::Int64 => {
                if number.is_i64() {
                    return Ok(Value::Number(number));
                }
                Err(self.mismatch(&format!("number {number}")))
            }
            Kind::Number | Kind::Any => Ok(Value::Number(number)),
            Kind::Quantity => self.text(Cow::Owned(number.to_string())),
            _ => Err(self.mismatch("number")),
        }
    }
}

/// Go's text for a broken base64 text: the offset of the first byte that does not fit.
fn base64_error(text: &str, error: &base64::DecodeError) -> String {
    let offset = match error {
        base64::DecodeError::InvalidByte(offset, _) => *offset,
        _ => text.len() - text.len() % 4,
    };
    format!("illegal base64 data at input byte {offset}")
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Typed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wanted())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        match self.kind {
            Kind::Boolean | Kind::Any => Ok(Value::Bool(value)),
            Kind::Quantity => Err(self.findings.fail(FORMAT_ERROR.to_owned())),
            Kind::IntOrString => Err(self.findings.mismatch("bool", "int32")),
            _ => Err(self.mismatch("bool")),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.integer(Number::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.integer(Number::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let Some(number) = Number::from_f64(value) else { return Err(self.mismatch("number")) };
        match self.kind {
            Kind::Number | Kind::Any => Ok(Value::Number(number)),
            Kind::Quantity => self.text(Cow::Owned(value.to_string())),
            Kind::Int32 | Kind::Int64 | Kind::IntOrString => {
                let wanted = if matches!(self.kind, Kind::IntOrString) { "int32".to_owned() } else { self.wanted() };
                Err(self.findings.mismatch(&format!("number {number}"), &wanted))
            }
            _ => Err(self.mismatch("number")),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(Cow::Borrowed(value))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.text(Cow::Owned(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let item = match self.kind {
            Kind::List(item) => item.as_ref(),
            Kind::Any => &Kind::Any,
            Kind::Quantity => return Err(self.findings.fail(FORMAT_ERROR.to_owned())),
            _ => return Err(self.mismatch("array")),
        };
        let mut list = List::new();
        loop {
            self.findings.steps.push(Step::Index(list.len()));
            let seed = Typed { findings: &mut *self.findings, kind: item, field: self.field };
            let next = sequence.next_element_seed(seed)?;
            self.findings.steps.pop();
            match next {
                None => break,
                Some(Value::Null) => list.push(zero(item, self.field)),
                Some(value) => list.push(value),
            }
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        match self.kind {
            Kind::Object(_) => match self.field.inner() {
                Some(ty) => Struct { findings: self.findings, ty }.visit_map(map),
                None => Ok(Value::Null),
            },
            Kind::Map(value) => free_map(self.findings, value, self.field, map),
            Kind::Any => free_map(self.findings, &Kind::Any, self.field, map),
            Kind::Quantity => Err(self.findings.fail(FORMAT_ERROR.to_owned())),
            Kind::IntOrString => Err(self.findings.mismatch("object", "int32")),
            _ => Err(self.mismatch("object")),
        }
    }
}

fn free_map<'de, A: MapAccess<'de>>(
    findings: &mut Findings,
    value: &Kind,
    field: &Field,
    mut map: A,
) -> Result<Value, A::Error> {
    // In whatever order the fields come, the cost stays linear.
    let (mut out, mut seen) = (Unordered::default(), HashSet::new());
    while let Some(key) = map.next_key::<Text>()? {
        let known = !matches!(value, Kind::Any);
        if known && !seen.insert(key.clone()) {
            findings.strict("duplicate", &key);
        }
        findings.steps.push(Step::Key(key));
        let seed = Typed { findings: &mut *findings, kind: value, field };
        let element = map.next_value_seed(seed)?;
        let Some(Step::Key(key)) = findings.steps.pop() else { continue };
        let element = if element.is_null() && known { zero(value, field) } else { element };
        out.push(key, element);
    }
    Ok(Value::Object(out.into_map()))
}

/// An object of a type.
pub(super) struct Struct<'f> {
    pub(super) findings: &'f mut Findings,
    pub(super) ty: &'static Type,
}

impl<'de> DeserializeSeed<'de> for Struct<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Struct<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ty.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Struct { findings, ty } = self;
        findings.structs.push(ty.name);
        let mut out = Unordered::default();
        let (mut seen, mut gone): (Vec<&'static str>, bool) = (Vec::with_capacity(8), false);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let Some(field) = ty.field(&key.0) else {
                findings.strict("unknown", &key.0);
                map.next_value::<de::IgnoredAny>()?;
                continue;
            };
            let again = seen.contains(&field.schema.name);
            if again {
                findings.strict("duplicate", field.schema.name);
            } else {
                seen.push(field.schema.name);
            }
            findings.steps.push(Step::Field(field.schema.name));
            let seed = Typed { findings: &mut *findings, kind: &field.schema.kind, field };
            let value = map.next_value_seed(seed)?;
            findings.steps.pop();
            if !is_left_out(field, &value) {
                out.push(Text::new_static(field.schema.name), value);
            } else if again {
                // What is written twice has the second value, which is none.
                out.push(Text::new_static(field.schema.name), Value::Null);
                gone = true;
            }
        }
        findings.structs.pop();
        let mut out = out.into_map();
        if gone {
            out.retain(|_, value| !value.is_null());
        }
        fill(&mut out, ty);
        Ok(Value::Object(out))
    }
}

/// Adds the fields that are written even when they are zero.
pub(super) fn fill(object: &mut Map, ty: &'static Type) {
    for field in ty.always() {
        if !object.contains_key(field.schema.name) {
            if matches!(field.schema.kind, Kind::Object(_)) && field.schema.default.is_none() {
                object.insert(Text::new_static(field.schema.name), Value::Null);
                continue;
            }
            object.insert(Text::new_static(field.schema.name), zero(&field.schema.kind, field));
        }
    }
}

/// The zero value of a field that is always written, or what a `null` in its list or map stands for.
pub(super) fn zero(kind: &Kind, field: &Field) -> Value {
    match kind {
        Kind::String => Value::from(""),
        Kind::Int32 | Kind::Int64 | Kind::Number | Kind::IntOrString => Value::from(0),
        Kind::Boolean => Value::from(false),
        Kind::Quantity => Value::from("0"),
        Kind::Object(_) => field.inner().map_or(Value::Null, zero_struct),
        Kind::Time | Kind::MicroTime | Kind::Bytes | Kind::Any | Kind::Map(_) | Kind::List(_) => Value::Null,
    }
}

/// A struct of which nothing is set.
pub(super) fn zero_struct(ty: &'static Type) -> Value {
    let mut object = Map::new();
    fill(&mut object, ty);
    Value::Object(object)
}

pub(super) fn is_left_out(field: &Field, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => field.plain && text.is_empty(),
        Value::Number(number) => field.plain && number.as_i64() == Some(0),
        Value::Bool(value) => field.plain && !*value,
        Value::Array(list) => list.is_empty() && !field.always && !matches!(field.schema.kind, Kind::Any),
        Value::Object(map) => map.is_empty() && matches!(field.schema.kind, Kind::Map(_)) && !field.always,
    }
}

/// A key, borrowed from the document where it can be.
struct Key<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
