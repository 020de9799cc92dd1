//! Benches of the patch hot path: criterion for time (`benches/hot_path.rs`), callgrind for instructions
//! (`bin/instructions.rs`). See `README.md`.

use apimachinery::value::{Value, json};
use injector::boxed::Boxed;
use injector::{Injector, config};

// The same pods as in the tests of cost, so that bytes and instructions speak of the same things.
#[path = "../../snapshots/src/large.rs"]
pub mod large;

/// A pod to measure with.
#[derive(Debug)]
pub struct Case {
    /// Such as `env_1000`.
    pub name: &'static str,
    /// As a webhook gets it.
    pub pod: Value,
}

/// An ordinary pod, the same with more and more environment variables, and one with thirty containers.
pub fn cases() -> Vec<Case> {
    vec![
        Case { name: "ordinary", pod: large::ordinary() },
        Case { name: "env_100", pod: large::with_env(100) },
        Case { name: "env_500", pod: large::with_env(500) },
        Case { name: "env_1000", pod: large::with_env(1000) },
        Case { name: "containers_30", pod: large::with_containers(30) },
    ]
}

/// An injector from the box.
///
/// # Errors
/// If what is in the box does not load.
pub fn injector(boxed: &Boxed) -> Result<Injector, config::Error> {
    Injector::load(boxed.settings())
}

/// The body of a webhook call for the creation of a pod, as an apiserver writes it.
pub fn review(pod: &Value, uid: &str) -> Vec<u8> {
    let review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid,
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
            "requestResource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "shop", "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "3b6a7b1e-7b1f-4a52-8f0e-3f5f8d8e9a10",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]
            },
            "object": pod, "oldObject": null, "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" }
        }
    });
    let mut body = review.to_string().into_bytes();
    body.push(b'\n');
    body
}
