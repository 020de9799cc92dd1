//! What is different between two objects, path by path.

use std::sync::LazyLock;

use apimachinery::schema::{Field, Kind, ListType, Type};
use apimachinery::value::{Map, Text, Value, concat};

use super::set::Set;

/// The outcome of a comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Comparison {
    /// In the new object only.
    pub(super) added: Set,
    /// In both, with different values.
    pub(super) modified: Set,
    /// In the old object only.
    pub(super) removed: Set,
}

/// Fields that nobody owns.
pub(super) const NOBODYS: [&str; 11] = [
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.clusterName",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
];

/// Takes out of a set what nobody owns.
pub(super) fn strip(set: &mut Set) {
    static NOBODYS_SET: LazyLock<Set> = LazyLock::new(|| Set::from_fields(&NOBODYS));
    static METADATA: LazyLock<Set> = LazyLock::new(|| Set::from_fields(&["metadata"]));
    set.remove_below(&NOBODYS_SET);
    // `metadata` itself is nobody's either; what is below it may be somebody's.
    set.subtract(&METADATA);
}

impl Comparison {
    /// What the writer gets (added or modified), and what nobody has any more; without what the request cannot own.
    pub(super) fn changes(self, ignored: &[&str]) -> (Set, Set) {
        let ignored = Set::from_fields(ignored);
        let (mut taken, mut removed) = (self.modified, self.removed);
        taken.add(&self.added);
        taken.remove_below(&ignored);
        removed.remove_below(&ignored);
        (taken, removed)
    }

    /// Takes out what nobody owns.
    pub(super) fn strip_metadata(&mut self) {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            strip(set);
        }
    }
}

/// What is known of the type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    /// An object of a known type.
    Struct(&'a Type),
    /// A map with any keys.
    Map(&'a Kind, &'a Field),
    /// A list of items that are their own keys.
    Set,
    /// A list of objects told apart by the field's keys.
    List(&'a Kind, &'a Field),
    /// Owned as a whole.
    Leaf,
    /// Not known: objects are taken apart, lists are not.
    Deduced,
}

impl<'a> Shape<'a> {
    /// The shape of an object of a type; unknown types are deduced.
    pub(super) fn root(ty: Option<&'a Type>) -> Shape<'a> {
        ty.map_or(Shape::Deduced, Shape::Struct)
    }

    fn of(kind: &'a Kind, field: &'a Field, whole: bool) -> Shape<'a> {
        match kind {
            Kind::Object(_) => match field.object() {
                Some(ty) if !(ty.atomic() || (whole && field.atomic)) => Shape::Struct(ty),
                _ => Shape::Leaf,
            },
            Kind::Map(_) if field.atomic && whole => Shape::Leaf,
            Kind::Map(value) => Shape::Map(value, field),
            Kind::List(item) if whole => match field.list_type {
                Some(ListType::Set) => Shape::Set,
                Some(ListType::Map) => Shape::List(item, field),
                _ => Shape::Leaf,
            },
            Kind::Any => Shape::Leaf,
            _ => Shape::Leaf,
        }
    }

    /// The shape of a field of an object; `None` if the type has no such field.
    pub(super) fn field(self, name: &str) -> Option<Shape<'a>> {
        match self {
            Shape::Struct(ty) => ty.field(name).map(|field| Shape::of(&field.kind, field, true)),
            Shape::Map(value, field) => Some(Shape::of(value, field, false)),
            _ => Some(Shape::Deduced),
        }
    }

    /// The shape of the items of a list.
    pub(super) fn item(self) -> Shape<'a> {
        match self {
            Shape::List(Kind::Object(_), field) => {
                field.object().filter(|ty| !ty.atomic()).map_or(Shape::Leaf, Shape::Struct)
            }
            _ => Shape::Leaf,
        }
    }

    /// Whether values of this shape are objects that are taken apart.
    pub(super) fn has_fields(self, value: &Value) -> bool {
        match self {
            Shape::Struct(_) | Shape::Map(..) => true,
            Shape::Deduced => value.is_object(),
            _ => false,
        }
    }

    /// The path element of an item of a list.
    pub(super) fn element(self, item: &Value) -> Text {
        match self {
            Shape::List(_, field) => {
                // Nearly all lists have one key, which is a plain text.
                if let [key] = field.list_map_keys[..]
                    && let Some(text) = item.get(key).and_then(Value::as_str)
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
                {
                    return concat(&["k:{\"", key, "\":\"", text, "\"}"]);
                }
                let mut keys = Map::new();
                for key in &field.list_map_keys {
                    let value = item.get(*key).cloned().or_else(|| {
                        field.object().and_then(|ty| ty.field(key)).and_then(|field| field.default.clone())
                    });
                    if let Some(value) = value {
                        keys.insert((*key).to_owned(), value);
                    }
                }
                format!("k:{}", Value::Object(keys)).into()
            }
            _ => format!("v:{item}").into(),
        }
    }
}

