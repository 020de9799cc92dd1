//! A class in words.

use std::fmt::Write;

use apimachinery::value::Value;

use super::differ::plain;
use super::subject::{Subject, VERBS, verb};
use super::{Change, ChangeKind, Part};

/// Longest value in a title, in characters.
const VALUE: usize = 60;
/// Longest message in a title.
const MESSAGE: usize = 160;
/// Names after a verb.
const NAMED: usize = 6;

/// Of a class of these parts, each with what it is about.
pub(super) fn of_class(parts: &[(Part, Subject)]) -> String {
    let [(first, subject), rest @ ..] = parts else { return String::new() };
    if rest.is_empty() {
        return first.title.clone();
    }
    let one = rest.iter().all(|(_, other)| other.key == subject.key);
    let mut did: Vec<(&'static str, Vec<(String, usize)>)> = VERBS.map(|verb| (verb, Vec::new())).to_vec();
    for (part, subject) in parts {
        let name = if one { subject.field(&part.change) } else { subject.name.clone() };
        let Some((_, names)) = did.iter_mut().find(|(word, _)| *word == verb(part.change.kind)) else { continue };
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => names.push((name, 1)),
        }
    }
    let did = did.into_iter().filter(|(_, names)| !names.is_empty()).map(|(verb, names)| {
        let mut named: Vec<String> = Vec::new();
        for (name, count) in names.iter().take(NAMED).filter(|(name, _)| !name.is_empty()) {
            named.push(if one && *count > 1 { format!("{name} ×{count}") } else { name.clone() });
        }
        if names.len() > NAMED {
            named.push(format!("{} more", names.len() - NAMED));
        }
        if named.is_empty() { verb.to_owned() } else { format!("{verb} {}", named.join(", ")) }
    });
    let heading = if one { &subject.heading } else { &subject.area };
    format!("{heading}: {}", did.collect::<Vec<_>>().join("; "))
}

/// Such as `image of container istio-proxy: a → b`.
pub(super) fn title(change: &Change, variants: u64) -> String {
    let place = place(&change.path);
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), short);
    let message =
        |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), |text| cut(text, MESSAGE));
    let is_compound = |value: &Option<Value>| value.as_ref().is_some_and(|value| value.is_object() || value.is_array());
    let folded = variants > 1;
    match change.kind {
        ChangeKind::Decision if change.path != "decision" => {
            format!("message: {} → {}", message(&change.before), message(&change.after))
        }
        ChangeKind::Decision if !folded => format!("{} → {}", message(&change.before), message(&change.after)),
        ChangeKind::Warning => match (&change.before, &change.after) {
            (None, Some(after)) => format!("new warning: {}", cut(after, MESSAGE)),
            (Some(before), _) => format!("no more warning: {}", cut(before, MESSAGE)),
            _ => "warnings".to_owned(),
        },
        ChangeKind::Moved => format!("{place}: moved from {} to {}", value(&change.before), value(&change.after)),
        ChangeKind::Reordered if folded => format!("order of {place} ({variants} different orders)"),
        ChangeKind::Reordered => format!("order of {place}: {} → {}", value(&change.before), value(&change.after)),
        ChangeKind::Added if folded => format!("added {place} ({variants} different values)"),
        ChangeKind::Removed if folded => format!("removed {place} ({variants} different values)"),
        _ if folded => format!(
            "{place}: {variants} different changes, such as {} → {}",
            value(&change.before),
            value(&change.after)
        ),
        ChangeKind::Added if is_compound(&change.after) && !change.path.contains("[-") => match &change.after {
            Some(Value::Array(items)) if items.iter().all(|item| !item.is_object()) => {
                format!("added {place}: {}", value(&change.after))
            }
            _ => format!("added {place}"),
        },
        ChangeKind::Removed if is_compound(&change.before) => match &change.before {
            Some(Value::Array(items)) if items.iter().all(|item| !item.is_object()) => {
                format!("removed {place}: {}", value(&change.before))
            }
            _ => format!("removed {place}"),
        },
        ChangeKind::Added => format!("added {place}: {}", value(&change.after)),
        ChangeKind::Removed => format!("removed {place}: {}", value(&change.before)),
        _ => format!("{place}: {} → {}", value(&change.before), value(&change.after)),
    }
}

fn short(value: &Value) -> String {
    cut(value, VALUE)
}

fn cut(value: &Value, most: usize) -> String {
    let text = match value {
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => plain(other),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "\"\"".to_owned(),
        None => text,
    }
}

