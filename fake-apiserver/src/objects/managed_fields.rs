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

use serde_json::{Map, Value, json};

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

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty() || (entry.apply && entry.time.is_some()));
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| (!entry.apply, entry.time.clone().unwrap_or_default());
        key(a)
            .cmp(&key(b))
            .then_with(|| a.manager.cmp(&b.manager))
            .then_with(|| a.api_version.cmp(&b.api_version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    let Some(metadata) = get::sub_mut(object, "metadata") else { return };
    if entries.is_empty() {
        get::remove(metadata, "managedFields");
    } else {
        get::set(metadata, "managedFields", Value::Array(entries.iter().map(Entry::encode).collect()));
    }
}

/// Notes in `new` what a create (no `live` object), an update or a patch takes.
pub(crate) fn update(target: Target<'_>, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    // What a client says about managed fields counts, but not through a subresource.
    let reset = is_reset(new) && writer.subresource.is_empty();
    let mut managed = if reset || !writer.subresource.is_empty() { Vec::new() } else { entries(new) };
    if managed.is_empty() && !reset {
        managed = live.map(entries).unwrap_or_default();
    }
    // An object whose list was emptied is no longer followed; a binding leaves no trace (operations/binding).
    if (managed.is_empty() && live.is_some()) || (target.kind, writer.subresource) == ("Pod", "binding") {
        write(new, managed);
        return;
    }
    let api_version = target.api_version();
    let ignored = strategy::reset_fields(target, writer.subresource);
    let before = match live {
        Some(live) => live,
        None if managed.is_empty() => return create(target, new, writer, &ignored),
        None => zero(target),
    };
    let comparison = compare(target, before, new);
    take(&mut managed, &comparison, writer, &api_version, &ignored);
    write(new, managed);
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
    get::set(metadata, "managedFields", Value::Array(vec![entry]));
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
fn take(managed: &mut Vec<Entry>, comparison: &Comparison, writer: &Writer<'_>, api_version: &str, ignored: &[&str]) {
    let ignored = Set::from_fields(ignored);
    let mut taken = comparison.modified.union(&comparison.added);
    taken.remove_below(&ignored);
    for entry in managed.iter_mut() {
        entry.fields.subtract(&taken);
        let mut removed = comparison.removed.clone();
        removed.remove_below(&ignored);
        entry.fields.subtract(&removed);
    }
    if taken.is_empty() {
        return;
    }
    match managed.iter_mut().find(|entry| entry.is_of(writer, false, api_version)) {
        Some(entry) => {
            entry.fields = entry.fields.union(&taken);
            entry.time = Some(writer.time.to_owned());
        }
        None => managed.push(Entry {
            manager: writer.manager.to_owned(),
            apply: false,
            api_version: api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: Some(writer.time.to_owned()),
            fields: taken,
        }),
    }
}

/// The object that a create is compared with: nothing in it but what is always there.
fn zero(target: Target<'_>) -> &'static Value {
    static UNKNOWN: LazyLock<Value> = LazyLock::new(|| json!({"metadata": {}}));
    super::decode::zero(target).unwrap_or(&UNKNOWN)
}

/// Whether two states of an object differ in nothing but the times of their managed fields: then nothing is written.
pub(crate) fn is_same(old: &Value, new: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut list = sub(object, "metadata").get("managedFields").cloned().unwrap_or_default();
        for entry in list.as_array_mut().into_iter().flatten() {
            get::remove(entry, "time");
        }
        list
    };
    let rest = |object: &Value, field: &str| object.get(field).cloned();
    let fields = |object: &Value| object.as_object().map(|fields| fields.len()).unwrap_or(0);
    if fields(old) != fields(new) {
        return false;
    }
    for (name, value) in old.as_object().into_iter().flatten() {
        if name != "metadata" && new.get(name) != Some(value) {
            return false;
        }
    }
    let metadata = |object: &Value| {
        let mut metadata = rest(object, "metadata").unwrap_or_default();
        for field in ["managedFields", "resourceVersion"] {
            get::remove(&mut metadata, field);
        }
        metadata
    };
    metadata(old) == metadata(new) && timeless(old) == timeless(new)
}
