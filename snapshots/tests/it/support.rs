use apimachinery::value::{Value, json};
use injector::boxed::{ALL, Boxed};
use injector::{Injected, Injector};

/// The injectors in the box, with their names.
pub(crate) fn injectors() -> impl Iterator<Item = (&'static str, &'static Injector)> {
    static LOADED: std::sync::OnceLock<Vec<Injector>> = std::sync::OnceLock::new();
    let loaded = LOADED.get_or_init(|| ALL.iter().map(load).collect());
    ALL.iter().map(|boxed| boxed.name).zip(loaded)
}

pub(crate) fn load(boxed: &Boxed) -> Injector {
    Injector::load(boxed.settings()).unwrap()
}

/// The pod after the patch, applied strictly by RFC 6902 and again as an apiserver does; both must agree.
pub(crate) fn patched(pod: &Value, injected: &Injected) -> Result<Value, String> {
    let text = injector::patch::to_bytes(&injected.patch);
    let strict: json_patch::Patch = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let mut after = pod.clone().into();
    json_patch::patch(&mut after, &strict).map_err(|error| error.to_string())?;
    let lenient = apimachinery::json_patch::Patch::parse(&text).map_err(|error| error.to_string())?;
    let other = lenient.apply(pod.clone()).map_err(|error| error.to_string())?;
    if other == Value::from(after) { Ok(other) } else { Err("strict and lenient application differ".to_owned()) }
}

/// An AdmissionReview for the creation of a pod.
pub(crate) fn review(pod: &Value) -> Vec<u8> {
    let review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "shop", "operation": "CREATE",
            "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller" },
            "object": pod, "oldObject": null, "dryRun": false, "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" }
        }
    });
    serde_json::to_vec(&review).unwrap()
}
