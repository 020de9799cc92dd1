//! Files of a volume that stand in each other's way.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use apimachinery::go::quote;
use apimachinery::value::Value;

use super::MOST;
use crate::objects::get::{list, object, text};

/// A file and what it comes from (empty where the volume has one source only).
struct File<'a> {
    path: &'a str,
    source: Rc<str>,
}

impl std::fmt::Display for File<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&quote(self.path))?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

/// Warnings about all volumes of a spec.
pub(super) fn files(spec: &Value, out: &mut Vec<String>) {
    for volume in list(spec, "volumes") {
        let name = quote(text(volume, "name"));
        for (field, title, key) in [
            ("configMap", "ConfigMap ", "name"),
            ("secret", "Secret ", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ] {
            let Some(source) = object(volume, field) else { continue };
            let what = if key.is_empty() { title.to_owned() } else { format!("{title}{}", quote(text(source, key))) };
            let mut seen = Seen::default();
            for file in of_items(source, "") {
                seen.add(file, &name, &what, out);
            }
        }
        if let Some(projected) = object(volume, "projected") {
            self::projected(projected, &name, out);
        }
    }
}

fn projected(projected: &Value, name: &str, out: &mut Vec<String>) {
    let mut seen = Seen::default();
    for source in list(projected, "sources") {
        let named = |field: &str, title: &str| {
            let source = object(source, field).filter(|source| source.get("items").is_some_and(Value::is_array))?;
            let title = if title == "DownwardAPI" {
                title.to_owned()
            } else {
                format!("{title} {}", quote(text(source, "name")))
            };
            Some(of_items(source, &title))
        };
        if source.as_object().is_none_or(apimachinery::value::Map::is_empty) {
            out.push(format!("volume {name} (Projected) has no sources provided"));
            continue;
        }
        let token = || {
            let path = object(source, "serviceAccountToken").map(|token| text(token, "path"))?;
            Some(vec![File { path: path.trim_end_matches('/'), source: "ServiceAccountToken".into() }])
        };
        let files = named("configMap", "ConfigMap")
            .or_else(|| named("secret", "Secret"))
            .or_else(|| named("downwardAPI", "DownwardAPI"))
            .or_else(token);
        for file in files.into_iter().flatten() {
            seen.add(file, name, "Projected", out);
        }
    }
}

fn of_items<'a>(source: &'a Value, title: &str) -> Vec<File<'a>> {
    let items = list(source, "items").iter();
    let title: Rc<str> = title.into();
    items.map(|item| File { path: text(item, "path").trim_end_matches('/'), source: title.clone() }).collect()
}

/// How many bytes of warnings a volume may give: a long path may overlap with many.
const MOST_BYTES: usize = 1024 * 1024;

/// The files of a volume so far.
#[derive(Default)]
struct Seen<'a> {
    files: Vec<File<'a>>,
    places: BTreeMap<&'a str, Vec<usize>>,
    bytes: usize,
}

impl<'a> Seen<'a> {
    /// Warns of those before that have the same path, a folder that it is in, or one in it as if it were a folder.
    fn add(&mut self, file: File<'a>, name: &str, what: &str, out: &mut Vec<String>) {
        if file.path.is_empty() || out.len() >= MOST || self.bytes >= MOST_BYTES {
            return;
        }
        let mut others = self.folders(file.path);
        others.extend(self.places.get(file.path).into_iter().flatten());
        let inside = format!("{}/", file.path);
        let within = self.places.range::<str, _>((Bound::Excluded(inside.as_str()), Bound::Unbounded));
        others.extend(within.take_while(|(path, _)| path.starts_with(&inside)).flat_map(|(_, places)| places));
        others.sort_unstable();
        for other in others {
            if out.len() >= MOST || self.bytes >= MOST_BYTES {
                return;
            }
            let warning = format!("volume {name} ({what}): overlapping paths: {file} with {}", self.files[other]);
            self.bytes += warning.len();
            out.push(warning);
        }
        self.places.entry(file.path).or_default().push(self.files.len());
        self.files.push(file);
    }

    /// The files whose paths are folders that the path is in.
    fn folders(&self, path: &str) -> Vec<usize> {
        let mut found = Vec::new();
        let mut end = path.len();
        while let Some(at) = path.as_bytes()[..end].iter().rposition(|byte| *byte == b'/') {
            let folder = &path[..at];
            let up_to = (Bound::Unbounded, Bound::Included(folder));
            let Some((before, places)) = self.places.range::<str, _>(up_to).next_back() else { break };
            if *before == folder {
                found.extend(places);
                end = at;
            } else {
                // No file has a path between the two: none that is longer than what they share is a folder of this one.
                end = before.bytes().zip(folder.bytes()).take_while(|(one, other)| one == other).count() + 1;
            }
        }
        found
    }
}
