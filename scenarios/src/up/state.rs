//! The cluster in a file.

use std::path::Path;

use anyhow::Context;
use apimachinery::value::Value;
use apimachinery::yaml;
use fake_apiserver::FakeApiserver;

/// The objects of a file: YAML documents or JSON, lists or single objects.
///
/// # Errors
/// The file cannot be read, or a document in it is no object: with the line.
pub fn read_objects(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut objects = Vec::new();
    for document in yaml::documents(&text) {
        let document = document.with_context(|| path.display().to_string())?;
        if document.value.is_null() {
            continue;
        }
        anyhow::ensure!(document.value.is_object(), "{}:{}: no object", path.display(), document.line);
        objects.push(document.value);
    }
    Ok(objects)
}

/// Writes the whole cluster to a file, as YAML unless its name ends in `.json`. Whatever happens meanwhile, the file is the
/// one that was there before or the new one.
///
/// # Errors
/// The file cannot be written.
pub fn save(cluster: &FakeApiserver, path: &Path) -> anyhow::Result<()> {
    let objects = cluster.export();
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let text = if is_json { format!("{objects:#}\n") } else { yaml::to_string(&objects) };
    super::write_private(path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