/// The place in words, innermost first: `/spec/containers[name=a]/env[name=B]/value` is `env B of container a`.
fn place(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut plain_fields = String::new();
    for Segment { name, item, json } in segments(path) {
        let noun = match name.as_str() {
            "containers" => "container",
            "initContainers" => "init container",
            "ephemeralContainers" => "ephemeral container",
            "volumes" => "volume",
            "volumeMounts" => "mount",
            "ports" => "port",
            "env" => "env",
            "annotations" | "labels" | "spec" | "metadata" | "value" if item.is_none() => "",
            other => other,
        };
        let parent = parts.last().cloned();
        if let Some(item) = item {
            flush(&mut plain_fields, &mut parts);
            parts.push(format!("{noun} {item}"));
        } else if matches!(name.as_str(), "annotations" | "labels") {
            flush(&mut plain_fields, &mut parts);
            parts.push(name.trim_end_matches('s').to_owned());
        } else if matches!(parent.as_deref(), Some("annotation" | "label")) && plain_fields.is_empty() {
            parts.pop();
            parts.push(format!("{} {name}", parent.unwrap_or_default()));
        } else if name == "value"
            || (plain_fields.is_empty() && parts.is_empty() && matches!(name.as_str(), "spec" | "metadata"))
        {
        } else {
            if !plain_fields.is_empty() {
                plain_fields.push('.');
            }
            plain_fields.push_str(&name);
        }
        if json {
            flush(&mut plain_fields, &mut parts);
        }
    }
    flush(&mut plain_fields, &mut parts);
    let mut words = String::new();
    for (index, part) in parts.iter().rev().enumerate() {
        let _ = if index == 0 { write!(words, "{part}") } else { write!(words, " of {part}") };
    }
    if words.is_empty() { path.to_owned() } else { words }
}

fn flush(fields: &mut String, parts: &mut Vec<String>) {
    if !fields.is_empty() {
        parts.push(std::mem::take(fields));
    }
}

/// A step of a path.
pub(super) struct Segment {
    /// The field.
    pub(super) name: String,
    /// What names the item of the list that it is, such as `istio-proxy`.
    pub(super) item: Option<String>,
    /// Whether the JSON in it is entered.
    pub(super) json: bool,
}

pub(super) fn segments(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for segment in split(path) {
        let (segment, json) = segment.strip_suffix(":json").map_or((segment, false), |segment| (segment, true));
        let (name, item) = match segment.find('[') {
            Some(at) if segment.ends_with(']') => (&segment[..at], Some(&segment[at + 1..segment.len() - 1])),
            _ => (segment, None),
        };
        let item = item.map(|item| {
            item.split(',')
                .map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value))
                .collect::<Vec<_>>()
                .join("/")
        });
        segments.push(Segment { name: name.replace("~1", "/").replace("~0", "~"), item, json });
    }
    segments
}

/// Splits at slashes that are not within brackets.
fn split(path: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b'/' if depth == 0 => {
                parts.push(&path[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&path[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn places_are_told_in_words() {
        for (path, words) in [
            ("/spec/containers[name=istio-proxy]/image", "image of container istio-proxy"),
            ("/spec/containers[name=a]/env[name=B]/value", "env B of container a"),
            ("/spec/containers[name=a]/env[name=B]/value:json/x/y", "x.y of env B of container a"),
            (
                "/metadata/annotations/sidecar.istio.io~1status:json/version",
                "version of annotation sidecar.istio.io/status",
            ),
            ("/metadata/labels/app", "label app"),
            ("/spec/containers[name=a]/volumeMounts[mountPath=/var/run]", "mount /var/run of container a"),
            ("/spec/initContainers[name=i]/args[-p]", "args -p of init container i"),
            ("/spec/initContainers[name=i]/securityContext/runAsUser", "securityContext.runAsUser of init container i"),
            ("/spec/securityContext/fsGroup", "securityContext.fsGroup"),
        ] {
            assert_eq!(place(path), words, "{path}");
        }
    }

    #[test]
    fn a_class_is_told_by_what_it_is_about() {
        let part = |kind, path: &str| {
            let change = Change { kind, path: path.to_owned(), ..Change::default() };
            let subject = Subject::of(&change);
            (Part { title: "alone".to_owned(), change, variants: 1, ..Part::default() }, subject)
        };
        let image = part(ChangeKind::Changed, "/spec/containers[name=p]/image");
        assert_eq!(of_class(std::slice::from_ref(&image)), "alone");
        let env = |name: &str| part(ChangeKind::Added, &format!("/spec/containers[name=p]/env[name={name}]"));
        assert_eq!(
            of_class(&[env("A"), image, env("B"), part(ChangeKind::Moved, "/spec/containers[name=p]")]),
            "container p: moved; changed image; added env ×2"
        );
        let volume = |kind, name: &str| part(kind, &format!("/spec/volumes[name={name}]"));
        assert_eq!(
            of_class(&[
                volume(ChangeKind::Added, "a"),
                volume(ChangeKind::Removed, "b"),
                volume(ChangeKind::Added, "c")
            ]),
            "volumes: removed b; added a, c"
        );
        let many: Vec<_> = (0..9).map(|n| volume(ChangeKind::Added, &n.to_string())).collect();
        assert_eq!(of_class(&many), "volumes: added 0, 1, 2, 3, 4, 5, 3 more");
    }

    #[test]
    fn titles_say_what_changed() {
        let image = |before: &str, after: &str| Change {
            kind: ChangeKind::Changed,
            path: "/spec/containers[name=istio-proxy]/image".into(),
            before: Some(json!(before)),
            after: Some(json!(after)),
        };
        assert_eq!(title(&image("a", "b"), 1), "image of container istio-proxy: a → b");
        assert!(title(&image("a", "b"), 40).contains("40 different changes"));
        let long = title(&image(&"é".repeat(100), "b"), 1);
        assert!(long.chars().count() < 120, "{long}");
    }
}
