//! Who owns which field: `metadata.managedFields`, and server-side apply, which lives by it.
//!
//! Ownership is worked out from what a request changes, before admission: what a webhook adds belongs to nobody
//! (pod-create/inject-sidecar).

mod apply;
mod compare;
mod create;
mod set;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use apimachinery::value::{Map, Value, json};

use super::get::{list, sub, text};
use super::{Target, get, strategy, types};
pub(crate) use apply::apply;
use compare::{Comparison, Shape};
use set::Set;

/// Who writes, where and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    /// The manager's name: see [`manager`].
    pub(crate) manager: &'a str,
    /// Empty, or `status`, `scale`, …
    pub(crate) subresource: &'a str,
    /// RFC 3339, to the second.
    pub(crate) time: &'a str,
}

/// The name of the manager: `?fieldManager=`, or the part of the user agent before the slash, 128 bytes of it at most.
pub(crate) fn manager<'a>(field_manager: Option<&'a str>, user_agent: &'a str) -> &'a str {
    if let Some(name) = field_manager.filter(|name| !name.is_empty()) {
        return name;
    }
    let name = user_agent.split('/').next().unwrap_or_default();
    match name.char_indices().map(|(at, _)| at).find(|at| *at > 128) {
        Some(_) => name
            .char_indices()
            .take_while(|(at, c)| at + c.len_utf8() <= 128)
            .last()
            .map_or("", |(at, c)| &name[..at + c.len_utf8()]),
        None => name,
    }
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    manager: String,
    apply: bool,
    api_version: String,
    subresource: String,
    time: Option<String>,
    fields: Set,
}

impl Entry {
    fn decode(value: &Value) -> Option<Entry> {
        Some(Entry {
            manager: text(value, "manager").to_owned(),
            apply: text(value, "operation") == "Apply",
            api_version: text(value, "apiVersion").to_owned(),
            subresource: text(value, "subresource").to_owned(),
            time: value.get("time").and_then(Value::as_str).map(str::to_owned),
            fields: Set::decode(value.get("fieldsV1")?),
        })
    }

    fn encode(&self) -> Value {
        let writer = Writer { manager: &self.manager, subresource: &self.subresource, time: "" };
        encode(&writer, self.apply, &self.api_version, self.time.as_deref(), self.fields.encode())
    }

    /// Whether an entry is the one of this writer.
    fn is_of(&self, writer: &Writer<'_>, apply: bool, api_version: &str) -> bool {
        self.manager == writer.manager
            && self.apply == apply
            && self.subresource == writer.subresource
            && (apply || self.api_version == api_version)
    }
}

/// An entry as it is written.
fn encode(writer: &Writer<'_>, apply: bool, api_version: &str, time: Option<&str>, fields: Value) -> Value {
    let mut entry = Map::new();
    entry.insert("manager".to_owned(), Value::from(writer.manager));
    entry.insert("operation".to_owned(), Value::from(if apply { "Apply" } else { "Update" }));
    entry.insert("apiVersion".to_owned(), Value::from(api_version));
    if let Some(time) = time {
        entry.insert("time".to_owned(), Value::from(time));
    }
    entry.insert("fieldsType".to_owned(), Value::from("FieldsV1"));
    entry.insert("fieldsV1".to_owned(), fields);
    if !writer.subresource.is_empty() {
        entry.insert("subresource".to_owned(), Value::from(writer.subresource));
    }
    Value::Object(entry)
}

fn entries(object: &Value) -> Vec<Entry> {
    list(sub(object, "metadata"), "managedFields").iter().filter_map(Entry::decode).collect()
}

/// `managedFields: [{}]` forgets everything.
fn is_reset(object: &Value) -> bool {
    matches!(list(sub(object, "metadata"), "managedFields"), [only] if text(only, "manager").is_empty() && only.get("fieldsV1").is_none())
}

