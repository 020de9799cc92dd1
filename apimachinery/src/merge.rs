//! Strategic merge patch and JSON merge patch on JSON values.
//!
//! Strategic merge is what `kubectl patch` sends by default and what Istio lays its templates over a pod with: maps are
//! merged, lists of a known type are merged by a key, `null` deletes. Directives: `$patch: replace|delete` on maps and
//! list items, `$retainKeys`, `$deleteFromPrimitiveList/FIELD`, `$setElementOrder/FIELD`.
//!
//! The order of a merged list without `$setElementOrder`: items of the patch keep the patch's order, the others keep
//! theirs; walking both, one of the others goes first only if both heads were in the original and it stood earlier
//! there. New items of the patch therefore come before the remaining items of the original.
//!
//! Fields that the schema does not know are kept and merged as plain JSON (the apiserver refuses them; so does Istio).

mod error;
mod list;
mod map;
#[cfg(test)]
mod tests;

use crate::value::{Map, Value};

pub use error::Error;

use crate::schema::{Field, Kind, Strategy, Type};

/// Lays `patch` over `original`, both of type `ty`. A patch item whose key occurs twice in the original merges into the
/// first and leaves the other, as Kubernetes does (ports 80/TCP and 80/UDP are one key).
///
/// # Errors
/// As the apiserver words them: `map: map[image:x] does not contain declared merge key: name` and the like; neither
/// value is then of use.
pub fn strategic(original: Value, patch: Value, ty: &Type) -> Result<Value, Error> {
    let original = match original {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        other => return Err(Error::argument(&Value::Object(Map::new()), &other)),
    };
    match patch {
        Value::Object(patch) => map::merge(original, patch, Schema::Type(ty)).map(Value::Object),
        other => Err(Error::argument(&Value::Object(Map::new()), &other)),
    }
}

/// JSON merge patch, [RFC 7386](https://www.rfc-editor.org/rfc/rfc7386): maps are merged, `null` deletes, anything else
/// replaces.
pub fn json_merge(original: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut fields = match original {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for (key, value) in patch {
        if value.is_null() {
            gone.push(key);
        } else if let Some(before) = fields.get_mut(&key) {
            *before = json_merge(before.take(), value);
        } else {
            new.push((key, json_merge(Value::Null, value)));
        }
    }
    fields.remove_all(&gone);
    fields.insert_all(new);
    Value::Object(fields)
}

/// What is known of the map at hand.
#[derive(Clone, Copy)]
enum Schema<'a> {
    Type(&'a Type),
    /// A map whose values are all of one kind.
    Values(&'a Kind),
    Unknown,
}

/// What is known of one field of it.
#[derive(Clone, Copy)]
struct Member<'a> {
    field: Option<&'a Field>,
    kind: Option<&'a Kind>,
}

impl<'a> Schema<'a> {
    fn of(kind: Option<&'a Kind>) -> Schema<'a> {
        match kind {
            Some(Kind::Object(reference)) => Schema::Type(reference.get()),
            Some(Kind::Map(values)) => Schema::Values(values),
            _ => Schema::Unknown,
        }
    }

    fn member(self, name: &str) -> Member<'a> {
        match self {
            Schema::Type(owner) => {
                let field = owner.field(name);
                Member { field, kind: field.map(|field| &field.kind) }
            }
            Schema::Values(kind) => Member { field: None, kind: Some(kind) },
            Schema::Unknown => Member { field: None, kind: None },
        }
    }
}

impl<'a> Member<'a> {
    fn schema(self) -> Schema<'a> {
        Schema::of(self.kind)
    }

    /// Of the items, for a list.
    fn items(self) -> Schema<'a> {
        match self.kind {
            Some(Kind::List(items)) => Schema::of(Some(items)),
            _ => Schema::Unknown,
        }
    }

    fn strategy(self) -> Strategy {
        self.field.map_or(Strategy::Unset, |field| field.strategy)
    }

    /// Empty for lists of scalars.
    fn merge_key(self) -> &'static str {
        self.field.and_then(|field| field.merge_key).unwrap_or_default()
    }
}
