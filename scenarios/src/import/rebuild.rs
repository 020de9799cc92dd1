//! What a webhook saw of an object, from what an audit log holds: the object as it was sent, the patches, and the object as
//! it was stored.
//!
//! Between the client and the first webhook, built-in admission adds to an object (service account, tolerations, priority,
//! limits), and the apiserver adds `managedFields`. All of it is in the stored object, beside what the webhooks added and
//! what the apiserver filled in at the end. Which is which is told by applying the patches to the sent object with every part
//! of it marked: what the stored object has in a marked part, and the patched object has not, was added on the way.

use apimachinery::json_patch::Patch;
use apimachinery::value::{Map, Value, json};

/// In each object of the sent object: where it stood. No field has this name.
const MARK: &str = "\u{0}at";

/// The object as the first webhook saw it. `stored` is `None` where nothing was stored: then what built-in admission added
/// is not known.
pub(super) fn before_webhooks(sent: &Value, stored: Option<&Value>, patches: &[Value], namespace: &str) -> Value {
    let mut object = sent.clone();
    if !namespace.is_empty()
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
    let Some(stored) = stored.filter(|stored| stored.get("kind") == object.get("kind")) else { return object };
    let mut marked = object.clone();
    mark(&mut marked, "");
    for patch in patches {
        for operation in patch.as_array().into_iter().flatten() {
            marked = step(marked, operation);
        }
    }
    let mut additions =
        Additions { kind: object["kind"].as_str().unwrap_or_default(), sent: &object, found: Vec::new() };
    additions.object("", &marked, stored);
    let found = additions.found;
    for (path, key, value) in found {
        add(&mut object, &path, &key, value);
    }
    object
}

/// An object with a patch applied as far as it can be: built-in admission may have made what it builds upon.
pub(super) fn step(object: Value, operation: &Value) -> Value {
    if operation["op"] == "test" {
        return object;
    }
    let apply = |object: &Value, operation: &Value| {
        Patch::from_value(json!([operation])).ok().and_then(|patch| patch.apply(object.clone()).ok())
    };
    if let Some(patched) = apply(&object, operation) {
        return patched;
    }
    let Some(path) = operation["path"].as_str().filter(|_| operation["op"] == "add") else { return object };
    let mut grown = object.clone();
    let tokens: Vec<&str> = path.split('/').skip(1).collect();
    let mut at = String::new();
    for pair in tokens.windows(2) {
        let parent = at.clone();
        at = format!("{at}/{}", pair[0]);
        if grown.pointer(&at).is_none() {
            let list = pair[1] == "-" || pair[1].bytes().all(|b| b.is_ascii_digit());
            let empty = if list { json!([]) } else { json!({ MARK: at }) };
            add(&mut grown, &parent, &unescaped(pair[0]), empty);
        }
    }
    // An index beyond the list: something stood before it.
    let at_end = path.rsplit_once('/').map(|(list, _)| format!("{list}/-")).unwrap_or_default();
    apply(&grown, operation)
        .or_else(|| apply(&grown, &json!({ "op": "add", "path": at_end, "value": operation["value"] })))
        .unwrap_or(object)
}

fn mark(value: &mut Value, path: &str) {
    match value {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                mark(value, &format!("{path}/{}", escaped(key)));
            }
            members.insert(MARK.to_owned(), path.into());
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                mark(item, &format!("{path}/{index}"));
            }
        }
        _ => {}
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Puts a value under a key (`-`: at the end of a list) of what stands at a path; what is missing on the way is made.
fn add(object: &mut Value, path: &str, key: &str, value: Value) {
    let mut at = object;
    for token in path.split('/').skip(1) {
        let next = match at {
            Value::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            Value::Object(members) => Some(members.entry(unescaped(token)).or_insert(Value::Null)),
            _ => None,
        };
        let Some(next) = next else { return };
        if next.is_null() {
            *next = if key == "-" { json!([]) } else { json!({}) };
        }
        at = next;
    }
    match at {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Object(members) => {
            members.insert(key.to_owned(), value);
        }
        _ => {}
    }
}

struct Additions<'a> {
    kind: &'a str,
    sent: &'a Value,
    found: Vec<(String, String, Value)>,
}

