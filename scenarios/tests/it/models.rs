//! `towtank check` as a process, against webhooks over HTTPS that behave as bad ones do: each fault is named and shrunk.

use std::sync::Arc;

use admission::review::{AdmissionReview, Response};
use apimachinery::value::{Value, json};
use scenarios::hook::{Answerer, Hook};

use super::{file, text, towtank};

/// A list of operations from a pod.
type Mutate = fn(&Value) -> Value;

/// A webhook that is all right but for its mutation.
fn model(mutate: Mutate) -> Answerer {
    Answerer::Function(Arc::new(move |body| {
        let review = AdmissionReview::decode(body).ok()?;
        let mut response = Response::allow(&*review.request.uid);
        if let Some(object) = review.request.object.filter(|_| &*review.request.operation == "CREATE") {
            let object: Value = serde_json::from_str(object.get()).ok()?;
            object["spec"]["containers"].as_array()?;
            response.patch = Some(mutate(&object).to_string().into_bytes()).filter(|patch| patch != b"[]");
        }
        Some(response.encode(review.version))
    }))
}

fn injected(object: &Value) -> bool {
    object["spec"]["containers"].as_array().unwrap().iter().any(|container| container["name"] == "sidecar")
}

/// Puts its container first, once.
fn prepends_once(object: &Value) -> Value {
    let first = json!([{ "op": "add", "path": "/spec/containers/0", "value": { "name": "sidecar", "image": "s" } }]);
    if injected(object) { json!([]) } else { first }
}

/// Puts its container first, whatever is there.
fn prepends(_: &Value) -> Value {
    json!([{ "op": "add", "path": "/spec/containers/0", "value": { "name": "sidecar", "image": "s" } }])
}

/// Counts in an annotation how often it was asked.
fn counts(object: &Value) -> Value {
    let times = object["metadata"]["annotations"]["example.com/injected"].as_str().unwrap_or("");
    let mut annotations = object["metadata"]["annotations"].clone();
    annotations["example.com/injected"] = format!("{times}x").into();
    json!([{ "op": "add", "path": "/metadata/annotations", "value": annotations }])
}

/// Reads the pod's containers into what it knows of a container, and writes that back.
fn drops_unknown_fields(object: &Value) -> Value {
    let known = ["name", "image", "command", "args", "env", "ports", "volumeMounts", "resources"];
    let containers = object["spec"]["containers"].as_array().unwrap().iter().map(|container| {
        let kept = container.as_object().unwrap().iter().filter(|(key, _)| known.contains(&key.as_str()));
        Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
    });
    let mut containers: Vec<Value> = containers.collect();
    if !injected(object) {
        containers.push(json!({ "name": "sidecar", "image": "s" }));
    }
    json!([{ "op": "replace", "path": "/spec/containers", "value": containers }])
}

#[test]
fn the_faults_of_bad_webhooks_are_named_and_shrunk() {
    let directory = tempfile::tempdir().unwrap();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web", "namespace": "shop", "labels": { "app": "web" }, "annotations": { "note": "x" } },
        "spec": { "nodeSelector": { "disk": "ssd" }, "volumes": [{ "name": "data", "emptyDir": {} }], "containers": [
            { "name": "app", "image": "app:1", "env": [{ "name": "A", "value": "1" }], "volumeMounts": [{ "name": "data", "mountPath": "/d" }] },
            { "name": "helper", "image": "helper:1" }] } });
    let review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u", "operation": "CREATE", "namespace": "shop", "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "resource": { "group": "", "version": "v1", "resource": "pods" }, "object": pod, "oldObject": null, "dryRun": false, "userInfo": {} } });
    let reviews = file(directory.path(), "reviews.jsonl", &format!("{review}\n"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let models: [(&str, Mutate, &[&str], &str); 4] = [
        ("prepends once", prepends_once, &[], ""),
        ("prepends", prepends, &["idempotent"], "spec.containers[sidecar]: added"),
        ("counts", counts, &["idempotent"], "metadata.annotations[example.com/injected]: \"x\" became \"xx\""),
        ("drops unknown fields", drops_unknown_fields, &["unknown-fields"], "towtankPlanted: removed"),
    ];
    for (name, mutate, broken, evidence) in models {
        let service = ("default".to_owned(), "localhost".to_owned(), 443);
        let hook = Hook::new(&service, model(mutate)).unwrap();
        let url = format!("https://localhost:{}/mutate", runtime.block_on(hook.listen()).unwrap().port());
        let ca = file(directory.path(), "ca.pem", hook.ca_pem());
        let save = directory.path().join(name.replace(' ', "-"));
        let args = ["check", &url, "--ca", &ca, "--reviews", &reviews, "--save", save.to_str().unwrap()];
        let output = towtank(&[&args[..], &["--json"]].concat());
        assert_eq!(output.status.code(), Some(i32::from(!broken.is_empty())), "{name}: {}", text(&output.stderr));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let laws = result["laws"].as_array().unwrap();
        let found: Vec<&Value> = laws.iter().filter(|law| law["verdict"] == "broken").collect();
        assert_eq!(found.iter().map(|law| law["name"].as_str().unwrap()).collect::<Vec<_>>(), broken, "{name}");
        for law in found {
            let finding = &law["finding"];
            assert!(finding["evidence"].to_string().replace("\\\"", "\"").contains(evidence), "{name}: {finding}");
            let spec = &finding["minimal"]["request"]["object"]["spec"];
            assert_eq!(spec.as_object().unwrap().len(), 1, "{name}: nothing is left but containers: {spec}");
            assert_eq!(spec["containers"].as_array().unwrap().len(), 1, "{name}: {spec}");
            // What was saved shows it again.
            let saved = finding["saved"].as_array().unwrap()[0].as_str().unwrap();
            let again = ["check", &url, "--ca", &ca, "--reviews", saved, "--only", law["name"].as_str().unwrap()];
            assert_eq!(towtank(&again).status.code(), Some(1), "{name}");
        }
        let shown = towtank(&args);
        for law in broken {
            assert!(text(&shown.stdout).contains(&format!("BROKEN  {law}")), "{name}: {}", text(&shown.stdout));
        }
    }
}
