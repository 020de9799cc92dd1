//! LimitRanger: defaults of containers' resources, and the limits themselves.

use std::sync::Arc;

use apimachinery::value::{Map, Value};

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::{pod, quantity};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

fn ranges(cluster: &dyn Cluster, attributes: &Attributes) -> Vec<Arc<Value>> {
    if pod::creating(attributes).is_none() {
        return Vec::new();
    }
    cluster.list("", "limitranges", Some(&attributes.namespace))
}

fn items<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    range["spec"]["limits"].as_array().into_iter().flatten().filter(move |item| item["type"] == kind)
}

/// Fills in what containers leave out, and says so in an annotation (vector `pod-create/limitrange-defaults`).
pub(crate) fn mutate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    for range in ranges(cluster, attributes) {
        let mut notes = Vec::new();
        let Some(spec) = pod::created(attributes) else { return Ok(()) };
        for (list, prefix) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
            for container in containers.filter_map(Value::as_object_mut) {
                fill(container, &range, prefix, &mut notes);
            }
        }
        if notes.is_empty() {
            continue;
        }
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        let metadata = attributes.object.as_mut().and_then(|object| object.get_mut("metadata"));
        let Some(metadata) = metadata.and_then(Value::as_object_mut) else { continue };
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        if annotations.is_null() {
            *annotations = Value::Object(Map::new());
        }
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(ANNOTATION.to_owned(), note.into());
        }
    }
    Ok(())
}

fn fill(container: &mut Map, range: &Value, prefix: &str, notes: &mut Vec<String>) {
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (target, source, word) in [("requests", "defaultRequest", "request"), ("limits", "default", "limit")] {
        let mut defaults = Map::new();
        for item in items(range, "Container") {
            defaults.extend(
                item[source].as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())),
            );
        }
        if defaults.is_empty() {
            continue;
        }
        let resources = container.entry("resources").or_insert_with(|| Value::Object(Map::new()));
        let Some(resources) = resources.as_object_mut() else { continue };
        let given = resources.entry(target).or_insert_with(|| Value::Object(Map::new()));
        let Some(given) = given.as_object_mut() else { continue };
        let mut set = Vec::new();
        for (key, value) in defaults {
            if !given.contains_key(&key) {
                set.push(key.clone());
                given.insert(key, value);
            }
        }
        if !set.is_empty() {
            notes.push(format!("{} {word} for {prefix} {name}", set.join(", ")));
        }
    }
}

/// Checks minimum, maximum and ratio per container and per pod.
pub(crate) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let mut errors = Vec::new();
    if attributes.is_for("", "persistentvolumeclaims")
        && matches!(attributes.operation, Operation::Create | Operation::Update)
        && let Some(claim) = &attributes.object
    {
        for range in cluster.list("", "limitranges", Some(&attributes.namespace)) {
            check_claim(&range, &claim["spec"]["resources"]["requests"], &mut errors);
        }
        return refuse(attributes, &errors);
    }
    for range in ranges(cluster, attributes) {
        let Some(object) = pod::creating(attributes) else { continue };
        let spec = &object["spec"];
        for item in items(&range, "Container") {
            for container in pod::containers(spec) {
                let resources = &container["resources"];
                check(item, "Container", &resources["requests"], &resources["limits"], &mut errors);
            }
        }
        for item in items(&range, "Pod") {
            let (requests, limits) = (pod::total(spec, "requests"), pod::total(spec, "limits"));
            check(item, "Pod", &Value::Object(requests), &Value::Object(limits), &mut errors);
        }
    }
    refuse(attributes, &errors)
}

fn refuse(attributes: &Attributes, errors: &[String]) -> Result<(), Rejection> {
    let why = match errors {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(Rejection::forbidden("", &attributes.resource.resource, &attributes.name, &why))
}

/// The storage that a PersistentVolumeClaim asks for; a claim has no limits.
fn check_claim(range: &Value, requests: &Value, errors: &mut Vec<String>) {
    let nanos = |value: &Value| value.as_str().and_then(quantity::nanos).unwrap_or(0);
    for item in items(range, "PersistentVolumeClaim") {
        for (word, is_beyond) in
            [("min", (|asked, bound| asked < bound) as fn(i128, i128) -> bool), ("max", |a, b| a > b)]
        {
            for (key, bound) in item[word].as_object().into_iter().flatten() {
                let text = bound.as_str().unwrap_or_default();
                let start = format!("{word}imum {key} usage per PersistentVolumeClaim is {text}");
                match requests.get(key) {
                    None => errors.push(format!("{start}.  No request is specified")),
                    Some(asked) if is_beyond(nanos(asked), nanos(bound)) => {
                        errors.push(format!("{start}, but request is {}", asked.as_str().unwrap_or_default()));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

fn check(item: &Value, of: &str, requests: &Value, limits: &Value, errors: &mut Vec<String>) {
    let entries = |key: &str| item[key].as_object().cloned().unwrap_or_default();
    let value =
        |of: &Value, key: &str| of[key].as_str().map(|text| (text.to_owned(), quantity::nanos(text).unwrap_or(0)));
    for (key, bound) in entries("min") {
        let bound = bound.as_str().unwrap_or_default();
        let least = quantity::nanos(bound).unwrap_or(0);
        match (value(requests, &key), value(limits, &key)) {
            (None, _) => errors.push(format!("minimum {key} usage per {of} is {bound}.  No request is specified")),
            (Some((text, request)), _) if request < least => {
                errors.push(format!("minimum {key} usage per {of} is {bound}, but request is {text}"));
            }
            (_, Some((text, limit))) if limit < least => {
                errors.push(format!("minimum {key} usage per {of} is {bound}, but limit is {text}"));
            }
            _ => {}
        }
    }
    for (key, bound) in entries("max") {
        let bound = bound.as_str().unwrap_or_default();
        let most = quantity::nanos(bound).unwrap_or(0);
        match (value(requests, &key), value(limits, &key)) {
            (_, None) => errors.push(format!("maximum {key} usage per {of} is {bound}.  No limit is specified")),
            (_, Some((text, limit))) if limit > most => {
                errors.push(format!("maximum {key} usage per {of} is {bound}, but limit is {text}"));
            }
            (Some((text, request)), _) if request > most => {
                errors.push(format!("maximum {key} usage per {of} is {bound}, but request is {text}"));
            }
            _ => {}
        }
    }
    for (key, bound) in entries("maxLimitRequestRatio") {
        let bound = bound.as_str().unwrap_or_default();
        let most = quantity::nanos(bound).unwrap_or(0);
        match (value(requests, &key), value(limits, &key)) {
            (Some((_, request)), Some((_, limit)))
                if request > 0 && limit.saturating_mul(1_000_000_000) / request > most =>
            {
                let millionths = limit.saturating_mul(1_000_000) / request;
                let ratio = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
                errors.push(format!(
                    "{key} max limit to request ratio per {of} is {bound}, but provided ratio is {ratio}"
                ));
            }
            (None, _) => errors.push(format!(
                "{key} max limit to request ratio per {of} is {bound}, but no request is specified or request is 0"
            )),
            (_, None) => errors.push(format!(
                "{key} max limit to request ratio per {of} is {bound}, but no limit is specified or limit is 0"
            )),
            _ => {}
        }
    }
}
