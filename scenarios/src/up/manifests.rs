//! Manifests that are applied at the start.

use std::path::{Path, PathBuf};

use anyhow::Context;
use apimachinery::value::{List, Value};
use fake_apiserver::FakeApiserver;
use http::Method;

use super::read_objects;
use crate::cluster::{Answer, Api, Ask, Kinds, Pending};

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// `deployment.apps/web` in the manner of kubectl: kind and name.
    pub object: String,
    /// `created`, `configured`, or why it was refused.
    pub outcome: Result<&'static str, String>,
}

struct Local<'a>(&'a FakeApiserver);

impl Api for Local<'_> {
    fn ask(&self, ask: Ask) -> Pending<'_, Answer> {
        Box::pin(async move {
            let response = self.0.send(ask.method, &ask.path, ask.content_type, ask.body.into()).await;
            Answer { status: response.status, body: response.json(), ..Answer::default() }
        })
    }
}

/// The manifests of a file or of a directory, in the order of their names.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_file() && matches!(ending, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    anyhow::ensure!(!files.is_empty(), "{}: no .yaml, .yml or .json file in it", path.display());
    files.sort();
    Ok(files)
}

/// Creates the objects of a file or directory, or lays them over those that exist. An object that is refused does not keep
/// the others.
///
/// # Errors
/// A file cannot be read, or is no YAML.
pub async fn apply(cluster: &FakeApiserver, path: &Path) -> anyhow::Result<Vec<Applied>> {
    let api = Local(cluster);
    let mut applied = Vec::new();
    for file in files(path)? {
        for object in read_objects(&file)? {
            let items = match &object["items"] {
                Value::Array(items) if object["kind"] == "List" => items.clone(),
                _ => List::from([object]),
            };
            for object in items {
                // A definition may have added kinds.
                let kinds = Kinds::discover(&api).await;
                applied.push(apply_one(&api, &kinds, &object).await);
            }
        }
    }
    Ok(applied)
}

async fn apply_one(api: &Local<'_>, kinds: &Kinds, object: &Value) -> Applied {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]));
    let named = format!("{kind}/{name}");
    let resource = match kinds.of(object) {
        Ok(resource) => resource,
        Err(unknown) => return Applied { object: named, outcome: Err(unknown.to_string()) },
    };
    let namespace = match text(&object["metadata"]["namespace"]) {
        namespace if namespace.is_empty() && resource.namespaced => "default".to_owned(),
        namespace => namespace,
    };
    let created = api.ask(Ask::new(Method::POST, resource.path(&namespace, "")).body(object)).await;
    let outcome = if created.status == 409 {
        let patch = Ask::new(Method::PATCH, resource.path(&namespace, &name)).body(object);
        let patched = api.ask(patch.content_type("application/merge-patch+json")).await;
        if patched.is_success() { Ok("configured") } else { Err(patched.message()) }
    } else if created.is_success() {
        Ok("created")
    } else {
        Err(created.message())
    };
    Applied { object: named, outcome }
}