impl Additions<'_> {
    /// Filled in after the webhooks, when the object is stored.
    fn is_late(&self, path: &str, key: &str) -> bool {
        match (path, key) {
            ("", "status") => true,
            ("/metadata", "name" | "uid" | "creationTimestamp" | "resourceVersion" | "generation" | "selfLink") => true,
            ("/spec", "clusterIP" | "clusterIPs" | "ipFamilies" | "ipFamilyPolicy" | "healthCheckNodePort") => {
                self.kind == "Service"
            }
            (_, "nodePort") => self.kind == "Service",
            ("/spec", "selector") | ("/spec/template/metadata", "labels") => self.kind == "Job",
            ("/spec/template/metadata/labels", _) => self.kind == "Job",
            ("/spec", "finalizers") => self.kind == "Namespace",
            _ => false,
        }
    }

    fn object(&mut self, path: &str, patched: &Value, stored: &Value) {
        let (Some(patched), Some(stored)) = (patched.as_object(), stored.as_object()) else { return };
        for (key, value) in stored {
            if self.is_late(path, key) {
                continue;
            }
            let below = format!("{path}/{}", escaped(key));
            let sent = self.sent.pointer(&below);
            match (patched.get(key), value) {
                // Taken out by a webhook, and put back by whoever stored it.
                (None, _) if sent.is_some() => {}
                (None, _) => self.found.push((path.to_owned(), key.clone().into(), value.clone())),
                (Some(Value::Object(members)), Value::Object(_)) => {
                    if let Some(Value::String(at)) = members.get(MARK) {
                        self.object(&at.clone(), &patched[key], value);
                    }
                }
                (Some(Value::Array(items)), Value::Array(stored)) => self.list(&below, items, stored),
                (Some(patched), _) if Some(patched) == sent && patched != value => {
                    self.found.push((path.to_owned(), key.clone().into(), value.clone()));
                }
                _ => {}
            }
        }
    }

    fn list(&mut self, path: &str, patched: &[Value], stored: &[Value]) {
        let objects = stored.iter().all(Value::is_object) && patched.iter().all(Value::is_object);
        if !objects {
            // Scalars have no marks: the list is the client's, or it is not.
            if self.sent.pointer(path).and_then(Value::as_array).is_some_and(|sent| sent == patched && sent != stored)
                && let Some((parent, key)) = path.rsplit_once('/')
            {
                self.found.push((parent.to_owned(), unescaped(key), stored.into()));
            }
            return;
        }
        let mut free: Vec<bool> = vec![true; patched.len()];
        for (index, item) in stored.iter().enumerate() {
            // Nearly always the item at the same place; else the first that is contained in it, or has its name.
            let fits = |at: usize| free.get(at) == Some(&true) && covers(item, &patched[at]);
            let named =
                |at: &usize| free[*at] && item.get("name").is_some() && item.get("name") == patched[*at].get("name");
            let found = Some(index)
                .filter(|at| fits(*at))
                .or_else(|| (0..patched.len()).find(|at| fits(*at)))
                .or_else(|| (0..patched.len()).find(named));
            match found {
                Some(at) => {
                    free[at] = false;
                    if let Some(Value::String(mark)) = patched[at].get(MARK) {
                        self.object(&mark.clone(), &patched[at], item);
                    }
                }
                None => self.found.push((path.to_owned(), "-".to_owned(), item.clone())),
            }
        }
    }
}

/// Whether a value has all that another has, marks aside.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            let mut members = part.iter().filter(|(key, _)| key.as_str() != MARK);
            members.all(|(key, value)| whole.get(key).is_some_and(|other| covers(other, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| covers(whole, part))
        }
        _ => whole == part,
    }
}

/// Takes marks out that growing an object left in it.
pub(super) fn unmark(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove(MARK);
            members.values_mut().for_each(unmark);
        }
        Value::Array(items) => items.iter_mut().for_each(unmark),
        _ => {}
    }
}

/// A member, as an object or an empty one.
pub(super) fn members(value: &Value) -> Map {
    value.as_object().cloned().unwrap_or_default()
}