pub(super) fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// Compares two objects of a kind.
pub(super) fn objects(shape: Shape<'_>, old: &Value, new: &Value, comparison: &mut Comparison) {
    let mut path = Vec::new();
    walk(shape, Some(old), Some(new), &mut path, comparison);
}

fn walk(
    shape: Shape<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    comparison: &mut Comparison,
) {
    let some = new.or(old).unwrap_or(&Value::Null);
    let composite = match shape {
        Shape::Struct(_) | Shape::Map(..) | Shape::Set | Shape::List(..) => true,
        Shape::Deduced => some.is_object(),
        Shape::Leaf => false,
    };
    if !composite || (is_empty(old) && is_empty(new)) {
        match (old, new) {
            (None, Some(_)) => comparison.added.insert(path),
            (Some(_), None) => comparison.removed.insert(path),
            (Some(old), Some(new)) if old != new => comparison.modified.insert(path),
            _ => {}
        }
        return;
    }
    if path.is_empty() {
        // The object itself is nobody's.
    } else if old.is_none() {
        comparison.added.insert(path);
    } else if new.is_none() {
        comparison.removed.insert(path);
    }
    if matches!(shape, Shape::Set | Shape::List(..)) {
        items(shape, old, new, path, comparison);
        return;
    }
    let (before, after) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let mut each = |name: &str, old: Option<&Value>, new: Option<&Value>| {
        let Some(shape) = shape.field(name) else { return };
        path.push(format!("f:{name}"));
        walk(shape, old, new, path, comparison);
        path.pop();
    };
    for (name, new) in after.into_iter().flatten() {
        let old = before.and_then(|fields| fields.get(name));
        if old != Some(new) {
            each(name, old, Some(new));
        }
    }
    for (name, old) in before.into_iter().flatten() {
        if after.is_none_or(|fields| !fields.contains_key(name)) {
            each(name, Some(old), None);
        }
    }
}

fn items(
    shape: Shape<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<String>,
    comparison: &mut Comparison,
) {
    let keyed = |list: Option<&Value>| -> Vec<(String, usize)> {
        let items = list.and_then(Value::as_array).into_iter().flatten().enumerate();
        items.map(|(index, item)| (shape.element(item).to_string(), index)).collect()
    };
    let item = |list: Option<&Value>, index: usize| list.and_then(|list| list.get(index)).cloned();
    let (before, after) = (keyed(old), keyed(new));
    let twice = repeated(&before, &after);
    let index: std::collections::HashMap<&str, usize> = before.iter().map(|(key, at)| (key.as_str(), *at)).collect();
    let mut seen = std::collections::HashSet::new();
    for (key, at) in &after {
        if !seen.insert(key.as_str()) {
            continue;
        }
        if twice.contains(key.as_str()) {
            path.push(key.clone());
            whole(&all(old, &before, key), &all(new, &after, key), path, comparison);
            path.pop();
            continue;
        }
        let (was, is) = (index.get(key.as_str()).and_then(|at| item(old, *at)), item(new, *at));
        if was != is {
            path.push(key.clone());
            walk(shape.item(), was.as_ref(), is.as_ref(), path, comparison);
            path.pop();
        }
    }
    for (key, at) in &before {
        if seen.insert(key.as_str()) {
            path.push(key.clone());
            walk(shape.item(), item(old, *at).as_ref(), None, path, comparison);
            path.pop();
        }
    }
}

/// Keys that one of two lists has more than once.
fn repeated<'k>(before: &'k [(String, usize)], after: &'k [(String, usize)]) -> std::collections::HashSet<&'k str> {
    let mut out = std::collections::HashSet::new();
    for list in [before, after] {
        let mut seen = std::collections::HashSet::new();
        out.extend(list.iter().map(|(key, _)| key.as_str()).filter(|key| !seen.insert(*key)));
    }
    out
}

/// All items of a list with one key.
fn all(list: Option<&Value>, keyed: &[(String, usize)], key: &str) -> Vec<Value> {
    let places = keyed.iter().filter(|(other, _)| other == key).map(|(_, at)| *at);
    places.filter_map(|at| list.and_then(|list| list.get(at)).cloned()).collect()
}

/// Items that share a key are compared as one, and owned as one (pod-validation/port-duplicate-container-port).
fn whole(before: &[Value], after: &[Value], path: &[String], comparison: &mut Comparison) {
    if before.is_empty() {
        comparison.added.insert(path);
    } else if after.is_empty() {
        comparison.removed.insert(path);
    } else if before != after {
        comparison.modified.insert(path);
    }
}
