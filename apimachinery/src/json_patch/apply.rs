//! The six operations, with the texts of their failures.

use crate::go::quote;
use crate::value::{Map, Value};

use super::{COPY_LIMIT, Error};

/// What the texts end with, after the colon that Go's error wrapping puts there.
const MISSING: &str = "missing value";
const INVALID_INDEX: &str = "invalid index referenced";

type Operation = Map;

pub(super) fn apply(operations: &[Operation], mut document: Value) -> Result<Value, Error> {
    let mut copied = 0;
    // What one map gets in a row it gets at once: by itself, each field would move all that lies behind it.
    for run in operations.chunk_by(|one, next| target(one).is_some_and(|of_one| target(next) == Some(of_one))) {
        if run.len() > 1 && add_fields(&mut document, run) {
            continue;
        }
        for operation in run {
            match member(operation, "op") {
                Ok(Some("add")) => add(&mut document, operation)?,
                Ok(Some("remove")) => remove(&mut document, operation)?,
                Ok(Some("replace")) => replace(&mut document, operation)?,
                Ok(Some("move")) => relocate(&mut document, operation)?,
                Ok(Some("test")) => test(&document, operation)?,
                Ok(Some("copy")) => copy(&mut document, operation, &mut copied)?,
                Ok(Some(kind)) => return fail(format!("Unexpected kind: {kind}")),
                Ok(None) | Err(_) => return fail("Unexpected kind: unknown".to_owned()),
            }
        }
    }
    Ok(document)
}

/// The path of what an `add` adds to.
fn target(operation: &Operation) -> Option<&str> {
    let added = matches!(member(operation, "op"), Ok(Some("add")));
    let path = member(operation, "path").ok().flatten().filter(|_| added)?;
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// Adds fields to the one map that they are for; false if it is no map.
fn add_fields(document: &mut Value, run: &[Operation]) -> bool {
    let path = |operation| member(operation, "path").ok().flatten().unwrap_or_default();
    let first = run.first().map(path).unwrap_or_default();
    let Some((Value::Object(map), _)) = find_mut(document, first) else { return false };
    map.insert_all(
        run.iter().filter_map(|operation| Some((split(path(operation))?.1.into(), value_of(operation)))).collect(),
    );
    true
}

fn fail<T>(text: String) -> Result<T, Error> {
    Err(Error::Apply(text))
}

/// A text member of an operation: absent and null are `None`; another type is Go's decoding error.
fn member<'a>(operation: &'a Operation, name: &str) -> Result<Option<&'a str>, String> {
    let found = match operation.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(_)) => "number",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
    };
    Err(format!("json: cannot unmarshal {found} into Go value of type string"))
}

fn path_of<'a>(operation: &'a Operation, kind: &str) -> Result<&'a str, Error> {
    match member(operation, "path") {
        Ok(Some(path)) => Ok(path),
        // add, remove and copy hide the cause, the others keep it.
        _ if matches!(kind, "add" | "remove" | "copy") => {
            fail(format!("{kind} operation failed to decode path: {MISSING}"))
        }
        Ok(None) => fail(format!("{kind} operation failed to decode path: operation missing path field: {MISSING}")),
        Err(cause) => fail(format!("{kind} operation failed to decode path: {cause}")),
    }
}

fn from_of<'a>(operation: &'a Operation, kind: &str) -> Result<&'a str, Error> {
    match member(operation, "from") {
        Ok(Some(from)) => Ok(from),
        Ok(None) => fail(format!("{kind} operation failed to decode from: operation, missing from field: {MISSING}")),
        Err(cause) => fail(format!("{kind} operation failed to decode from: {cause}")),
    }
}

fn value_of(operation: &Operation) -> Value {
    operation.get("value").cloned().unwrap_or(Value::Null)
}

/// `~1` is a slash and `~0` a tilde, in this order, anything else after a tilde stands for itself.
fn unescape(segment: &str) -> String {
    if segment.contains('~') { segment.replace("~1", "/").replace("~0", "~") } else { segment.to_owned() }
}

/// Splits a path into the segments that lead to the container, and the key in it. The text before the first slash is
/// dropped without a look; a path without any slash has no key and leads nowhere.
fn split(path: &str) -> Option<(impl Iterator<Item = String>, String)> {
    let (_, below) = path.split_once('/')?;
    let (parents, key) = below.rsplit_once('/').map_or((None, below), |(parents, key)| (Some(parents), key));
    Some((parents.into_iter().flat_map(|p| p.split('/')).map(unescape), unescape(key)))
}

fn find<'a>(document: &'a Value, path: &str) -> Option<(&'a Value, String)> {
    let (parents, key) = split(path)?;
    let mut at = document;
    for segment in parents {
        at = get(at, &segment).ok()??;
    }
    matches!(at, Value::Object(_) | Value::Array(_)).then_some((at, key))
}

fn find_mut<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (parents, key) = split(path)?;
    let mut at = document;
    for segment in parents {
        at = match at {
            Value::Object(map) => map.get_mut(&segment)?,
            Value::Array(items) => {
                let index = existing(&segment, items.len()).ok()?;
                items.get_mut(index)?
            }
            _ => return None,
        };
    }
    matches!(at, Value::Object(_) | Value::Array(_)).then_some((at, key))
}

/// Go's `strconv.Atoi`: an optional sign and decimal digits.
fn number(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {}: invalid syntax", quote(text)));
    }
    text.parse().map_err(|_| format!("strconv.Atoi: parsing {}: value out of range", quote(text)))
}

fn invalid_index(index: i64) -> String {
    format!("Unable to access invalid index: {index}: {INVALID_INDEX}")
}

