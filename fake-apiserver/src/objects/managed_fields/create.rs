//! The fields of a new object, which all belong to its writer: FieldsV1 in one walk, without sets.
//!
//! The same as a comparison with an object in which nothing is set (`compare.rs`); a test holds the two together. Most writes
//! are creates, and most creates are pods with hundreds of fields.

use std::collections::HashMap;

use apimachinery::value::{List, Map, Text, Unordered, Value, concat};

use super::compare::{NOBODYS, Shape, is_empty};

/// The fields that a create sets: `zero` is the object of the same kind in which nothing is set, `ignored` are dotted fields
/// that the request cannot own. Empty if there are none.
pub(super) fn fields(shape: Shape<'_>, zero: &Value, object: &Value, ignored: &[&str]) -> Map {
    let walk = Walk { ignored };
    walk.fields(shape, zero.as_object(), object, Place::Root)
}

/// Where fields stand that nobody can own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Metadata,
    Elsewhere,
}

struct Walk<'a> {
    ignored: &'a [&'a str],
}

/// Whether a path is owned itself, and what is owned below it.
struct Owned {
    itself: bool,
    below: Map,
}

const NOTHING: Value = Value::Object(Map::new());

impl Owned {
    fn leaf(itself: bool) -> Owned {
        Owned { itself, below: Map::new() }
    }

    fn put(mut self, element: Text, into: &mut Unordered) {
        if !self.below.is_empty() {
            if self.itself {
                self.below.insert(".", NOTHING);
            }
            into.push(element, Value::Object(self.below));
        } else if self.itself {
            into.push(element, NOTHING);
        }
    }
}

impl Walk<'_> {
    fn is_nobodys(&self, place: Place, name: &str) -> bool {
        let mut fields = NOBODYS.iter().chain(self.ignored);
        match place {
            Place::Root => fields.any(|field| *field == name),
            Place::Metadata => fields.any(|field| field.strip_prefix("metadata.") == Some(name)),
            Place::Elsewhere => false,
        }
    }

    fn fields(&self, shape: Shape<'_>, zero: Option<&Map>, new: &Value, place: Place) -> Map {
        let mut out = Unordered::default();
        for (name, new) in new.as_object().into_iter().flatten() {
            let zero = zero.and_then(|fields| fields.get(name));
            if zero == Some(new) || self.is_nobodys(place, name) {
                continue;
            }
            let Some(shape) = shape.field(name) else { continue };
            let metadata = place == Place::Root && name == "metadata";
            let below = if metadata { Place::Metadata } else { Place::Elsewhere };
            let mut owned = self.value(shape, zero, new, below);
            // `metadata` itself is nobody's either; what is below it may be somebody's.
            owned.itself &= !metadata;
            owned.put(concat(&["f:", name]), &mut out);
        }
        out.into_map()
    }

    fn value(&self, shape: Shape<'_>, zero: Option<&Value>, new: &Value, place: Place) -> Owned {
        let composite = match shape {
            Shape::Struct(_) | Shape::Map(..) | Shape::Set | Shape::List(..) => true,
            Shape::Deduced => new.is_object(),
            Shape::Leaf => false,
        };
        if !composite || (is_empty(zero) && is_empty(Some(new))) {
            return Owned::leaf(zero != Some(new));
        }
        let below = match shape {
            Shape::Set | Shape::List(..) => self.items(shape, new),
            _ => self.fields(shape, zero.and_then(Value::as_object), new, place),
        };
        Owned { itself: zero.is_none(), below }
    }

    /// Items that share a key are owned as one.
    fn items(&self, shape: Shape<'_>, new: &Value) -> Map {
        let items = new.as_array().map(List::as_slice).unwrap_or_default();
        let mut times: HashMap<Text, (usize, usize)> = HashMap::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            times.entry(shape.element(item)).or_insert((index, 0)).1 += 1;
        }
        let mut out = Unordered::default();
        for (element, (index, times)) in times {
            let owned = match (times, items.get(index)) {
                (1, Some(item)) => self.value(shape.item(), None, item, Place::Elsewhere),
                _ => Owned::leaf(true),
            };
            owned.put(element, &mut out);
        }
        out.into_map()
    }
}
