//! Whether an object holds what is expected, and what it holds instead.

use apimachinery::value::{Map, Value};

/// Whether `found` holds all of `expected`.
///
/// Maps: each expected key, null standing for "absent or empty". Lists: each expected item is matched by some item; one
/// with a `name` by the item of that name. Strings: `*` stands for any text. Everything else: equal.
pub(super) fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, expected)| holds(expected, found.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.iter().all(|expected| found.iter().any(|found| holds(expected, found)))
        }
        (Value::String(pattern), Value::String(text)) => text_matches(pattern, text),
        (Value::Null, found) => is_empty(found),
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (expected, found) => expected == found,
    }
}

/// Whether `found` holds any of `unwanted`: then these are the places. The inverse of [`holds`], leaf by leaf.
pub(super) fn overlap(unwanted: &Value, found: &Value, place: &str, into: &mut Vec<String>) {
    match (unwanted, found) {
        (_, Value::Null) => {}
        (Value::Object(unwanted), Value::Object(found)) => {
            for (key, unwanted) in unwanted {
                if let Some(found) = found.get(key) {
                    overlap(unwanted, found, &format!("{place}.{key}"), into);
                }
            }
        }
        (Value::Array(unwanted), Value::Array(found)) => {
            for unwanted in unwanted {
                if let Some(at) = found.iter().position(|found| holds(unwanted, found)) {
                    into.push(format!("{place}[{at}]"));
                }
            }
        }
        (Value::Null, found) if !is_empty(found) => into.push(place.to_owned()),
        (unwanted, found) if holds(unwanted, found) => into.push(place.to_owned()),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// `*` stands for any text, `\*` for a star.
pub(super) fn text_matches(pattern: &str, text: &str) -> bool {
    const STAR: char = '\u{0}';
    let pattern = pattern.replace("\\*", &STAR.to_string());
    let mut parts = pattern.split('*').map(|part| part.replace(STAR, "*"));
    let first = parts.next().unwrap_or_default();
    let parts: Vec<String> = parts.collect();
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// Whether a text holds a part, `*` standing for anything.
pub(super) fn text_holds(part: &str, text: &str) -> bool {
    text_matches(&format!("*{part}*"), text)
}

/// The part of `found` that `expected` speaks of, for showing side by side: other keys and items are left out, unless
/// nothing matches and the reader has to see what is there.
pub(super) fn project(expected: &Value, found: &Value) -> Value {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let keys = expected.iter().filter_map(|(key, expected)| {
                let found = found.get(key)?;
                Some((key.clone(), project(expected, found)))
            });
            Value::Object(keys.collect::<Map>())
        }
        (Value::Array(expected), Value::Array(found)) => {
            let items = expected.iter().flat_map(|expected| counterpart(expected, found)).collect();
            Value::Array(items)
        }
        // A pattern that matches is shown as the pattern, so that it is no difference.
        (expected, found) if holds(expected, found) => expected.clone(),
        (_, found) => found.clone(),
    }
}

/// The item of a list that an expected item is about, or what there is instead.
fn counterpart(expected: &Value, found: &[Value]) -> Vec<Value> {
    if found.iter().any(|found| holds(expected, found)) {
        return vec![expected.clone()];
    }
    let name = expected.get("name").filter(|name| name.is_string());
    match name.and_then(|name| found.iter().find(|found| found.get("name") == Some(name))) {
        Some(found) => vec![project(expected, found)],
        None => found.iter().map(summary).collect(),
    }
}

/// A stand-in for an item: its name, or itself if it is small.
fn summary(item: &Value) -> Value {
    match item.get("name") {
        Some(name) => apimachinery::value::json!({ "name": name }),
        None => item.clone(),
    }
}
