//! A class in words.

use std::fmt::Write;

use serde_json::Value;

use super::differ::plain;
use super::{Change, ChangeKind};

/// Longest value in a title, in characters.
const VALUE: usize = 60;

/// Such as `image of container istio-proxy: a → b`.
pub(super) fn title(change: &Change, variants: u64) -> String {
    let place = place(&change.path);
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), short);
    let is_compound = |value: &Option<Value>| value.as_ref().is_some_and(|value| value.is_object() || value.is_array());
    let folded = variants > 1;
    match change.kind {
        ChangeKind::Decision if change.path != "decision" => {
            format!("message: {} → {}", value(&change.before), value(&change.after))
        }
        ChangeKind::Decision if !folded => format!("{} → {}", value(&change.before), value(&change.after)),
        ChangeKind::Warning => match (&change.before, &change.after) {
            (None, Some(after)) => format!("new warning: {}", short(after)),
            (Some(before), _) => format!("no more warning: {}", short(before)),
            _ => "warnings".to_owned(),
        },
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
    let text = match value {
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => plain(other),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "\"\"".to_owned(),
        None => text,
    }
}

/// The place in words, innermost first: `/spec/containers[name=a]/env[name=B]/value` is `env B of container a`.
fn place(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut plain_fields = String::new();
    for segment in segments(path) {
        let (name, item, json) = segment;
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

/// Name, what names the item of the list (without `name=`), and whether JSON is entered.
fn segments(path: &str) -> Vec<(String, Option<String>, bool)> {
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
        segments.push((name.replace("~1", "/").replace("~0", "~"), item, json));
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
    use serde_json::json;

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
