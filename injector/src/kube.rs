//! Injection into files, as `istioctl kube-inject` does it: pod templates inside workloads, Lists, and pods.

mod typed;

use apimachinery::value::{Map, Value};

use crate::engine::{Error, Owner};
use crate::injector::Injector;

/// A document after injection.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The object; as it was if there was nothing to inject.
    pub object: Value,
    /// What the user should know, each naming the object.
    pub warnings: Vec<String>,
    /// How many pod templates were injected.
    pub injected: usize,
}

/// Deeper Lists of Lists than this are refused.
const MAX_LISTS: usize = 8;

impl Injector {
    /// Injects the pod templates of one object: Deployment, DaemonSet, ReplicaSet, ReplicationController, StatefulSet, Job,
    /// CronJob, DeploymentConfig, Pod, or a List of them. Anything else comes back as it was.
    ///
    /// # Errors
    /// As for a webhook request; the text names the object.
    pub fn inject_document(&self, document: Value) -> Result<Document, Error> {
        let mut out = Document { object: Value::Null, warnings: Vec::new(), injected: 0 };
        out.object = inject(self, document, &mut out.warnings, &mut out.injected, 0)?;
        Ok(out)
    }
}

fn inject(
    injector: &Injector,
    mut document: Value,
    warnings: &mut Vec<String>,
    injected: &mut usize,
    depth: usize,
) -> Result<Value, Error> {
    if is_list(&document) {
        if depth >= MAX_LISTS {
            return Err(Error::Refused(format!("Lists are nested more than {MAX_LISTS} deep")));
        }
        if let Some(Value::Array(items)) = document.get_mut("items") {
            for item in items {
                *item = inject(injector, item.take(), warnings, injected, depth + 1)?;
            }
        }
        typed::complete(&mut document);
        return Ok(document);
    }
    let Some(places) = places(&document) else { return Ok(document) };
    let empty = Value::Object(Map::new());
    let owner_metadata = document.get("metadata").cloned().unwrap_or(empty);
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let Some(spec) = document.pointer_mut(places.spec).map(Value::take).filter(|s| !s.is_null()) else {
        return Ok(document);
    };
    let metadata = document.pointer_mut(places.metadata).map_or(Value::Null, Value::take);
    let mut pod = Map::new();
    if !metadata.is_null() {
        pod.insert("metadata".to_owned(), metadata);
    }
    pod.insert("spec".to_owned(), spec);
    let pod = Value::Object(pod);
    let name = described(&kind, &owner_metadata);
    let host_network = pod.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true);
    let owner = Owner { api_version: &api_version, kind: &kind, metadata: &owner_metadata };
    let done =
        injector.engine().offline(pod, &owner).map_err(|e| Error::Refused(format!("{name}: {}", e.in_full())))?;
    warnings.extend(done.warnings.iter().map(|w| format!("{name}: {w}")));
    if done.decision.inject {
        *injected += 1;
    } else if host_network {
        warnings.push(format!("Skipping injection because {name} has host networking enabled"));
    }
    let mut pod = done.pod;
    for (place, key) in [(places.spec, "spec"), (places.metadata, "metadata")] {
        let part = pod.get_mut(key).map_or(Value::Null, Value::take);
        put(&mut document, place, part);
    }
    typed::complete(&mut document);
    Ok(document)
}

/// Puts a part back where it was taken from; nothing comes of nothing.
fn put(document: &mut Value, place: &str, part: Value) {
    if let Some(slot) = document.pointer_mut(place) {
        *slot = part;
    } else if !part.is_null()
        && let Some((parent, key)) = place.rsplit_once('/')
        && let Some(Value::Object(parent)) = document.pointer_mut(parent)
    {
        parent.insert(key.to_owned(), part);
    }
}

fn is_list(document: &Value) -> bool {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind == "List" || kind.ends_with("List") && document.get("items").is_some_and(Value::is_array)
}

/// Where a document keeps the two parts of a pod.
struct Places {
    spec: &'static str,
    /// The metadata that templates see and that gets the labels and annotations.
    metadata: &'static str,
}

/// A CronJob's labels and annotations are those of its job template: that is where Istio looks and writes.
fn places(document: &Value) -> Option<Places> {
    let group = document.get("apiVersion").and_then(Value::as_str)?.rsplit_once('/').map_or("", |(g, _)| g);
    let (spec, metadata) = match (group, document.get("kind").and_then(Value::as_str)?) {
        ("", "Pod") => ("/spec", "/metadata"),
        ("apps" | "extensions", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet")
        | ("", "ReplicationController")
        | ("batch", "Job")
        | ("" | "apps.openshift.io", "DeploymentConfig") => ("/spec/template/spec", "/spec/template/metadata"),
        ("batch", "CronJob") => ("/spec/jobTemplate/spec/template/spec", "/spec/jobTemplate/metadata"),
        _ => return None,
    };
    Some(Places { spec, metadata })
}

/// `Deployment "namespace/name"`, for messages.
fn described(kind: &str, metadata: &Value) -> String {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
    let name = text("name").or_else(|| text("generateName")).unwrap_or("(no name)");
    match text("namespace") {
        Some(namespace) => format!("{kind} \"{namespace}/{name}\""),
        None => format!("{kind} \"{name}\""),
    }
}