/// The position of an index in a list of `length` slots; negative ones count from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index_from_start = if index < 0 { index + length } else { index };
    (0..length).contains(&index_from_start).then(|| usize::try_from(index_from_start).ok())?
}

fn existing(text: &str, length: usize) -> Result<usize, String> {
    let index = number(text)?;
    position(index, length).ok_or_else(|| invalid_index(index))
}

/// What stands at `key`: in a map a missing key is `None`, in a list a bad index is an error. Null counts as nothing.
fn get<'a>(container: &'a Value, key: &str) -> Result<Option<&'a Value>, String> {
    let found = match container {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(existing(key, items.len())?),
        _ => None,
    };
    Ok(found.filter(|v| !v.is_null()))
}

fn insert(container: &mut Value, key: String, value: Value) -> Result<(), String> {
    match container {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index =
                number(&key).map_err(|cause| format!("value was not a proper array index: '{key}': {cause}"))?;
            // One slot more than there are items: an index equal to the length appends, and so does -1.
            let at = position(index, items.len() + 1).ok_or_else(|| invalid_index(index))?;
            items.insert(at, value);
        }
        _ => {}
    }
    Ok(())
}

fn take(container: &mut Value, key: &str) -> Result<Value, String> {
    match container {
        Value::Object(map) => {
            map.remove(key).ok_or_else(|| format!("Unable to remove nonexistent key: {key}: {MISSING}"))
        }
        Value::Array(items) => {
            let at = existing(key, items.len())?;
            Ok(items.remove(at))
        }
        _ => Ok(Value::Null),
    }
}

fn add(document: &mut Value, operation: &Operation) -> Result<(), Error> {
    let path = path_of(operation, "add")?;
    let Some((container, key)) = find_mut(document, path) else {
        return fail(format!("add operation does not apply: doc is missing path: {}: {MISSING}", quote(path)));
    };
    insert(container, key, value_of(operation))
        .or_else(|cause| fail(format!("error in add for path: '{path}': {cause}")))
}

fn remove(document: &mut Value, operation: &Operation) -> Result<(), Error> {
    let path = path_of(operation, "remove")?;
    let Some((container, key)) = find_mut(document, path) else {
        return fail(format!("remove operation does not apply: doc is missing path: {}: {MISSING}", quote(path)));
    };
    match take(container, &key) {
        Ok(_) => Ok(()),
        Err(cause) => fail(format!("error in remove for path: '{path}': {cause}")),
    }
}

fn replace(document: &mut Value, operation: &Operation) -> Result<(), Error> {
    let path = path_of(operation, "replace")?;
    if path.is_empty() {
        let value = value_of(operation);
        if !matches!(value, Value::Object(_) | Value::Array(_)) {
            return fail("replace operation value must be object or array".to_owned());
        }
        *document = value;
        return Ok(());
    }
    let Some((container, key)) = find_mut(document, path) else {
        return fail(format!("replace operation does not apply: doc is missing path: {path}: {MISSING}"));
    };
    match container {
        Value::Object(map) => {
            map.insert(key, value_of(operation));
        }
        Value::Array(items) => match existing(&key, items.len()).ok().and_then(|at| items.get_mut(at)) {
            Some(slot) => *slot = value_of(operation),
            None => return fail(format!("replace operation does not apply: doc is missing key: {path}: {MISSING}")),
        },
        _ => {}
    }
    Ok(())
}

fn relocate(document: &mut Value, operation: &Operation) -> Result<(), Error> {
    let from = from_of(operation, "move")?;
    let Some((container, key)) = find_mut(document, from) else {
        return fail(format!("move operation does not apply: doc is missing from path: {from}: {MISSING}"));
    };
    let value = take(container, &key).or_else(|cause| fail(format!("error in move for path: '{key}': {cause}")))?;
    let path = path_of(operation, "move")?;
    let Some((container, key)) = find_mut(document, path) else {
        return fail(format!("move operation does not apply: doc is missing destination path: {path}: {MISSING}"));
    };
    insert(container, key, value).or_else(|cause| fail(format!("error in move for path: '{path}': {cause}")))
}

fn test(document: &Value, operation: &Operation) -> Result<(), Error> {
    let path = path_of(operation, "test")?;
    let expected = operation.get("value").filter(|v| !v.is_null());
    let found = if path.is_empty() {
        Some(document)
    } else {
        let Some((container, key)) = find(document, path) else {
            return fail(format!(
                "test operation for path {path} does not apply: doc is missing path: {path}: {MISSING}"
            ));
        };
        get(container, &key).or_else(|cause| fail(format!("error in test for path: '{path}': {cause}")))?
    };
    if found == expected { Ok(()) } else { Err(Error::Test { path: path.to_owned() }) }
}

fn copy(document: &mut Value, operation: &Operation, copied: &mut usize) -> Result<(), Error> {
    let from = from_of(operation, "copy")?;
    let Some((container, key)) = find(document, from) else {
        return fail(format!("copy operation does not apply: doc is missing from path: {from}: {MISSING}"));
    };
    let value = get(container, &key).or_else(|cause| fail(format!("error in copy for from: '{from}': {cause}")))?;
    let size = value.map_or(0, json_length);
    let path = path_of(operation, "copy")?;
    *copied += size;
    if *copied > COPY_LIMIT {
        return fail(format!(
            "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {COPY_LIMIT}"
        ));
    }
    let value = value.cloned().unwrap_or(Value::Null);
    let Some((container, key)) = find_mut(document, path) else {
        return fail(format!("copy operation does not apply: doc is missing destination path: {path}: {MISSING}"));
    };
    insert(container, key, value).or_else(|cause| fail(format!("error while adding value during copy: {cause}")))
}

/// Length of the value as compact JSON, without writing it anywhere.
fn json_length(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX / 2,
    }
}