/// An entry on its way into the list: one that a request does not touch stays as it was.
enum Listed {
    Untouched(Value),
    Touched(Entry),
}

impl Listed {
    fn is_empty(&self) -> bool {
        match self {
            Listed::Untouched(entry) => entry["fieldsV1"].as_object().is_none_or(Map::is_empty),
            Listed::Touched(entry) => entry.fields.is_empty(),
        }
    }

    /// Applied ones first, then by age.
    fn order(&self) -> (bool, &str, &str, &str, &str) {
        match self {
            Listed::Untouched(entry) => (
                text(entry, "operation") != "Apply",
                text(entry, "time"),
                text(entry, "manager"),
                text(entry, "apiVersion"),
                text(entry, "subresource"),
            ),
            Listed::Touched(entry) => (
                !entry.apply,
                entry.time.as_deref().unwrap_or_default(),
                &entry.manager,
                &entry.api_version,
                &entry.subresource,
            ),
        }
    }

    fn touched(self) -> Option<Entry> {
        match self {
            Listed::Untouched(_) => None,
            Listed::Touched(entry) => Some(entry),
        }
    }

    fn encode(self) -> Value {
        match self {
            Listed::Untouched(entry) => entry,
            Listed::Touched(entry) => entry.encode(),
        }
    }
}

fn write(object: &mut Value, entries: Vec<Entry>) {
    write_list(object, entries.into_iter().map(Listed::Touched).collect());
}

fn write_list(object: &mut Value, mut entries: Vec<Listed>) {
    entries.retain(|entry| !entry.is_empty());
    entries.sort_by(|a, b| a.order().cmp(&b.order()));
    let Some(metadata) = get::sub_mut(object, "metadata") else { return };
    if entries.is_empty() {
        get::remove(metadata, "managedFields");
    } else {
        get::set(metadata, "managedFields", Value::Array(entries.into_iter().map(Listed::encode).collect()));
    }
}

/// Notes in `new` what a create (no `live` object), an update or a patch takes.
pub(crate) fn update(target: Target<'_>, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    // What a client says about managed fields counts, but not through a subresource.
    let reset = is_reset(new) && writer.subresource.is_empty();
    let said = if reset || !writer.subresource.is_empty() { Vec::new() } else { entries(new) };
    let live_entries = match live {
        Some(live) if said.is_empty() && !reset => list(sub(live, "metadata"), "managedFields"),
        _ => &[],
    };
    let none = said.is_empty() && !live_entries.iter().any(|entry| entry.get("fieldsV1").is_some());
    // An object whose list was emptied is no longer followed; a binding leaves no trace (operations/binding).
    if none && live.is_some() {
        return write(new, Vec::new());
    }
    if (target.kind, writer.subresource) == ("Pod", "binding") {
        let kept = live_entries.iter().filter_map(Entry::decode);
        return write(new, said.into_iter().chain(kept).collect());
    }
    let api_version = target.api_version();
    let ignored = strategy::reset_fields(target, writer.subresource);
    let before = match live {
        Some(live) => live,
        None if none => return create(target, new, writer, &ignored),
        None => zero(target),
    };
    let (taken, removed) = compare(target, before, new).changes(&ignored);
    let mut managed: Vec<Listed> = said.into_iter().map(Listed::Touched).collect();
    for entry in live_entries.iter().filter(|entry| entry.get("fieldsV1").is_some()) {
        let is_own = text(entry, "manager") == writer.manager;
        let touched = is_own || [&taken, &removed].iter().any(|set| set.meets(&entry["fieldsV1"]));
        let decoded = if touched { Entry::decode(entry) } else { None };
        managed.push(decoded.map_or_else(|| Listed::Untouched(entry.clone()), Listed::Touched));
    }
    take(&mut managed, taken, &removed, writer, &api_version);
    write_list(new, managed);
}

