//! What differs between two objects, with items of lists told apart by their keys.

use std::fmt::{self, Write};

use apimachinery::value::Value;

/// Fields by which items of a list are told apart, the first that all items have.
const KEYS: [&str; 5] = ["name", "mountPath", "containerPort", "devicePath", "ip"];
/// Lists whose order and content mean something only as a whole.
const WHOLE: [&str; 2] = ["command", "args"];
/// Characters of a value that are shown.
const SHOWN: usize = 120;

/// A place: names of fields, and keys (or numbers) of items.
pub(super) type Path = Vec<String>;

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) path: Path,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Added(Value),
    Removed(Value),
    Changed(Value, Value),
    /// Other items of its list stand before it than did.
    Moved,
}

/// All differences, in the order of the first object.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut out = Vec::new();
    compare(before, after, &mut Vec::new(), &mut out);
    out
}

fn compare(before: &Value, after: &Value, path: &mut Path, out: &mut Vec<Change>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(from), Value::Object(to)) => {
            for (key, before) in from {
                within(path, key.clone().into(), |path| match to.get(key) {
                    Some(after) => compare(before, after, path, out),
                    // An empty value and none are the same to an apiserver.
                    None if is_empty(before) => {}
                    None => out.push(Change { path: path.clone(), what: What::Removed(before.clone()) }),
                });
            }
            for (key, after) in to.iter().filter(|(key, _)| !from.contains_key(key)) {
                within(path, key.clone().into(), |path| added(after, path, out));
            }
        }
        (Value::Array(_), Value::Array(_)) if path.last().is_some_and(|name| WHOLE.contains(&&**name)) => {
            out.push(Change { path: path.clone(), what: What::Changed(before.clone(), after.clone()) });
        }
        (Value::Array(from), Value::Array(to)) => match key_of(from, to) {
            Some(key) => keyed(key, from, to, path, out),
            None => plain(from, to, path, out),
        },
        _ if is_empty(before) => added(after, path, out),
        _ if is_empty(after) => out.push(Change { path: path.clone(), what: What::Removed(before.clone()) }),
        _ => out.push(Change { path: path.clone(), what: What::Changed(before.clone(), after.clone()) }),
    }
}

fn within(path: &mut Path, step: String, then: impl FnOnce(&mut Path)) {
    path.push(step);
    then(path);
    path.pop();
}

fn added(value: &Value, path: &Path, out: &mut Vec<Change>) {
    if !is_empty(value) {
        out.push(Change { path: path.clone(), what: What::Added(value.clone()) });
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// The field that tells the items of both lists apart; within the first list it has to be unique.
fn key_of(from: &[Value], to: &[Value]) -> Option<&'static str> {
    KEYS.into_iter().find(|key| {
        let mut seen = std::collections::HashSet::new();
        from.iter().chain(to).all(|item| text_of(&item[*key]).is_some())
            && from.iter().filter_map(|item| text_of(&item[*key])).all(|key| seen.insert(key))
    })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone().into()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn keyed(key: &str, from: &[Value], to: &[Value], path: &mut Path, out: &mut Vec<Change>) {
    let mut at: std::collections::HashMap<String, Vec<usize>> = std::collections::HashMap::new();
    for (index, item) in to.iter().enumerate() {
        at.entry(text_of(&item[key]).unwrap_or_default()).or_default().push(index);
    }
    let mut taken = vec![false; to.len()];
    let mut last = None;
    for before in from {
        let name = text_of(&before[key]).unwrap_or_default();
        let there = at.get(&name).map(Vec::as_slice).unwrap_or_default();
        // Of several with one key: the one that is the same, if there is one.
        let found = there.iter().find(|index| to[**index] == *before).or(there.first()).copied();
        within(path, name, |path| match found {
            Some(index) => {
                taken[index] = true;
                compare(before, &to[index], path, out);
                if last.is_some_and(|last| index < last) {
                    out.push(Change { path: path.clone(), what: What::Moved });
                }
                last = Some(index.max(last.unwrap_or_default()));
            }
            None => out.push(Change { path: path.clone(), what: What::Removed(before.clone()) }),
        });
    }
    for (item, _) in to.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        within(path, text_of(&item[key]).unwrap_or_default(), |path| {
            out.push(Change { path: path.clone(), what: What::Added(item.clone()) });
        });
    }
}

/// Items without a key are the same if they are equal.
fn plain(from: &[Value], to: &[Value], path: &mut Path, out: &mut Vec<Change>) {
    let mut at: std::collections::HashMap<String, std::collections::VecDeque<usize>> = std::collections::HashMap::new();
    for (index, item) in to.iter().enumerate() {
        at.entry(item.to_string()).or_default().push_back(index);
    }
    let mut last = None;
    for (number, before) in from.iter().enumerate() {
        let found = at.get_mut(&before.to_string()).and_then(std::collections::VecDeque::pop_front);
        within(path, number.to_string(), |path| match found {
            Some(index) if last.is_some_and(|last| index < last) => {
                out.push(Change { path: path.clone(), what: What::Moved });
            }
            Some(index) => last = Some(index),
            None => out.push(Change { path: path.clone(), what: What::Removed(before.clone()) }),
        });
    }
    let mut rest: Vec<usize> = at.into_values().flatten().collect();
    rest.sort_unstable();
    for index in rest {
        within(path, index.to_string(), |path| added(&to[index], path, out));
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", path_text(&self.path))?;
        match &self.what {
            What::Added(value) => write!(formatter, "added {}", shown(value)),
            What::Removed(value) => write!(formatter, "removed, was {}", shown(value)),
            What::Changed(from, to) => write!(formatter, "{} became {}", shown(from), shown(to)),
            What::Moved => formatter.write_str("moved within its list"),
        }
    }
}

/// `spec.containers[app].image`, with brackets around what is no plain field name.
pub(super) fn path_text(path: &[String]) -> String {
    const LISTS: [&str; 8] = [
        "containers",
        "initContainers",
        "ephemeralContainers",
        "volumes",
        "env",
        "volumeMounts",
        "ports",
        "tolerations",
    ];
    let mut out = String::new();
    for (index, step) in path.iter().enumerate() {
        let item = index > 0 && LISTS.contains(&&*path[index - 1]);
        let plain = step.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            && !step.bytes().all(|b| b.is_ascii_digit());
        // Writing into a String does not fail.
        let _ = match (item || !plain, index) {
            (true, _) => write!(out, "[{step}]"),
            (false, 0) => write!(out, "{step}"),
            (false, _) => write!(out, ".{step}"),
        };
    }
    out
}

/// A value on one line, cut to what a person reads.
pub(super) fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text
}
