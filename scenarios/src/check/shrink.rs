//! Making an object that breaks a law as small as it goes: hierarchical delta debugging.
//!
//! Level by level from the top, fields and items are taken away in halves, quarters and so on down to single ones; what
//! can be missing while the law stays broken stays missing. Calls are bounded, and the object stays one that an apiserver
//! would take: required fields stay, and a mount keeps its volume.

use apimachinery::schema::{self, Kind, Type};
use apimachinery::value::Value;

use super::case::Case;
use super::law::{Bench, Evidence, Law, Verdict};

/// Most tests for one object.
pub(super) const BUDGET: usize = 400;

/// The smallest case found, how it breaks the law, and how many tests that took.
pub(super) async fn shrink(law: &dyn Law, bench: &Bench, case: &Case, evidence: Evidence) -> (Case, Evidence, usize) {
    let kind = &case.review["request"]["kind"];
    let text = |field: &str| kind[field].as_str().unwrap_or_default();
    let ty = schema::lookup(text("group"), text("version"), text("kind"));
    let mut best = (case.clone(), evidence);
    let (mut tests, mut level, mut size_before) = (0, 1, usize::MAX);
    // The object gets smaller and so, perhaps, less deep.
    while level <= depth(best.0.object()) && tests < BUDGET {
        let places = places(best.0.object(), ty, level);
        // Taken from the end, so that numbers of items before stay what they are.
        let mut places: Vec<Place> = places.into_iter().rev().collect();
        let mut size = places.len();
        while size > 0 && tests < BUDGET {
            let mut at = 0;
            while at < places.len() && tests < BUDGET {
                let end = (at + size).min(places.len());
                let object = without(best.0.object(), &places[at..end]);
                if is_sound(&object) {
                    let smaller = case.with_object(object);
                    tests += 1;
                    if let Verdict::Broken(evidence) = law.test(bench, &smaller).await {
                        best = (smaller, evidence);
                        places.drain(at..end);
                        continue;
                    }
                }
                at = end;
            }
            size /= 2;
        }
        level += 1;
        // What had to stay for the sake of something deeper may go now: again from the top, as long as that helps.
        let size_now = best.0.object().to_string().len();
        if level > depth(best.0.object()) && size_now < size_before {
            (level, size_before) = (1, size_now);
        }
    }
    (best.0, best.1, tests)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.values().map(depth).max().map_or(0, |depth| depth + 1),
        Value::Array(items) => items.iter().map(depth).max().map_or(0, |depth| depth + 1),
        _ => 0,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

type Place = Vec<Step>;

/// What may be taken away at this depth.
fn places(object: &Value, ty: Option<&'static Type>, level: usize) -> Vec<Place> {
    let mut out = Vec::new();
    collect(object, ty.map(Shape::Object), level, &mut Vec::new(), &mut out);
    out
}

/// What the schema says of a value.
#[derive(Clone, Copy)]
enum Shape {
    Object(&'static Type),
    Of(&'static Kind),
}

fn collect(value: &Value, shape: Option<Shape>, level: usize, path: &mut Place, out: &mut Vec<Place>) {
    let children: Vec<(Step, &Value, Option<Shape>, bool)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let field = match shape {
                    Some(Shape::Object(ty)) => ty.field(key),
                    _ => None,
                };
                let inner = match (field, shape) {
                    (Some(field), _) => Some(narrowed(&field.kind)),
                    (None, Some(Shape::Of(Kind::Map(kind)))) => Some(narrowed(kind)),
                    _ => None,
                };
                let stays = field.is_some_and(|field| field.required) || kept(path, key);
                (Step::Key(key.clone().into()), value, inner, stays)
            })
            .collect(),
        Value::Array(items) => {
            let inner = match shape {
                Some(Shape::Of(Kind::List(kind))) => Some(narrowed(kind)),
                _ => None,
            };
            items.iter().enumerate().map(|(index, value)| (Step::Index(index), value, inner, false)).collect()
        }
        _ => return,
    };
    for (step, value, inner, stays) in children {
        path.push(step);
        if level > 1 {
            collect(value, inner, level - 1, path, out);
        } else if !stays {
            out.push(path.clone());
        }
        path.pop();
    }
}

fn narrowed(kind: &'static Kind) -> Shape {
    match kind {
        Kind::Object(ty) => Shape::Object(ty.get()),
        other => Shape::Of(other),
    }
}

/// What validation asks for beyond the schema.
fn kept(path: &[Step], key: &str) -> bool {
    match path {
        [] => matches!(key, "apiVersion" | "kind" | "metadata" | "spec"),
        [Step::Key(top)] if top == "metadata" => matches!(key, "name" | "generateName"),
        [.., Step::Key(list), Step::Index(_)] if list.ends_with("ontainers") => matches!(key, "name" | "image"),
        _ => false,
    }
}

fn without(object: &Value, places: &[Place]) -> Value {
    let mut object = object.clone();
    for place in places {
        let Some((last, path)) = place.split_last() else { continue };
        let mut at = Some(&mut object);
        for step in path {
            at = at.and_then(|value| match step {
                Step::Key(key) => value.get_mut(key),
                Step::Index(index) => value.get_mut(*index),
            });
        }
        match (at, last) {
            (Some(Value::Object(map)), Step::Key(key)) => {
                map.remove(key);
            }
            (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => {
                items.remove(*index);
            }
            _ => {}
        }
    }
    object
}

/// A pod has a container, and a volume for each mount.
pub(crate) fn is_sound(object: &Value) -> bool {
    let spec = &object["spec"];
    let Some(containers) = spec.get("containers") else { return true };
    let names = |value: &'_ Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
    };
    let volumes = names(&spec["volumes"]);
    let mounts = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| spec[list].as_array().into_iter().flatten())
        .flat_map(|container| names(&container["volumeMounts"]));
    containers.as_array().is_some_and(|items| !items.is_empty())
        && mounts.into_iter().all(|name| volumes.contains(&name))
}
