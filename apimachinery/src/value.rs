//! JSON values that share what they have in common.
//!
//! An object goes through many hands between request and store: decoded, given defaults, shown to a webhook, patched,
//! validated, kept, watched. With [`serde_json::Value`] each of them that keeps a copy pays for every field. Here a copy
//! is a counter, lists and maps are copied where they are written to and nowhere else (copy on write), short texts
//! stand in the value itself, and a map is a sorted run of fields, not a tree of half-empty nodes.
//!
//! The methods are those of [`serde_json::Value`], which this stands in for; `serde_json` reads and writes it, and
//! `From` goes both ways. What differs: [`Text`] stands for `String`, [`List`] for `Vec<Value>`, [`Map`] for
//! `Map<String, Value>`, and whoever goes through a value with `iter_mut` ends its sharing on the way.

mod convert;
mod index;
mod list;
mod macros;
mod map;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub use serde_json::Number;

pub use self::convert::{ToValue, from_value, to_value};
pub use self::index::Index;
pub use self::list::List;
pub use self::map::{Entry, Map, Unordered};
pub use crate::json;

/// A text: up to 23 bytes stand in the value, a longer one is shared by its copies.
pub type Text = smol_str::SmolStr;

/// Texts one after the other, without a detour through a `String` if they are short.
#[must_use]
pub fn concat(parts: &[&str]) -> Text {
    let mut text = smol_str::SmolStrBuilder::new();
    parts.iter().for_each(|part| text.push_str(part));
    text.finish()
}

/// Any JSON value. A clone costs a counter, however large the value is.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as `serde_json` keeps it.
    Number(Number),
    /// A string.
    String(Text),
    /// An array.
    Array(List),
    /// An object; its fields are in the order of their names.
    Object(Map),
}

impl Value {
    /// The member of an object or element of an array; `None` if there is none, or the value is neither.
    pub fn get<I: Index>(&self, index: I) -> Option<&Value> {
        index.look_up(self)
    }

    /// As [`Value::get`], to be changed.
    pub fn get_mut<I: Index>(&mut self, index: I) -> Option<&mut Value> {
        index.look_up_mut(self)
    }

    /// What an RFC 6901 JSON pointer points at.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        steps(pointer)?.try_fold(self, |value, step| match value {
            Value::Object(map) => map.get(&step),
            Value::Array(list) => list.get(position(&step)?),
            _ => None,
        })
    }

    /// As [`Value::pointer`], to be changed.
    pub fn pointer_mut(&mut self, pointer: &str) -> Option<&mut Value> {
        steps(pointer)?.try_fold(self, |value, step| match value {
            Value::Object(map) => map.get_mut(&step),
            Value::Array(list) => list.get_mut(position(&step)?),
            _ => None,
        })
    }

    /// The value, with `null` left in its place.
    pub fn take(&mut self) -> Value {
        std::mem::take(self)
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&List> {
        match self {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    /// As [`Value::as_array`], to be changed.
    pub fn as_array_mut(&mut self) -> Option<&mut List> {
        match self {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    /// The fields of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// As [`Value::as_object`], to be changed.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// A boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number of a number.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// An integer that an `i64` holds.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// An integer that a `u64` holds.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// Any number, as near as an `f64` comes.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it is a boolean.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        matches!(self, Value::Bool(_))
    }

    /// Whether it is a number.
    #[must_use]
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Number(_))
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_string(&self) -> bool {
        matches!(self, Value::String(_))
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(&self) -> bool {
        matches!(self, Value::Array(_))
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self, Value::Object(_))
    }

    /// Whether it is an integer that an `i64` holds.
    #[must_use]
    pub fn is_i64(&self) -> bool {
        self.as_i64().is_some()
    }

    /// Whether it is an integer that a `u64` holds.
    #[must_use]
    pub fn is_u64(&self) -> bool {
        self.as_u64().is_some()
    }

    /// Whether it is a number with a fraction or an exponent.
    #[must_use]
    pub fn is_f64(&self) -> bool {
        self.as_number().is_some_and(Number::is_f64)
    }

    /// Where the fields of an object or the elements of an array stand: the same for copies that still share them, as long
    /// as one of them lives. 0 for everything else.
    #[must_use]
    pub fn address(&self) -> usize {
        match self {
            Value::Object(map) => map.address(),
            Value::Array(list) => list.as_slice().as_ptr().addr(),
            _ => 0,
        }
    }

    /// Whether both stand in the same memory: then they are equal, and were not compared. Equal values may be apart.
    #[must_use]
    pub fn is_same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Object(a), Value::Object(b)) => a.is_same(b),
            (Value::Array(a), Value::Array(b)) => a.is_same(b),
            _ => false,
        }
    }
}

/// The steps of a pointer, unescaped; `None` if it is none.
fn steps(pointer: &str) -> Option<impl Iterator<Item = String>> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return None;
    }
    Some(pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")))
}

/// A list's position as RFC 6901 writes it: no sign, no leading zero.
fn position(step: &str) -> Option<usize> {
    let plain = !step.starts_with('+') && (step == "0" || !step.starts_with('0'));
    plain.then(|| step.parse().ok()).flatten()
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("Null"),
            Value::Bool(value) => write!(f, "Bool({value})"),
            Value::Number(number) => write!(f, "Number({number})"),
            Value::String(text) => write!(f, "String({text:?})"),
            Value::Array(list) => {
                f.write_str("Array ")?;
                fmt::Debug::fmt(list, f)
            }
            Value::Object(map) => {
                f.write_str("Object ")?;
                fmt::Debug::fmt(map, f)
            }
        }
    }
}