/// A new object of which nobody owns anything yet.
fn create(target: Target<'_>, new: &mut Value, writer: &Writer<'_>, ignored: &[&str]) {
    let shape = Shape::root(types::lookup(target).map(|ty| ty.schema));
    let fields = create::fields(shape, zero(target), new, ignored);
    let Some(metadata) = get::sub_mut(new, "metadata") else { return };
    if fields.is_empty() {
        get::remove(metadata, "managedFields");
        return;
    }
    let entry = encode(writer, false, &target.api_version(), Some(writer.time), Value::Object(fields));
    get::set(metadata, "managedFields", Value::from(vec![entry]));
}

/// Whether this writer alone owns fields of the object, since now.
pub(crate) fn is_all_of(object: &Value, writer: &Writer<'_>) -> bool {
    let entries = list(sub(object, "metadata"), "managedFields");
    matches!(entries, [only] if text(only, "manager") == writer.manager && text(only, "time") == writer.time)
}

/// Makes an object that one writer owns one of another time.
pub(crate) fn set_time(object: &mut Value, time: &str) {
    if text(&object["metadata"]["managedFields"][0], "time") != time
        && let Some(entry) = object.pointer_mut("/metadata/managedFields/0")
    {
        get::set(entry, "time", time);
    }
}

/// What is different between two objects, without the fields that are nobody's.
fn compare(target: Target<'_>, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    let ty = types::lookup(target).map(|ty| ty.schema);
    compare::objects(Shape::root(ty), old, new, &mut comparison);
    comparison.strip_metadata();
    comparison
}

/// Gives the writer what was added and modified, and takes from everybody else what was modified or removed.
fn take(managed: &mut Vec<Listed>, taken: Set, removed: &Set, writer: &Writer<'_>, api_version: &str) {
    let mut own = None;
    for entry in managed.iter_mut() {
        let Listed::Touched(entry) = entry else { continue };
        entry.fields.subtract(&taken);
        entry.fields.subtract(removed);
        if own.is_none() && entry.is_of(writer, false, api_version) {
            own = Some(entry);
        }
    }
    if taken.is_empty() {
        return;
    }
    match own {
        Some(entry) => {
            entry.fields.add(&taken);
            entry.time = Some(writer.time.to_owned());
        }
        None => managed.push(Listed::Touched(Entry {
            manager: writer.manager.to_owned(),
            apply: false,
            api_version: api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: Some(writer.time.to_owned()),
            fields: taken,
        })),
    }
}

/// The object that a create is compared with: nothing in it but what is always there.
fn zero(target: Target<'_>) -> &'static Value {
    static UNKNOWN: LazyLock<Value> = LazyLock::new(|| json!({"metadata": {}}));
    super::decode::zero(target).unwrap_or(&UNKNOWN)
}

/// Whether two states of an object differ in nothing but the times of their managed fields: then nothing is written.
pub(crate) fn is_same(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return old == new };
    same_fields(old, new, "", |name, old, new| match (name, old, new) {
        ("metadata", Value::Object(old), Value::Object(new)) => {
            same_fields(old, new, "resourceVersion", |name, old, new| match name {
                "managedFields" => same_entries(old, new),
                _ => old == new,
            })
        }
        _ => old == new,
    })
}

/// Whether two objects have the same fields, but for one.
fn same_fields(old: &Map, new: &Map, but: &str, same: impl Fn(&str, &Value, &Value) -> bool) -> bool {
    let count = |fields: &Map| fields.len() - usize::from(fields.contains_key(but));
    let mut fields = old.iter().filter(|(name, _)| *name != but);
    count(old) == count(new) && fields.all(|(name, old)| new.get(name).is_some_and(|new| same(name, old, new)))
}

fn same_entries(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_array(), new.as_array()) else { return old == new };
    old.len() == new.len()
        && old.iter().zip(new).all(|(old, new)| match (old.as_object(), new.as_object()) {
            (Some(old), Some(new)) => same_fields(old, new, "time", |_, old, new| old == new),
            _ => old == new,
        })
}
