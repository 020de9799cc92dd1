//! What a fake apiserver is likely to get wrong, where no recorded case shows it: each test names what a kube-apiserver
//! v1.36 was seen doing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apimachinery::value::{Value, json};
use fake_apiserver::{Builder, FakeApiserver};
use http::Method;
use tokio::time::Instant;

use crate::support::{Answer, Memory, Webhook, ca_bundle, patch};

/// One mutating webhook for CREATE of a resource of the core group, at `/h`.
fn configuration(resource: &str, changes: &Value) -> Value {
    let mut webhook = json!({
        "name": "h.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://hook/h", "caBundle": ca_bundle()},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}],
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        webhook[key] = value.clone();
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "m"},
        "webhooks": [webhook],
    })
}

fn builder(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Builder {
    FakeApiserver::builder().namespace("shop", []).connector(Arc::new(Memory(Webhook::new(answer))))
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "image": "x"}]},
    })
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
}

const ALLOWED: fn() -> Answer = || Answer::Response(json!({"allowed": true}));

#[tokio::test]
async fn a_token_volume_that_a_webhook_removes_comes_back() {
    let remove = json!([
        {"op": "remove", "path": "/spec/containers/0/volumeMounts"}, {"op": "remove", "path": "/spec/volumes"},
    ]);
    let cluster = builder(move |_, _| patch(&remove)).object(configuration("pods", &json!({}))).start().await.unwrap();
    let stored = cluster.create(pod("web")).await.unwrap();
    let volume = &stored["spec"]["volumes"][0]["name"];
    assert!(volume.as_str().unwrap().starts_with("kube-api-access-"), "{stored}");
    assert_eq!(&stored["spec"]["containers"][0]["volumeMounts"][0]["name"], volume);
}

#[tokio::test]
async fn an_injected_container_gets_the_token_and_the_limits() {
    let container = json!([{"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy", "image": "p"}}]);
    let cluster = builder(move |_, _| patch(&container)).start().await.unwrap();
    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "shop"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m"}}]},
    });
    cluster.create(range).await.unwrap();
    cluster.create(configuration("pods", &json!({}))).await.unwrap();
    let stored = cluster.create(pod("web")).await.unwrap();
    let proxy = &stored["spec"]["containers"][1];
    assert_eq!(proxy["resources"], json!({"limits": {"cpu": "200m"}, "requests": {"cpu": "100m"}}));
    assert_eq!(proxy["volumeMounts"][0]["mountPath"], "/var/run/secrets/kubernetes.io/serviceaccount");
    let note = stored["metadata"]["annotations"]["kubernetes.io/limit-ranger"].as_str().unwrap();
    assert!(note.contains("container proxy"), "{note}");
}

#[tokio::test]
async fn a_configuration_acts_on_the_very_next_request() {
    let cluster = builder(|_, _| Answer::Response(json!({"allowed": false}))).controllers(false).start().await.unwrap();
    cluster.create(config_map("before")).await.unwrap();
    cluster.create(configuration("configmaps", &json!({}))).await.unwrap();
    assert!(cluster.create(config_map("during")).await.is_err());
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/m";
    assert_eq!(cluster.request(Method::DELETE, path, None).await.status, 200);
    cluster.create(config_map("after")).await.unwrap();
}

#[tokio::test]
async fn a_307_is_followed_with_the_review() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = seen.clone();
    let cluster = builder(move |path, review| {
        told.lock().unwrap().push(format!("{path} {}", review["request"]["name"]));
        if path == "/h" { Answer::Header(307, "location", "/there") } else { ALLOWED() }
    });
    let cluster = cluster.controllers(false).object(configuration("configmaps", &json!({}))).start().await.unwrap();
    cluster.create(config_map("a")).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["/h \"a\"", "/there \"a\""]);
}

#[tokio::test(start_paused = true)]
async fn a_503_with_retry_after_is_asked_again_until_the_timeout() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let cluster = builder(move |_, _| match counted.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Answer::Header(503, "retry-after", "2"),
        2 => ALLOWED(),
        _ => Answer::Header(503, "retry-after", "2"),
    });
    let cluster = cluster.controllers(false).object(configuration("configmaps", &json!({"timeoutSeconds": 5})));
    let cluster = cluster.start().await.unwrap();
    let started = Instant::now();
    cluster.create(config_map("a")).await.unwrap();
    assert_eq!((calls.load(Ordering::Relaxed), started.elapsed().as_secs()), (3, 4));
    let started = Instant::now();
    let path = "/api/v1/namespaces/shop/configmaps";
    let refused = cluster.request(Method::POST, path, Some(&config_map("b"))).await;
    assert_eq!((refused.status, calls.load(Ordering::Relaxed)), (500, 6), "{}", refused.json());
    assert_eq!(started.elapsed().as_secs(), 5, "the third wait is cut off");
}

#[tokio::test(start_paused = true)]
async fn a_503_without_retry_after_is_final() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let cluster = builder(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Answer::Status(503)
    });
    let cluster = cluster.controllers(false).object(configuration("configmaps", &json!({}))).start().await.unwrap();
    let started = Instant::now();
    assert!(cluster.create(config_map("a")).await.is_err());
    assert_eq!((calls.load(Ordering::Relaxed), started.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_revision_to_come_waits() {
    let cluster = FakeApiserver::builder().controllers(false).namespace("shop", []).start().await.unwrap();
    let to_come = cluster.revision() + 3;
    let path = format!("/api/v1/namespaces/shop/configmaps?watch=1&timeoutSeconds=30&resourceVersion={to_come}");
    let create = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for name in ["a", "b", "c", "d"] {
            cluster.create(config_map(name)).await.unwrap();
        }
    };
    let (watched, ()) = tokio::join!(cluster.request(Method::GET, &path, None), create);
    let events: Vec<Value> =
        watched.body.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let told: Vec<_> = events.iter().map(|event| (&event["type"], &event["object"]["metadata"]["name"])).collect();
    assert_eq!((watched.status, told), (200, vec![(&json!("ADDED"), &json!("d"))]));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_was_down_for_a_minute_costs_twenty_seconds_more() {
    let fault = "webhook=h.example.com,refuse,for=60s".parse().unwrap();
    let cluster =
        builder(|_, _| ALLOWED()).fault(fault).object(configuration("pods", &json!({}))).start().await.unwrap();
    let labels = json!({"app": "web"});
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "x"}]}},
        },
    });
    let started = Instant::now();
    cluster.create(set).await.unwrap();
    let list = |path: &'static str| {
        let cluster = &cluster;
        async move { cluster.request(Method::GET, path, None).await.json()["items"].as_array().unwrap().clone() }
    };
    while list("/api/v1/namespaces/shop/pods").await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // 5 ms, doubled each time: the attempt after 41 s fails, the next one is 41 s later.
    let took = started.elapsed().as_secs_f64();
    assert!((80.0..84.0).contains(&took), "{took}");
    let events = list("/api/v1/namespaces/shop/events").await;
    let failed: Vec<_> = events.iter().filter(|event| event["reason"] == "FailedCreate").collect();
    let [failed] = failed.as_slice() else { panic!("one event with a count: {failed:?}") };
    // One call a turn while it fails, however many replicas are missing.
    assert_eq!(failed["count"], 14, "{failed}");
    let message = failed["message"].as_str().unwrap();
    assert!(
        message.starts_with("Error creating: Internal error occurred: failed calling webhook \"h.example.com\""),
        "{message}"
    );
}
