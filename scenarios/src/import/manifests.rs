//! Reviews of manifests: what an apiserver would ask a webhook about their pods.
//!
//! ```text
//! objects ──► fake apiserver ──► controllers ──► pods ──► a webhook that allows everything ──► a record for each call
//! ```
//! On a paused clock: rollouts that wait for readiness take no time.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admission::capture::Record;
use apimachinery::value::{Value, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use super::{Error, Imported};
use crate::cluster::{Api, Ask, Fake, Hosts, Kinds, Setup};
use crate::hook::{Answerer, Hook};

/// Objects that are taken in one import.
pub(super) const MOST: usize = 100_000;
/// How often it is looked whether pods still come.
const ROUND: Duration = Duration::from_secs(5);
/// Rounds without a new pod after which none comes any more: a pod that is not ready holds up those after it.
const QUIET: u32 = 24;
/// Rounds in all.
const ROUNDS: u32 = 2000;

/// Whether something is an object for an apiserver, and none that says what an apiserver did.
pub(super) fn is_manifest(value: &Value) -> bool {
    value["apiVersion"].is_string() && value["kind"].is_string() && value["metadata"].is_object()
}

/// Creates the objects and hands a record of each review of a pod to `write`.
///
/// # Errors
/// [`Error`]. Objects that an apiserver refuses are counted in `imported`.
pub fn manifests(
    objects: Vec<Value>,
    imported: &mut Imported,
    write: impl FnMut(&Record) -> std::io::Result<()>,
) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    let cluster = |error: std::io::Error| Error::Cluster(error.to_string());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().map_err(cluster)?;
    runtime.block_on(create(objects, imported, write))
}

type Bodies = Arc<Mutex<Vec<String>>>;

async fn create(
    objects: Vec<Value>,
    imported: &mut Imported,
    mut write: impl FnMut(&Record) -> std::io::Result<()>,
) -> Result<(), Error> {
    let failed = |message: String| Error::Cluster(message);
    let bodies = Bodies::default();
    let asked = Arc::clone(&bodies);
    let answer = move |body: &[u8]| {
        let review: Value = serde_json::from_slice(body).ok()?;
        let uid = review["request"]["uid"].clone();
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(body).into_owned());
        let response = json!({ "uid": uid, "allowed": true });
        let review = json!({ "apiVersion": review["apiVersion"], "kind": review["kind"], "response": response });
        Some(review.to_string().into_bytes())
    };
    let service = ("default".to_owned(), "import".to_owned(), 443);
    let hook = Hook::new(&service, Answerer::Function(Arc::new(answer))).map_err(|error| failed(error.to_string()))?;
    let configuration = configuration(&service, hook.ca_pem());
    // The address is only a name for the connection in memory.
    let address = SocketAddr::from((Ipv4Addr::new(10, 96, 78, 1), 443));
    let mut hosts = Hosts::default();
    hosts.add(address, Arc::new(hook));
    let setup = Setup { seed: 1, services: vec![(service, address)], hosts, nodes: 1, virtual_time: true };
    let api = Fake::start(setup).await.map_err(|error| failed(error.to_string()))?;
    let mut kinds = Kinds::discover(&api).await;
    let missing = surroundings(&objects).into_iter().map(|object| (object, false));
    let mut steps: Vec<(Value, bool)> = missing.chain(objects.into_iter().map(|object| (object, true))).collect();
    steps.sort_by_key(|(object, _)| rank(object));
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let answer = api.ask(Ask::new(Method::POST, path).body(&configuration)).await;
    if !answer.is_success() {
        return Err(failed(answer.message()));
    }
    let mut last = 0;
    for (object, given) in &steps {
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["apiVersion"].as_str().unwrap_or_default().starts_with("admissionregistration.k8s.io/") {
            imported.pass_over(&format!("{kind}: the webhooks of manifests are not called"));
            continue;
        }
        // Controllers give namespaces their service accounts, and definitions their paths.
        if rank(object) > last {
            last = rank(object);
            tokio::time::sleep(ROUND).await;
            kinds = Kinds::discover(&api).await;
        }
        match post(&api, &kinds, object).await {
            Err(message) => imported.problem(&format!("{kind} {name}"), &message),
            Ok(_) if *given && !PODS.contains(&kind) => imported.pass_over(&format!("{kind}: no pod comes of it")),
            // Of a pod the webhooks have been asked before that is seen.
            Ok(false) if *given && kind != "Pod" => {
                imported.pass_over(&format!("{kind}: one of its name came before it"))
            }
            Ok(_) => {}
        }
        drain(&bodies, imported, &mut write)?;
    }
    let (mut quiet, mut rounds) = (0, 0);
    while quiet < QUIET && rounds < ROUNDS {
        tokio::time::sleep(ROUND).await;
        quiet = if drain(&bodies, imported, &mut write)? { 0 } else { quiet + 1 };
        rounds += 1;
    }
    Ok(())
}

