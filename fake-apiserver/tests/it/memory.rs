//! A cluster remembers what it worked out, and answers as one that remembers nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use fake_apiserver::FakeApiserver;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::{Answer, Memory, Webhook, ca_bundle, patch};

/// 2026-11-22T07:00:00Z.
const START: i64 = 1_795_330_800_000_000;

/// A pod out of few parts, so that one comes again, as a whole and in part.
#[derive(Clone, Debug)]
struct Request {
    /// Which of the patches, annotations, containers, volumes and peculiarities.
    parts: [usize; 5],
    named: bool,
    dry_run: bool,
    manager: &'static str,
    namespace: &'static str,
    /// Milliseconds that pass before it.
    wait: u64,
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let parts = (0..6usize, 0..3usize, 0..3usize, 0..4usize, 0..4usize);
    let managers = prop::sample::select(&["a", "b"][..]);
    let namespaces = prop::sample::select(&["shop", "default"][..]);
    let request = (parts, any::<bool>(), any::<bool>(), managers, namespaces, 0..900u64).prop_map(
        |((patch, annotations, container, volumes, peculiar), named, dry_run, manager, namespace, wait)| {
            let parts = [patch, annotations, container, volumes, peculiar];
            Request { parts, named, dry_run, manager, namespace, wait }
        },
    );
    prop::collection::vec(request, 1..4).prop_flat_map(|few| prop::collection::vec(prop::sample::select(few), 4..14))
}

impl Request {
    fn path(&self) -> String {
        let Request { namespace, manager, .. } = self;
        let dry_run = if self.dry_run { "&dryRun=All" } else { "" };
        format!("/api/v1/namespaces/{namespace}/pods?fieldManager={manager}{dry_run}")
    }

    fn pod(&self, number: usize) -> Value {
        let [patch, annotations, container, volumes, peculiar] = self.parts;
        let annotations = match annotations {
            0 => json!({}),
            1 => json!({"a": "1"}),
            _ => json!({"seccomp.security.alpha.kubernetes.io/pod": "odd"}),
        };
        let mut app = json!({"name": "app", "image": "nginx"});
        match container {
            0 => {}
            1 => app["resources"] = json!({"limits": {"cpu": "0.5"}, "requests": {"cpu": "1"}}),
            _ => app["env"] = json!([{"name": "A", "value": "<1>"}, {"name": "A", "value": "2"}]),
        }
        let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        let volumes = match volumes {
            0 => json!([]),
            1 => json!([{"name": "v", "emptyDir": {}}]),
            2 => json!([{"name": "c", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}]),
            _ => json!([{"name": "v"}, {"name": "v"}]),
        };
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": "web-", "labels": {"patch": patch.to_string()}, "annotations": annotations},
            "spec": {"containers": [app], "volumes": volumes},
        });
        if self.named {
            // What is not stored may have the name of another.
            let number = if self.dry_run { 0 } else { number + 1 };
            // Too long for a claim that is named after the pod, in some.
            let tail = if container == 1 { "x".repeat(245) } else { String::new() };
            pod["metadata"]["name"] = format!("web-{number}{tail}").into();
        }
        match peculiar {
            1 => pod["spec"]["unknown"] = 1.into(),
            2 => pod["metadata"]["uid"] = "mine".into(),
            3 => pod["metadata"]["namespace"] = "elsewhere".into(),
            _ => {}
        }
        pod
    }
}

/// What the webhook does with a pod says its label.
fn answer(review: &Value) -> Answer {
    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let sidecar = json!({"name": "proxy", "image": "proxy", "resources": {"limits": {"memory": "1024Ki"}}, "odd": 1});
    match review["request"]["object"]["metadata"]["labels"]["patch"].as_str().unwrap_or_default() {
        "0" => Answer::Response(json!({"allowed": true})),
        "1" => patch(&json!([add("/spec/containers/0", sidecar)])),
        "2" => {
            patch(&json!([add("/metadata/annotations", json!({"touched": "yes"})), add("/spec/hostname", json!("h"))]))
        }
        "3" => patch(&json!([{"op": "remove", "path": "/metadata/managedFields"}])),
        "4" => patch(&json!([add("/metadata/labels/touched", json!("yes")), add("/spec/containers", json!([]))])),
        _ => patch(&json!([{"op": "test", "path": "/spec/hostname", "value": "h"}])),
    }
}

struct Cluster {
    cluster: FakeApiserver,
    reviews: Arc<Mutex<Vec<Value>>>,
}

impl Cluster {
    async fn new() -> Cluster {
        let reviews = Arc::<Mutex<Vec<Value>>>::default();
        let seen = Arc::clone(&reviews);
        let webhook = Webhook::new(move |_, review| {
            seen.lock().unwrap().push(review.clone());
            answer(review)
        });
        let hook = json!({
            "name": "h.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:9443/", "caBundle": ca_bundle()}, "reinvocationPolicy": "IfNeeded",
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        });
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "hooks"}, "webhooks": [hook],
        });
        let builder = FakeApiserver::builder().seed(7).clock(Clock::at(START)).controllers(false).namespace("shop", []);
        let cluster = builder.connector(Arc::new(Memory(webhook))).start().await.unwrap();
        cluster.create(configuration).await.unwrap();
        Cluster { cluster, reviews }
    }

    /// Status, body, warnings, and the reviews that the webhook had; without what differs between two requests.
    async fn send(&self, request: &Request, number: usize) -> Value {
        let body = request.pod(number).to_string().into_bytes();
        let sent = http::Request::builder().method("POST").uri(request.path());
        let sent =
            sent.header("content-type", "application/json").header("user-agent", "property/1").body(body).unwrap();
        let response = self.cluster.exchange(sent).await;
        let warnings: Vec<&str> =
            response.headers.get_all("warning").iter().map(|value| value.to_str().unwrap()).collect();
        let body: Value = response.json();
        let metadata = &body["metadata"];
        if metadata["managedFields"].is_array() && metadata["creationTimestamp"].is_string() {
            assert_eq!(metadata["managedFields"][0]["time"], metadata["creationTimestamp"], "the time of the request");
        }
        let mut all = json!({
            "status": response.status, "warnings": warnings, "body": body,
            "reviews": std::mem::take(&mut *self.reviews.lock().unwrap()),
        });
        forget(&mut all, "");
        all
    }
}

/// Blanks what is drawn or counted, and times.
fn forget(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                forget(value, name);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, key)),
        Value::String(text) => {
            if matches!(key, "uid" | "creationTimestamp" | "time" | "resourceVersion") {
                *value = "drawn".into();
                return;
            }
            // Names also stand in messages, in quotes.
            let plain = |part: &str| {
                let generated = part.len() == 9 && part.starts_with("web-");
                let drawn =
                    generated || ["kube-api-access-", "X509SHA256="].iter().any(|start| part.starts_with(start));
                if drawn { "drawn".to_owned() } else { part.to_owned() }
            };
            *value = text.split('"').map(plain).collect::<Vec<_>>().join("\"").into();
        }
        _ => {}
    }
}

async fn compare(requests: Vec<Request>) -> TestCaseResult {
    let old = Cluster::new().await;
    for (number, request) in requests.iter().enumerate() {
        tokio::time::advance(Duration::from_millis(request.wait)).await;
        let fresh = Cluster::new().await;
        prop_assert_eq!(old.send(request, number).await, fresh.send(request, number).await, "request {}", number);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cluster_that_remembers_answers_as_one_that_does_not(requests in requests()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(compare(requests))?;
    }
}
