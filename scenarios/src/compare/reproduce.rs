//! The smallest object that still shows a class, and a scenario that shows it.

use std::path::PathBuf;

use apimachinery::yaml;
use serde_json::{Map, Value, json};

use super::answer::{Found, Pair};
use super::classes::Material;
use super::differ::{Difference, Step};
use super::{Change, ChangeKind, Class};

/// Objects that are tried for one class.
const TRIES: usize = 400;
/// Largest body that is shrunk, in bytes.
const LARGEST: usize = 1 << 20;

/// How a scenario names a webhook.
#[derive(Clone, Debug)]
pub enum Backend {
    /// The sidecar injector with this configuration: one in the box, or a file; and files of values and mesh configuration.
    Injector {
        /// `modern`, `1.0`, or the file's absolute path.
        config: String,
        /// Absolute path.
        values: Option<PathBuf>,
        /// Absolute path.
        mesh_config: Option<PathBuf>,
    },
    /// An https URL whose certificate was signed by the authority in this PEM file.
    Url(String, PathBuf),
}

/// Shrinks the object of a class's example for as long as the class persists. `None`: it cannot be asked again (a side is what
/// was recorded), or does not show the class when it is.
pub(super) async fn minimal(pair: &mut Pair, material: &Material, change: &Change) -> Option<Value> {
    let record = &material.record;
    let mut review: Value = serde_json::from_str(&record.body).ok().filter(|_| record.body.len() <= LARGEST)?;
    let mut object = review["request"]["object"].take();
    let mut left = TRIES;
    let mut test = async |object: &Value| {
        left = left.checked_sub(1)?;
        review["request"]["object"] = object.clone();
        let body = review.to_string();
        let compared = pair.compare(record, Some(body.as_bytes())).await;
        Some(match compared.found {
            Found::Different(found) => found.changes.iter().any(|found| same(found, change, material.folded)),
            _ => false,
        })
    };
    if !object.is_object() || !test(&object).await? {
        return None;
    }
    // Whole branches first, then what is in those that have to stay.
    let mut waiting = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let mut children = children(&object, &path);
        // From the end, so that the indices of what is left stay right.
        children.reverse();
        for child in children {
            let mut path = path.clone();
            path.push(child);
            if !is_removable(&object, &path) {
                waiting.push(path);
                continue;
            }
            let mut smaller = object.clone();
            remove(&mut smaller, &path);
            match test(&smaller).await {
                Some(true) => object = smaller,
                Some(false) => waiting.push(path),
                None => return Some(object),
            }
        }
    }
    Some(object)
}

fn same(found: &Change, wanted: &Change, folded: bool) -> bool {
    found.kind == wanted.kind
        && found.path == wanted.path
        && (folded || (found.before == wanted.before && found.after == wanted.after))
}

/// A field or an item.
#[derive(Clone, Debug, PartialEq)]
enum Child {
    Key(String),
    At(usize),
}

fn get<'a>(object: &'a Value, path: &[Child]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, child| match child {
        Child::Key(key) => value.get(key),
        Child::At(at) => value.get(at),
    })
}

fn children(object: &Value, path: &[Child]) -> Vec<Child> {
    match get(object, path) {
        Some(Value::Object(map)) => map.keys().cloned().map(Child::Key).collect(),
        Some(Value::Array(list)) => (0..list.len()).map(Child::At).collect(),
        _ => Vec::new(),
    }
}

/// What an apiserver demands stays: kind, name, and a container with a name and an image.
fn is_removable(object: &Value, path: &[Child]) -> bool {
    let key = |at: usize| match path.get(at) {
        Some(Child::Key(key)) => key.as_str(),
        _ => "",
    };
    match (path.len(), key(0), key(1)) {
        (1, "apiVersion" | "kind" | "metadata" | "spec", _) => false,
        (2, "metadata", "name") => {
            get(object, &[Child::Key("metadata".into()), Child::Key("generateName".into())]).is_some()
        }
        (2, "metadata", "generateName") => {
            get(object, &[Child::Key("metadata".into()), Child::Key("name".into())]).is_some()
        }
        (2, "spec", "containers") => false,
        (3, "spec", "containers") => children(object, &path[..2]).len() > 1,
        (4, "spec", _) => !matches!(key(3), "name" | "image"),
        _ => true,
    }
}

fn remove(object: &mut Value, path: &[Child]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(object, |value, child| match child {
        Child::Key(key) => value.get_mut(key),
        Child::At(at) => value.get_mut(at),
    });
    match (parent, last) {
        (Some(Value::Object(map)), Child::Key(key)) => {
            map.remove(key);
        }
        (Some(Value::Array(list)), Child::At(at)) if *at < list.len() => {
            list.remove(*at);
        }
        _ => {}
    }
}

