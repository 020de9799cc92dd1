//! Server-side apply.

use apimachinery::value::{List, Map, Value, json};

use super::compare::{self, Shape};
use super::set::Set;
use super::{Entry, Listed, Writer, entries, write, zero};
use crate::objects::get::{self, sub, text};
use crate::objects::{Target, strategy, types};

/// Applies a configuration: the merged object with its managed fields, or the `Status` to answer with.
///
/// `live` is `None` when the object is to be created. `config` is as the client sent it, not defaulted; the merged object is not
/// defaulted either. The object that comes back equals `live` when there was nothing to do.
pub(crate) fn apply(
    target: Target<'_>,
    live: Option<&Value>,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Value> {
    if !get::list(sub(config, "metadata"), "managedFields").is_empty() {
        return Err(crate::objects::decode::bad_request("metadata.managedFields must be nil".to_owned()));
    }
    let ty = types::lookup(target).map(|ty| ty.schema);
    let shape = Shape::root(ty);
    let mut problems = Vec::new();
    undeclared(shape, config, &mut String::new(), &mut problems);
    if !problems.is_empty() {
        return Err(untyped(target, config, &problems));
    }
    let empty = zero(target);
    let before = live.unwrap_or(empty);
    let mut managed = live.map(entries).unwrap_or_default();
    if managed.is_empty() && live.is_some() {
        let mut first = before.clone();
        let earlier = Writer { manager: "before-first-apply", ..*writer };
        let comparison = super::compare(target, empty, &first);
        let ignored = strategy::reset_fields(target, writer.subresource);
        let (taken, removed) = comparison.changes(&ignored);
        let mut listed = managed.into_iter().map(Listed::Touched).collect();
        super::take(&mut listed, taken, &removed, &earlier, &target.api_version());
        managed = listed.into_iter().filter_map(Listed::touched).collect();
        get::remove(&mut first, "status");
    }
    let ignored = Set::from_fields(&strategy::reset_fields(target, writer.subresource));
    let mut applied = Set::default();
    fields(shape, config, &mut applied, true);
    compare::strip(&mut applied);
    applied.remove_below(&ignored);
    let api_version = target.api_version();
    let own = managed.iter().position(|entry| entry.is_of(writer, true, &api_version));
    let last = own.map(|at| managed.remove(at));
    let mut merged = merge(shape, before, config);
    if let Some(last) = &last {
        let mut kept = applied.clone();
        for entry in &managed {
            kept = kept.union(&entry.fields);
        }
        prune(shape, &mut merged, &last.fields, Some(&kept));
    }
    let comparison = super::compare(target, before, &merged);
    let changed = comparison.modified.union(&comparison.added);
    let mut conflicts: Vec<(usize, Set)> = Vec::new();
    for (at, entry) in managed.iter().enumerate() {
        let both = entry.fields.intersection(&changed);
        if !both.is_empty() {
            conflicts.push((at, both));
        }
    }
    if !force && !conflicts.is_empty() && !was_applied_by_kubectl(shape, before, writer, &conflicts) {
        return Err(conflict(&managed, &conflicts));
    }
    for (at, taken) in &conflicts {
        if let Some(entry) = managed.get_mut(*at) {
            entry.fields.subtract(taken);
        }
    }
    for entry in &mut managed {
        entry.fields.subtract(&comparison.removed);
    }
    let same_fields = last.as_ref().is_some_and(|last| last.fields == applied);
    let nothing = same_fields && changed.is_empty() && comparison.removed.is_empty();
    let time = match &last {
        Some(last) if nothing => last.time.clone(),
        _ => Some(writer.time.to_owned()),
    };
    managed.push(Entry {
        manager: writer.manager.to_owned(),
        apply: true,
        api_version,
        subresource: writer.subresource.to_owned(),
        time,
        fields: applied,
    });
    write(&mut merged, managed);
    if writer.manager == KUBECTL && last_applied(&merged).is_some() {
        remember(&mut merged, config);
    }
    Ok(merged)
}

/// The manager of `kubectl apply --server-side`.
const KUBECTL: &str = "kubectl";
/// What `kubectl apply` of the older kind keeps its last configuration in.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn last_applied(object: &Value) -> Option<&str> {
    sub(sub(object, "metadata"), "annotations").get(LAST_APPLIED).and_then(Value::as_str)
}

/// kubectl does not conflict with itself: what it had applied on the client's side it may take over (`kubectl/apply`).
fn was_applied_by_kubectl(shape: Shape<'_>, live: &Value, writer: &Writer<'_>, conflicts: &[(usize, Set)]) -> bool {
    if writer.manager != KUBECTL {
        return false;
    }
    let Some(last) = last_applied(live).and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return false };
    let mut own = Set::default();
    fields(shape, &last, &mut own, true);
    conflicts.iter().all(|(_, taken)| {
        let mut others = taken.clone();
        others.subtract(&own);
        others.is_empty()
    })
}

/// Keeps the annotation of the older kind in step, so that either kind of apply can follow.
fn remember(merged: &mut Value, config: &Value) {
    let mut config = config.clone();
    if let Some(notes) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        notes.remove(LAST_APPLIED);
    }
    if let Some(notes) = merged.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        notes.insert(LAST_APPLIED.to_owned(), format!("{config}\n").into());
    }
}

fn untyped(target: Target<'_>, config: &Value, problems: &[String]) -> Value {
    let metadata = sub(config, "metadata");
    let text_of = match problems {
        [one] => one.clone(),
        several => format!("errors:\n  {}", several.join("\n  ")),
    };
    let group_version = if target.group.is_empty() { format!("/{}", target.version) } else { target.api_version() };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 500,
        "message": format!(
            "failed to create typed patch object ({}/{}; {group_version}, Kind={}): {text_of}",
            text(metadata, "namespace"), text(metadata, "name"), target.kind,
        ),
    })
}

