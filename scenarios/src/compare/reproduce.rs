//! The smallest object that still shows a class, and a scenario that shows it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use apimachinery::value::{Map, Value, json};
use apimachinery::yaml;

use super::answer::{Found, Pair};
use super::classes::{Material, Wanted};
use super::differ::{Difference, Step};
use super::{Change, ChangeKind, Class};
use crate::check::is_sound;

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
pub(super) async fn minimal(pair: &mut Pair, material: &Material) -> Option<Value> {
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
            Found::Different(found) => !places(&found.changes, &material.changes).contains(&None),
            _ => false,
        })
    };
    if !object.is_object() || !test(&object).await? {
        return None;
    }
    let sound = is_sound(&object);
    // Twice, for a volume can go once nothing mounts it.
    for _ in 0..2 {
        let size = object.to_string().len();
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
                if sound && !is_sound(&smaller) {
                    waiting.push(path);
                    continue;
                }
                match test(&smaller).await {
                    Some(true) => object = smaller,
                    Some(false) => waiting.push(path),
                    None => return Some(object),
                }
            }
        }
        if object.to_string().len() == size {
            break;
        }
    }
    Some(object)
}

/// Where each of what is wanted is in what was found.
fn places(found: &[Change], wanted: &[Wanted]) -> Vec<Option<usize>> {
    let mut by_place: HashMap<(ChangeKind, &str), Vec<usize>> = HashMap::new();
    for (at, change) in found.iter().enumerate() {
        by_place.entry((change.kind, &change.path)).or_default().push(at);
    }
    let place = |wanted: &Wanted| {
        let change = &wanted.change;
        let mut there = by_place.get(&(change.kind, change.path.as_str()))?.iter().copied();
        there.find(|at| {
            let values = |found: &Change| found.before == change.before && found.after == change.after;
            !wanted.exact || found.get(*at).is_some_and(values)
        })
    };
    wanted.iter().map(place).collect()
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
        Some(Value::Object(map)) => map.keys().map(|key| Child::Key(key.to_string())).collect(),
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
        // A variable, a volume, a mount and a port are nothing without what they are told by.
        (length, "spec", _) if matches!(path.get(length - 2), Some(Child::At(_))) => {
            !matches!(key(length - 1), "name" | "mountPath" | "containerPort")
        }
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

/// What both sides make of a class's minimal object: the differences with their values as they are, and the candidate's object.
pub(super) async fn found_in(pair: &mut Pair, material: &Material, object: &Value) -> Option<(Vec<Difference>, Value)> {
    let mut review: Value = serde_json::from_str(&material.record.body).ok()?;
    review["request"]["object"] = object.clone();
    let Found::Different(found) = pair.compare(&material.record, Some(review.to_string().as_bytes())).await.found
    else {
        return None;
    };
    if places(&found.changes, &material.changes).contains(&None) {
        return None;
    }
    let wanted: HashSet<(ChangeKind, &str)> =
        material.changes.iter().map(|wanted| (wanted.change.kind, wanted.change.path.as_str())).collect();
    let of_class = |(difference, (kind, path)): (&Difference, &(ChangeKind, String))| {
        wanted.contains(&(*kind, path.as_str())).then(|| difference.clone())
    };
    Some((found.differences.iter().zip(&found.places).filter_map(of_class).collect(), found.sent))
}

/// A scenario that creates the object and expects what the candidate does with it, as a file for `towtank run`.
pub(super) fn scenario(
    class: &Class,
    object: &Value,
    differences: &[Difference],
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
    let mut steps = vec![json!({ "create": object })];
    for difference in differences {
        let step = json!({ "expect": expectation(difference, after) });
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    let scenario = json!({
        "scenario": class.title,
        "cluster": { "namespaces": [namespace], "webhooks": [webhook] },
        "steps": steps,
    });
    let of = class
        .example
        .as_ref()
        .map_or_else(String::new, |example| format!(", first in line {} of {}", example.line, example.log));
    let mut comment = format!("# Class {}{of}. Expected here is what the candidate does.\n", class.id);
    for part in &class.parts {
        comment.push_str(&format!("# {}\n", part.title.replace('\n', " ")));
    }
    comment + &yaml::to_string(&scenario)
}

fn expectation(difference: &Difference, after: &Value) -> Value {
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().replace('*', "\\*");
    match difference.kind {
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
        ChangeKind::Moved => {
            json!({ "status": 201, "matches": within(&difference.path, Some(&json!({})), Some(after)) })
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
    let Some((step, rest)) = path.split_first() else {
        // Of a list in which an item has come, all items.
        let list = whole.filter(|whole| whole.is_array());
        return starless(list.or(value).unwrap_or(&Value::Null));
    };
    match step {
        Step::Key(key) => {
            let whole = whole.and_then(|whole| whole.get(key));
            Value::Object(Map::from_iter([(key.clone(), within(rest, value, whole))]))
        }
        Step::Moved { to, .. } => {
            let whole = whole.and_then(|whole| whole.get(*to));
            Value::Object(Map::from_iter([((*to).to_owned(), within(rest, value, whole))]))
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
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), starless(value))).collect::<Map>().into(),
        other => other.clone(),
    }
}