/// What both sides make of a class's minimal object: the difference with its values as they are, and the candidate's object.
pub(super) async fn found_in(
    pair: &mut Pair,
    material: &Material,
    change: &Change,
    object: &Value,
) -> Option<(Difference, Value)> {
    let mut review: Value = serde_json::from_str(&material.record.body).ok()?;
    review["request"]["object"] = object.clone();
    let Found::Different(found) = pair.compare(&material.record, Some(review.to_string().as_bytes())).await.found
    else {
        return None;
    };
    let at = found.changes.iter().position(|found| same(found, change, material.folded))?;
    Some((found.differences.get(at)?.clone(), found.after))
}

/// A scenario that creates the object and expects what the candidate does with it, as a file for `towtank run`.
pub(super) fn scenario(
    class: &Class,
    object: &Value,
    difference: &Difference,
    after: &Value,
    backend: &Backend,
) -> String {
    let namespace = class.example.as_ref().map_or("", |example| &example.namespace);
    let namespace = if namespace.is_empty() { "default" } else { namespace };
    let webhook = match backend {
        Backend::Injector { config, values, mesh_config } => {
            let mut webhook = json!({ "injector": config });
            for (key, file) in [("values", values), ("meshConfig", mesh_config)] {
                if let Some(file) = file {
                    webhook[key] = file.display().to_string().into();
                }
            }
            webhook
        }
        Backend::Url(url, ca) => json!({ "url": url, "ca": ca.display().to_string(), "name": "candidate" }),
    };
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.insert("namespace".to_owned(), namespace.into());
        for key in ["managedFields", "uid", "resourceVersion", "creationTimestamp"] {
            metadata.remove(key);
        }
    }
    let scenario = json!({
        "scenario": class.title,
        "cluster": { "namespaces": [namespace], "webhooks": [webhook] },
        "steps": [{ "create": object }, { "expect": expectation(class.change.kind, difference, after) }],
    });
    let of = class
        .example
        .as_ref()
        .map_or_else(String::new, |example| format!(", first in line {} of {}", example.line, example.log));
    let before = difference.before.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
    format!(
        "# Class {}{of}.\n# {}: the baseline has {}; expected here is what the candidate does.\n{}",
        class.id,
        class.change.path,
        before.chars().take(200).collect::<String>(),
        yaml::to_string(&scenario)
    )
}

fn expectation(kind: ChangeKind, difference: &Difference, after: &Value) -> Value {
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().replace('*', "\\*");
    match kind {
        ChangeKind::Decision => match text(&difference.after).split_once(": ") {
            Some(("denied", message)) => json!({ "message": message }),
            _ if difference.path.len() > 1 => json!({ "message": text(&difference.after) }),
            Some(("failed", _)) => json!({ "status": 500 }),
            _ => json!({ "status": 201 }),
        },
        ChangeKind::Warning if difference.after.is_some() => {
            json!({ "status": 201, "warnings": [text(&difference.after)] })
        }
        ChangeKind::Removed => {
            json!({ "status": 201, "lacks": within(&difference.path, difference.before.as_ref(), None) })
        }
        ChangeKind::Added | ChangeKind::Changed => {
            json!({ "status": 201, "matches": within(&difference.path, difference.after.as_ref(), Some(after)) })
        }
        _ => json!({ "status": 201 }),
    }
}

/// An object that holds this value at this place and nothing else. Where the place is within a text or a list without names,
/// the whole of that stands for it, as it is in `whole`.
fn within(path: &[Step], value: Option<&Value>, whole: Option<&Value>) -> Value {
    let Some((step, rest)) = path.split_first() else { return starless(value.unwrap_or(&Value::Null)) };
    match step {
        Step::Key(key) => {
            let whole = whole.and_then(|whole| whole.get(key));
            Value::Object(Map::from_iter([(key.clone(), within(rest, value, whole))]))
        }
        Step::Item(keys) => {
            let is = |item: &&Value| keys.iter().all(|(key, value)| item.get(key) == Some(value));
            let item = whole.and_then(Value::as_array).and_then(|list| list.iter().find(is));
            let mut inner = if rest.is_empty() { json!({}) } else { within(rest, value, item) };
            if let Value::Object(inner) = &mut inner {
                inner.extend(
                    keys.iter()
                        .filter(|(key, _)| key != "occurrence")
                        .map(|(key, value)| (key.clone(), starless(value))),
                );
            }
            json!([inner])
        }
        Step::Index(_) | Step::Flag(_) | Step::Json => starless(whole.or(value).unwrap_or(&Value::Null)),
    }
}

/// Stars in texts stand for themselves.
fn starless(value: &Value) -> Value {
    match value {
        Value::String(text) => text.replace('*', "\\*").into(),
        Value::Array(list) => list.iter().map(starless).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), starless(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}
