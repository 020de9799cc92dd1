//! An object that is nearly as the apiserver writes it, made so where it stands.
//!
//! What a webhook's patch leaves behind is an object that was decoded before, with a few new parts: to read all of it again
//! (`typed.rs`) would build every map and text anew. Whatever is wrong, unknown or rare is left to that reading: it gives the
//! same object, and the words for what is wrong. A property test holds the two together.

use apimachinery::quantity::Quantity;
use apimachinery::schema::Kind;
use apimachinery::value::{Map, Number, Value};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::times;
use super::typed::{fill, is_left_out, zero};
use crate::objects::types::{Field, Type};

/// The object has to be read again: something in it is wrong, unknown or rare.
pub(super) struct Odd;

/// Brings an object of a type into its shape. After an error it may be half done, which does not matter for reading it.
pub(super) fn tidy(object: &mut Value, ty: &'static Type) -> Result<(), Odd> {
    match object {
        Value::Object(fields) => structure(fields, ty),
        _ => Err(Odd),
    }
}

fn structure(fields: &mut Map, ty: &'static Type) -> Result<(), Odd> {
    let mut left_out: Vec<&'static str> = Vec::new();
    for (name, value) in fields.iter_mut() {
        let field = ty.field(name).ok_or(Odd)?;
        any(value, &field.schema.kind, field)?;
        if is_left_out(field, value) {
            left_out.push(field.schema.name);
        }
    }
    for name in left_out {
        fields.remove(name);
    }
    fill(fields, ty);
    Ok(())
}

/// Null stays null: what it means depends on where it stands.
fn any(value: &mut Value, kind: &Kind, field: &Field) -> Result<(), Odd> {
    match (&mut *value, kind) {
        (Value::Null, _) | (_, Kind::Any) => Ok(()),
        (Value::String(_), Kind::String | Kind::IntOrString) | (Value::Bool(_), Kind::Boolean) => Ok(()),
        (Value::Number(_), Kind::Number) => Ok(()),
        (Value::Number(number), Kind::Int32 | Kind::IntOrString) if is_int32(number) => Ok(()),
        (Value::Number(number), Kind::Int64) if number.is_i64() => Ok(()),
        (Value::String(text), Kind::Quantity) => {
            let canonical = Quantity::parse(text.trim()).ok_or(Odd)?.to_string();
            if *text != canonical {
                *text = canonical.into();
            }
            Ok(())
        }
        (Value::String(text), Kind::Time | Kind::MicroTime) if !text.is_empty() => {
            let canonical = times::canonical(text, matches!(kind, Kind::MicroTime)).map_err(|_| Odd)?;
            if *text != canonical {
                *text = canonical.into();
            }
            Ok(())
        }
        (Value::String(text), Kind::Bytes) => BASE64_STANDARD.decode(text.as_bytes()).map(drop).map_err(|_| Odd),
        (Value::Array(items), Kind::List(item)) => items.iter_mut().try_for_each(|value| element(value, item, field)),
        (Value::Object(entries), Kind::Map(entry)) => {
            let known = !matches!(**entry, Kind::Any);
            entries.values_mut().try_for_each(|value| if known { element(value, entry, field) } else { Ok(()) })
        }
        (Value::Object(fields), Kind::Object(_)) => structure(fields, field.inner().ok_or(Odd)?),
        _ => Err(Odd),
    }
}

/// An element of a list or map, in which null stands for zero.
fn element(value: &mut Value, kind: &Kind, field: &Field) -> Result<(), Odd> {
    if value.is_null() {
        *value = zero(kind, field);
        return Ok(());
    }
    any(value, kind, field)
}

fn is_int32(number: &Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}
