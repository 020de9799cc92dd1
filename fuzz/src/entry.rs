//! What the fuzz targets do with their bytes. Each panics if something does not hold; nothing else may end it.
//!
//! The fuzzer calls these, and so does a test of the injector that replays the corpora: one file, compiled into both.

use std::sync::OnceLock;

use apimachinery::value::{Value, json};
use apimachinery::yaml;
use injector::config::{Environment, Settings};
use injector::{Injected, Injector, boxed, lint, patch};

/// The paths that reviews come to: with and without parameters, with nonsense.
const PATHS: [&str; 3] = ["/inject", "/inject/cluster/c1/net/n1/own~name/x?timeout=10s", "/inject//net/--slash--/odd"];

/// Between the template and the pod, on a line of its own.
const SEPARATOR: &str = "\n=====\n";

/// The bytes of a review, as they come from the network.
///
/// Holds: the answer is a review that repeats the uid; it is the same from the cache and without it; its patch applies
/// strictly by RFC 6902 and gives what an apiserver makes of it.
pub fn review(data: &[u8]) {
    for (injector, paths) in injectors().iter().zip([&PATHS[..], &PATHS[..1]]) {
        for path in paths {
            let answer = injector.review_uncached(data, path);
            let again = injector.review(data, path);
            assert_eq!(answer.body, again.body, "another answer where answers are kept");
            let answer: Value = serde_json::from_slice(&answer.body).expect("the answer is not JSON");
            let allowed = answer["response"]["allowed"].as_bool().expect("the answer says neither yes nor no");
            assert!(allowed || answer["response"]["status"]["message"].is_string(), "a denial without a reason");
            assert!(allowed || answer["response"].get("patch").is_none(), "a denial with a patch");
        }
    }
    // What the patch does is seen on the object itself: an answer carries it in base64.
    let Ok(review) = serde_json::from_slice::<Value>(data) else { return };
    let Some(object) = review.pointer("/request/object") else { return };
    for injector in injectors() {
        if let Ok(injected) = injector.inject_object(object, "shop", PATHS[0]) {
            applies(object, &injected);
        }
    }
}

/// The text of a ConfigMap, or of its key `config`, as a person writes it.
///
/// Holds: it loads or is refused; checking it for mistakes ends; an ordinary pod is injected or denied.
pub fn configmap(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let settings = Settings { inject_config: text.to_owned(), ..Settings::default() };
    let findings = lint::lint(&settings, &[]);
    match Injector::load(settings) {
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            assert!(findings.iter().any(|f| f.level == lint::Level::Error), "refused, but not by lint: {error}");
        }
        Ok(injector) => inject(&injector, ordinary()),
    }
}

/// A template, a line `=====`, and a pod (YAML); without that line, an ordinary pod.
///
/// A template with `[[` is one of Istio 1.0; any other is rendered as one of 1.2 and as one of today.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (template, pod) = text.split_once(SEPARATOR).unwrap_or((text, ""));
    let pod = yaml::parse(pod).ok().filter(Value::is_object);
    let pod = pod.as_ref().unwrap_or(ordinary());
    let native = Environment::from_variables([("ENABLE_NATIVE_SIDECARS".to_owned(), "true".to_owned())]);
    let load = |config: Value, environment: Environment| {
        let values = Some(VALUES.to_owned());
        Injector::load(Settings { inject_config: config.to_string(), values, environment, ..Settings::default() })
    };
    let selected = json!({ "policy": "enabled", "template": template });
    if let Ok(injector) = load(selected, Environment::default()) {
        inject(&injector, pod);
    }
    if template.contains("[[") {
        return;
    }
    let named = json!({ "policy": "enabled", "defaultTemplates": ["t"], "templates": { "t": template } });
    if let Ok(injector) = load(named, native) {
        inject(&injector, pod);
    }
}

const VALUES: &str = r#"{"global": {"hub": "h.example.com", "tag": "1.2.3", "proxy": {"image": "proxyv2",
    "resources": {"requests": {"cpu": "10m"}}, "excludeIPRanges": ""}, "imagePullSecrets": ["s"], "network": ""},
    "list": [1, 2.5, "x", null], "text": "a\nb", "flag": true}"#;

/// Injects one pod, whatever comes of it; a patch has to apply.
fn inject(injector: &Injector, pod: &Value) {
    let examined = injector.examine(pod, "shop", PATHS[0]);
    match examined.result {
        Ok(injected) => applies(pod, &injected),
        Err(error) => assert!(!error.to_string().is_empty(), "denied without a reason"),
    }
}

/// The patch applies strictly, and an apiserver makes the same of it.
fn applies(pod: &Value, injected: &Injected) {
    assert!(injected.decision.inject || injected.patch.is_empty(), "a patch for a pod that is left alone");
    let text = patch::to_bytes(&injected.patch);
    let strict: json_patch::Patch = serde_json::from_slice(&text).expect("the patch is not a JSON patch");
    let mut after = pod.clone().into();
    json_patch::patch(&mut after, &strict).expect("the patch does not apply");
    let lenient = apimachinery::json_patch::Patch::parse(&text).expect("an apiserver does not read the patch");
    let served = lenient.apply(pod.clone()).expect("an apiserver does not apply the patch");
    assert_eq!(Value::from(after), served, "an apiserver makes something else of the patch");
}

/// The injectors in the box: 1.0, modern.
fn injectors() -> &'static [Injector] {
    static LOADED: OnceLock<Vec<Injector>> = OnceLock::new();
    LOADED.get_or_init(|| {
        let mut all = boxed::ALL.to_vec();
        all.reverse();
        all.iter().map(|boxed| Injector::load(boxed.settings()).expect("what is in the box loads")).collect()
    })
}

/// A pod of a ReplicaSet.
fn ordinary() -> &'static Value {
    static POD: OnceLock<Value> = OnceLock::new();
    POD.get_or_init(|| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "generateName": "web-6d4cf56db6-",
                "labels": { "app": "web", "pod-template-hash": "6d4cf56db6" },
                "annotations": { "traffic.sidecar.istio.io/includeInboundPorts": "80,443" },
                "ownerReferences": [
                    { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": true, "uid": "1" }
                ],
            },
            "spec": {
                "initContainers": [{ "name": "prepare", "image": "prepare:1" }],
                "containers": [{
                    "name": "web", "image": "web:1", "env": [{ "name": "MODE", "value": "x" }],
                    "ports": [{ "name": "http", "containerPort": 8080 }],
                    "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } },
                    "resources": { "requests": { "cpu": "100m" } },
                }],
                "volumes": [{ "name": "data", "emptyDir": {} }],
            },
        })
    })
}
