//! What the offline commands read and write.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use apimachinery::value::Value;
use apimachinery::yaml;

/// A document of a file, and the line on which it begins.
pub(super) struct Document {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// The text of a file, or of stdin for `-`.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    const LARGEST: u64 = 64 << 20;
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("{name}: cannot be read"))?;
    anyhow::ensure!(text.len() as u64 <= LARGEST, "{name}: larger than {LARGEST} bytes");
    Ok(text)
}

/// The YAML or JSON documents of a file, empty ones left out.
pub(super) fn documents(path: &Path) -> anyhow::Result<Vec<Document>> {
    let text = text(path)?;
    let mut documents = Vec::new();
    for document in yaml::documents(&text) {
        let document =
            document.map_err(|error| anyhow::anyhow!("{}: line {}: not YAML: {error}", path.display(), error.line))?;
        if !document.value.is_null() {
            documents.push(Document { line: document.line, value: document.value });
        }
    }
    Ok(documents)
}

/// A pod of a file with the object around it.
pub(super) struct Pod {
    /// `Deployment shop/web`.
    pub(super) name: String,
    /// The pod, or the pod that the workload's template makes, as a webhook would see it.
    pub(super) pod: Value,
    /// The namespace that it would be created in.
    pub(super) namespace: String,
}

/// All pods of a file: pods themselves, those of workloads, and those in Lists.
pub(super) fn pods(path: &Path, namespace: Option<&str>) -> anyhow::Result<Vec<Pod>> {
    let mut pods = Vec::new();
    for document in documents(path)? {
        collect(document.value, namespace, &mut pods, 0);
    }
    anyhow::ensure!(!pods.is_empty(), "{}: there is no pod and no workload in it", path.display());
    Ok(pods)
}

fn collect(object: Value, namespace: Option<&str>, pods: &mut Vec<Pod>, depth: usize) {
    const DEEPEST: usize = 8;
    if let Some(items) = object["items"].as_array()
        && depth < DEEPEST
    {
        for item in items {
            collect(item.clone(), namespace, pods, depth + 1);
        }
        return;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]);
    let template = match kind.as_str() {
        "Pod" => "",
        "CronJob" => "/spec/jobTemplate/spec/template",
        _ => "/spec/template",
    };
    let Some(mut pod) = object.pointer(template).filter(|pod| pod["spec"].is_object()).cloned() else { return };
    let own = object["metadata"]["namespace"].as_str().or(pod["metadata"]["namespace"].as_str());
    let namespace = namespace.or(own).unwrap_or("default").to_owned();
    let name = text(&object["metadata"]["name"]);
    if kind != "Pod" {
        as_the_controller_makes_it(&mut pod, &object, &kind, &name);
    }
    pods.push(Pod { name: format!("{kind} {namespace}/{name}"), pod, namespace });
}

/// A workload's pod as its controller would create it: a generated name and a controlling owner.
fn as_the_controller_makes_it(pod: &mut Value, object: &Value, kind: &str, name: &str) {
    const HASH: &str = "5d8f7c";
    let Some(map) = pod.as_object_mut() else { return };
    map.insert("apiVersion".to_owned(), "v1".into());
    map.insert("kind".to_owned(), "Pod".into());
    let metadata = map.entry("metadata").or_insert_with(|| apimachinery::value::json!({}));
    if !metadata.is_object() {
        *metadata = apimachinery::value::json!({});
    }
    let (owner, owner_kind, api_version) = match kind {
        "Deployment" => (format!("{name}-{HASH}"), "ReplicaSet", "apps/v1"),
        "CronJob" => (format!("{name}-28000000"), "Job", "batch/v1"),
        _ => (name.to_owned(), kind, object["apiVersion"].as_str().unwrap_or_default()),
    };
    metadata["generateName"] = format!("{owner}-").into();
    metadata["ownerReferences"] = apimachinery::value::json!([
        {"apiVersion": api_version, "kind": owner_kind, "name": owner, "controller": true},
    ]);
    if kind == "Deployment"
        && let Some(metadata) = metadata.as_object_mut()
    {
        let labels = metadata.entry("labels").or_insert_with(|| apimachinery::value::json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert("pod-template-hash".to_owned(), HASH.into());
        }
    }
}

/// Writes to stdout; a closed pipe is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// Writes a line to stderr.
pub(super) fn warn(text: &str) {
    // Nothing can be done about a closed stderr.
    let _ = writeln!(std::io::stderr(), "{text}");
}
