//! Files of a volume that stand in each other's way.

use serde_json::Value;

use crate::objects::field::go_quote;
use crate::objects::get::{list, object, text};

/// A file and what it comes from (empty where the volume has one source only).
#[derive(PartialEq, Eq)]
struct File<'a> {
    path: &'a str,
    source: String,
}

impl std::fmt::Display for File<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&go_quote(self.path))?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

/// Warnings about all volumes of a spec.
pub(super) fn files(spec: &Value, out: &mut Vec<String>) {
    for volume in list(spec, "volumes") {
        let name = go_quote(text(volume, "name"));
        for (field, title, key) in [
            ("configMap", "ConfigMap ", "name"),
            ("secret", "Secret ", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let Some(source) = object(volume, field) else { continue };
            let what =
                if key.is_empty() { title.to_owned() } else { format!("{title}{}", go_quote(text(source, key))) };
            let mut seen = Vec::new();
            for file in of_items(source, "") {
                add(file, &mut seen, &name, &what, out);
            }
        }
        if let Some(projected) = object(volume, "projected") {
            self::projected(projected, &name, out);
        }
    }
}

fn projected(projected: &Value, name: &str, out: &mut Vec<String>) {
    let mut seen = Vec::new();
    for source in list(projected, "sources") {
        let named = |field: &str, title: &str| {
            let source = object(source, field).filter(|source| source.get("items").is_some_and(Value::is_array))?;
            let title = if title == "DownwardAPI" {
                title.to_owned()
            } else {
                format!("{title} {}", go_quote(text(source, "name")))
            };
            Some(of_items(source, &title))
        };
        if source.as_object().is_none_or(serde_json::Map::is_empty) {
            out.push(format!("volume {name} (Projected) has no sources provided"));
            continue;
        }
        let token = || {
            let path = object(source, "serviceAccountToken").map(|token| text(token, "path"))?;
            Some(vec![File { path: path.trim_end_matches('/'), source: "ServiceAccountToken".to_owned() }])
        };
        let files = named("configMap", "ConfigMap")
            .or_else(|| named("secret", "Secret"))
            .or_else(|| named("downwardAPI", "DownwardAPI"))
            .or_else(token);
        for file in files.into_iter().flatten() {
            add(file, &mut seen, name, "Projected", out);
        }
    }
}

fn of_items<'a>(source: &'a Value, title: &str) -> Vec<File<'a>> {
    let items = list(source, "items").iter();
    items.map(|item| File { path: text(item, "path").trim_end_matches('/'), source: title.to_owned() }).collect()
}

fn add<'a>(file: File<'a>, seen: &mut Vec<File<'a>>, name: &str, what: &str, out: &mut Vec<String>) {
    // One path is the other, or a folder that the other is in.
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !file.path.is_empty() {
        for other in seen.iter().filter(|other| !other.path.is_empty()) {
            if within(other.path, file.path) || within(file.path, other.path) {
                out.push(format!("volume {name} ({what}): overlapping paths: {file} with {other}"));
            }
        }
    }
    seen.push(file);
}