/// Fields that the type does not have.
fn undeclared(shape: Shape<'_>, value: &Value, path: &mut String, problems: &mut Vec<String>) {
    match value {
        Value::Object(fields) if shape.has_fields(value) => {
            for (name, value) in fields {
                let length = path.len();
                path.push('.');
                path.push_str(name);
                match shape.field(name) {
                    Some(shape) => undeclared(shape, value, path, problems),
                    None => problems.push(format!("{path}: field not declared in schema")),
                }
                path.truncate(length);
            }
        }
        Value::Array(items) if matches!(shape, Shape::List(..)) => {
            for item in items {
                let element = shape.element(item);
                let keys = element.strip_prefix("k:").and_then(|keys| serde_json::from_str::<Map>(keys).ok());
                let printed: Vec<String> =
                    keys.unwrap_or_default().iter().map(|(key, value)| format!("{key}={value}")).collect();
                let length = path.len();
                path.push_str(&format!("[{}]", printed.join(",")));
                undeclared(shape.item(), item, path, problems);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// The fields that a configuration names.
fn fields(shape: Shape<'_>, value: &Value, set: &mut Set, root: bool) {
    match value {
        Value::Object(entries) if shape.has_fields(value) && !entries.is_empty() => {
            for (name, value) in entries {
                if let Some(shape) = shape.field(name) {
                    fields(shape, value, set.at(std::iter::once(format!("f:{name}"))), false);
                }
            }
        }
        Value::Array(items) if matches!(shape, Shape::List(..) | Shape::Set) && !items.is_empty() => {
            for item in items {
                let below = set.at(std::iter::once(shape.element(item).to_string()));
                below.insert(&[]);
                if shape.item().has_fields(item) {
                    fields(shape.item(), item, below, false);
                }
            }
        }
        _ if root => {}
        _ => set.insert(&[]),
    }
}

/// The live object with the configuration laid over it.
fn merge(shape: Shape<'_>, live: &Value, config: &Value) -> Value {
    match (live, config) {
        (Value::Object(before), Value::Object(after)) if shape.has_fields(config) => {
            let mut out = before.clone();
            for (name, value) in after {
                let merged = match (before.get(name), shape.field(name)) {
                    (Some(old), Some(shape)) => merge(shape, old, value),
                    _ => value.clone(),
                };
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(before), Value::Array(after)) if matches!(shape, Shape::List(..) | Shape::Set) => {
            let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
            let mut out = before.clone();
            for (index, item) in out.iter().enumerate() {
                places.entry(shape.element(item).into()).or_insert(index);
            }
            for item in after {
                let key = shape.element(item);
                match places.get(key.as_str()).and_then(|at| out.get_mut(*at)) {
                    Some(old) => *old = merge(shape.item(), old, item),
                    None => {
                        places.insert(key.into(), out.len());
                        out.push(item.clone());
                    }
                }
            }
            Value::Array(out)
        }
        _ => config.clone(),
    }
}

/// Removes what the last configuration named and nobody names now.
fn prune(shape: Shape<'_>, value: &mut Value, last: &Set, kept: Option<&Set>) {
    match value {
        Value::Object(fields) => {
            for (element, below) in last.children() {
                let Some(name) = element.strip_prefix("f:") else { continue };
                let still = kept.and_then(|kept| kept.child(element));
                let leaf = below.children().next().is_none();
                if still.is_none() && (leaf || below.is_member()) {
                    fields.remove(name);
                } else if let (Some(child), Some(shape)) = (fields.get_mut(name), shape.field(name)) {
                    prune(shape, child, below, still);
                    let emptied =
                        child.as_object().is_some_and(Map::is_empty) || child.as_array().is_some_and(List::is_empty);
                    if emptied && still.is_none() {
                        fields.remove(name);
                    }
                }
            }
        }
        Value::Array(items) => {
            let mut removed = Vec::new();
            for (index, item) in items.iter_mut().enumerate() {
                let element = shape.element(item);
                let Some(below) = last.child(&element) else { continue };
                let still = kept.and_then(|kept| kept.child(&element));
                if still.is_none() {
                    removed.push(index);
                } else {
                    prune(shape.item(), item, below, still);
                }
            }
            for index in removed.into_iter().rev() {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// Somebody else owns what the configuration would change.
fn conflict(managed: &[Entry], conflicts: &[(usize, Set)]) -> Value {
    let mut named: Vec<(String, Vec<String>)> =
        conflicts.iter().filter_map(|(at, set)| managed.get(*at).map(|entry| (printed(entry), set.paths()))).collect();
    named.sort();
    let count: usize = named.iter().map(|(_, paths)| paths.len()).sum();
    let causes: Vec<Value> = named
        .iter()
        .flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)))
        .map(|(manager, path)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path})
        })
        .collect();
    let message = match named.as_slice() {
        [(manager, paths)] if count == 1 => {
            let path = paths.first().map_or("", String::as_str);
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        }
        _ => {
            let mut lines = Vec::new();
            for (manager, paths) in &named {
                lines.push(format!("conflicts with {manager}:"));
                lines.extend(paths.iter().map(|path| format!("- {path}")));
            }
            format!("Apply failed with {count} conflicts: {}", lines.join("\n"))
        }
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": "Conflict", "details": {"causes": causes}, "code": 409,
    })
}

fn printed(entry: &Entry) -> String {
    let mut text = apimachinery::go::quote(&entry.manager);
    if !entry.subresource.is_empty() {
        text.push_str(&format!(" with subresource {}", apimachinery::go::quote(&entry.subresource)));
    }
    if !entry.apply {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}
