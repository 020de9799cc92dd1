//! Injection into files, as `istioctl kube-inject` does it: pod templates inside workloads, Lists, and pods.

use serde_json::{Map, Value};

use crate::injector::{Engine, Error, Injector, Owner};

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
        out.object = inject(self.engine(), document, &mut out.warnings, &mut out.injected, 0)?;
        Ok(out)
    }
}

fn inject(
    engine: &dyn Engine,
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
                *item = inject(engine, item.take(), warnings, injected, depth + 1)?;
            }
        }
        return Ok(document);
    }
    let Some((template, metadata)) = places(&document) else { return Ok(document) };
    let empty = Value::Object(Map::new());
    let metadata = document.pointer(metadata).cloned().unwrap_or(empty);
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    let place = |document: &mut Value| document.pointer_mut(template).map(Value::take);
    let Some(pod) = place(&mut document).filter(|p| !p.is_null()) else { return Ok(document) };
    let name = described(&kind, &metadata);
    let host_network = pod.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true);
    let owner = Owner { api_version: &api_version, kind: &kind, metadata: &metadata };
    let done = engine.offline(pod, &owner).map_err(|e| Error::Refused(format!("{name}: {e}")))?;
    warnings.extend(done.warnings.iter().map(|w| format!("{name}: {w}")));
    if done.decision.inject {
        *injected += 1;
    } else if host_network {
        warnings.push(format!("Skipping injection because {name} has host networking enabled"));
    }
    if let Some(slot) = document.pointer_mut(template) {
        *slot = done.pod;
    }
    Ok(document)
}

fn is_list(document: &Value) -> bool {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind == "List" || kind.ends_with("List") && document.get("items").is_some_and(Value::is_array)
}

/// Where the pod template is, and the metadata that names the workload.
fn places(document: &Value) -> Option<(&'static str, &'static str)> {
    let group = document.get("apiVersion").and_then(Value::as_str)?.rsplit_once('/').map_or("", |(g, _)| g);
    Some(match (group, document.get("kind").and_then(Value::as_str)?) {
        ("", "Pod") => ("", "/metadata"),
        ("apps" | "extensions", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet")
        | ("", "ReplicationController")
        | ("batch", "Job")
        | ("" | "apps.openshift.io", "DeploymentConfig") => ("/spec/template", "/metadata"),
        ("batch", "CronJob") => ("/spec/jobTemplate/spec/template", "/spec/jobTemplate/metadata"),
        _ => return None,
    })
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