/// Of what pods come.
const PODS: [&str; 8] =
    ["Pod", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "CronJob"];

/// What others need comes first.
fn rank(object: &Value) -> u8 {
    match object["kind"].as_str().unwrap_or_default() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "PriorityClass" | "RuntimeClass" | "StorageClass" | "Node" => 2,
        "ServiceAccount" | "LimitRange" | "ConfigMap" | "Secret" => 3,
        kind if PODS.contains(&kind) => 5,
        _ => 4,
    }
}

/// Namespaces and service accounts that are named and not among the objects.
fn surroundings(objects: &[Value]) -> Vec<Value> {
    let mut known: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match object["kind"].as_str() {
            Some("Namespace") => known.insert(("Namespace", "", name)),
            Some("ServiceAccount") => known.insert(("ServiceAccount", namespace(object), name)),
            _ => false,
        };
    }
    let mut missing = Vec::new();
    for object in objects {
        let home = namespace(object);
        if known.insert(("Namespace", "", home)) {
            missing.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": home } }));
        }
        let spec = &object["spec"];
        for spec in [spec, &spec["template"]["spec"], &spec["jobTemplate"]["spec"]["template"]["spec"]] {
            if let Some(name) = spec["serviceAccountName"].as_str()
                && known.insert(("ServiceAccount", home, name))
            {
                let metadata = json!({ "name": name, "namespace": home });
                missing.push(json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata }));
            }
        }
    }
    missing
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().filter(|name| !name.is_empty()).unwrap_or("default")
}

/// Creates an object, and the first Job of a CronJob; false if there is one of its name.
async fn post(api: &Fake, kinds: &Kinds, object: &Value) -> Result<bool, String> {
    let mut object = object.clone();
    // What a cluster wrote is no part of a manifest.
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink"] {
            metadata.remove(key);
        }
    }
    let resource = kinds.of(&object).map_err(|error| error.to_string())?;
    let answer = api.ask(Ask::new(Method::POST, resource.path(namespace(&object), "")).body(&object)).await;
    let exists = answer.status == 409;
    if !answer.is_success() && !exists {
        return Err(answer.message());
    }
    if exists || object["kind"] != "CronJob" {
        return Ok(!exists);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let mut metadata = object["spec"]["jobTemplate"]["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["name"] = format!("{name}-1").into();
    metadata["namespace"] = namespace(&object).into();
    metadata["ownerReferences"] = json!([{ "apiVersion": "batch/v1", "kind": "CronJob", "name": name, "controller": true,
        "blockOwnerDeletion": true, "uid": answer.body["metadata"]["uid"] }]);
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
        "spec": object["spec"]["jobTemplate"]["spec"] });
    let resource = kinds.of(&job).map_err(|error| error.to_string())?;
    let answer = api.ask(Ask::new(Method::POST, resource.path(namespace(&job), "")).body(&job)).await;
    if answer.is_success() { Ok(true) } else { Err(answer.message()) }
}

/// Writes what was asked since; false if nothing was.
fn drain(
    bodies: &Bodies,
    imported: &mut Imported,
    write: &mut impl FnMut(&Record) -> std::io::Result<()>,
) -> Result<bool, Error> {
    let bodies = std::mem::take(&mut *bodies.lock().unwrap_or_else(PoisonError::into_inner));
    let any = !bodies.is_empty();
    for body in bodies {
        imported.reviews += 1;
        write(&Record { method: "POST".to_owned(), body, ..Record::default() }).map_err(Error::Write)?;
    }
    Ok(any)
}

fn configuration(service: &(String, String, u16), ca: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": "import" },
        "webhooks": [{
            "name": "import.towtank.dev", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": { "service": { "namespace": service.0, "name": service.1, "port": service.2 },
                "caBundle": STANDARD.encode(ca) },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
        }],
    })
}
