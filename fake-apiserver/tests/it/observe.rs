//! What a cluster tells of itself: metrics, the audit log, the trace.

use apimachinery::value::{Value, json};
use fake_apiserver::FakeApiserver;
use http::Method;

/// A configuration whose webhook nobody serves.
fn unreachable_webhook(kind: &str, name: &str, failure_policy: &str, conditions: Value) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "webhooks": [{
            "name": format!("{name}.example.com"),
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
            "failurePolicy": failure_policy, "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "matchConditions": conditions,
        }],
    })
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
}

#[tokio::test]
async fn webhooks_requests_and_watches_are_counted_by_the_real_names() {
    let not_b = json!([{"name": "not-b", "expression": "object.metadata.name != 'b'"}]);
    let cluster = FakeApiserver::builder()
        .controllers(false)
        .object(unreachable_webhook("MutatingWebhookConfiguration", "open", "Ignore", not_b))
        .object(unreachable_webhook("ValidatingWebhookConfiguration", "shut", "Fail", json!([])))
        .start()
        .await
        .unwrap();
    for name in ["a", "b"] {
        let path = "/api/v1/namespaces/default/configmaps";
        assert_eq!(cluster.request(Method::POST, path, Some(&config_map(name))).await.status, 500);
    }
    let text = cluster.metrics();
    let of = |name: &str, rejected: bool, kind: &str| {
        format!("name=\"{name}.example.com\",operation=\"CREATE\",rejected=\"{rejected}\",type=\"{kind}\"")
    };
    let condition = "kind=\"webhook\",name=\"open.example.com\",operation=\"CREATE\",type=\"admit\"";
    let created = "component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"configmaps\",scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\"";
    for line in [
        "apiserver_admission_webhook_fail_open_count{name=\"open.example.com\",type=\"admit\"} 1".to_owned(),
        format!("apiserver_admission_webhook_request_total{{code=\"503\",{}}} 1", of("open", false, "admit")),
        format!("apiserver_admission_webhook_request_total{{code=\"503\",{}}} 2", of("shut", true, "validating")),
        format!("apiserver_admission_webhook_admission_duration_seconds_count{{{}}} 2", of("shut", true, "validating")),
        "apiserver_admission_webhook_rejection_count{error_type=\"calling_webhook_error\",name=\"shut.example.com\",operation=\"CREATE\",rejection_code=\"503\",type=\"validating\"} 2".to_owned(),
        format!("apiserver_admission_match_condition_exclusions_total{{{condition}}} 1"),
        format!("apiserver_admission_match_condition_evaluation_seconds_count{{{condition}}} 2"),
        "apiserver_admission_controller_admission_duration_seconds_count{name=\"ValidatingAdmissionWebhook\",operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 2".to_owned(),
        "apiserver_admission_step_admission_duration_seconds_count{operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 2".to_owned(),
        format!("apiserver_request_total{{code=\"500\",{created}}} 2"),
        format!("apiserver_request_duration_seconds_count{{{created}}} 2"),
    ] {
        assert_line(&text, &line);
    }
    let served = cluster.request(Method::GET, "/metrics", None).await;
    assert_eq!(served.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert_line(
        &String::from_utf8_lossy(&served.body),
        "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1",
    );
    let requests = |text: &str| text.matches("apiserver_request_total{").count();
    cluster.request(Method::GET, "/apis/nobody.example.com/v1/things", None).await;
    assert_eq!(requests(&cluster.metrics()), requests(&text), "what nobody serves makes no series");
}

mod audit {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use apimachinery::value::{Value, json};
    use fake_apiserver::{AuditLevel, AuditPolicy, Authorization, FakeApiserver};
    use http::{Method, Request};
    use serde_json::value::RawValue;

    use super::webhook::Webhook;

    /// Events of a real audit log: level RequestResponse, pods through a mutating webhook: a dry run, and
    /// one by impersonation that is not valid.
    const RECORDED: &str = include_str!("../data/audit-sample.jsonl");

    /// A log that a test can read while it is written.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What differs from run to run, or belongs to whoever sent the recorded request.
    fn comparable(mut event: Value) -> Value {
        for key in ["auditID", "requestReceivedTimestamp", "stageTimestamp", "user"] {
            assert!(event[key].is_string() || event[key].is_object(), "{key}");
            event[key] = Value::Null;
        }
        if let Some(user) = event.get_mut("impersonatedUser").and_then(Value::as_object_mut) {
            user.remove("uid");
        }
        let Some(object) = event.get_mut("responseObject").filter(|object| object["kind"] != "Status") else {
            return event;
        };
        let metadata = object["metadata"].as_object_mut().unwrap();
        for key in ["uid", "creationTimestamp", "managedFields"] {
            assert!(metadata.remove(key).is_some(), "{key}");
        }
        // A dry run has none.
        metadata.remove("resourceVersion");
        if let Some(prefix) = metadata.get("generateName").and_then(Value::as_str).map(str::to_owned) {
            metadata.insert("name".to_owned(), format!("{prefix}12345").into());
        }
        // The token's volume has a name of its own in each pod.
        let text = object.to_string();
        if let Some(at) = text.find("\"kube-api-access-") {
            let name = text[at..].split('"').nth(1).unwrap().to_owned();
            *object = serde_json::from_str(&text.replace(&name, "kube-api-access-12345")).unwrap();
        }
        event
    }

    #[tokio::test]
    async fn events_are_field_for_field_what_a_real_apiserver_wrote() {
        for line in RECORDED.lines() {
            let recorded: Value = serde_json::from_str(line).unwrap();
            // As text: the order of its keys is the webhook's.
            let patch: BTreeMap<String, Box<RawValue>> = serde_json::from_str(
                recorded["annotations"]["patch.webhook.admission.k8s.io/round_0_index_0"].as_str().unwrap(),
            )
            .unwrap();
            let patch = patch["patch"].get().to_owned();
            let annotation = recorded["annotations"]["a.capture.example.com/injected"].clone();
            let webhook = Webhook::start(move |review| {
                json!({
                    "uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch",
                    "patch": super::webhook::base64(&patch),
                    "auditAnnotations": {"injected": annotation},
                })
            })
            .await;
            let log = Shared::default();
            let cluster = FakeApiserver::builder()
                .controllers(false)
                .namespace("monitoring", [])
                .object(webhook.configuration("capture", "a.capture.example.com", "pods"))
                // As in the recorded cluster; it makes the second pod invalid.
                .namespace("data", [])
                .object(json!({
                    "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits", "namespace": "data"},
                    "spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}}]},
                }))
                .audit_policy(AuditPolicy::parse("{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], rules: [{level: RequestResponse, verbs: [create], resources: [{group: '', resources: [pods]}]}]}").unwrap())
                .audit_log(log.clone())
                .start()
                .await
                .unwrap();
            let mut request = Request::post(recorded["requestURI"].as_str().unwrap())
                .header("content-type", "application/json")
                .header("user-agent", recorded["userAgent"].as_str().unwrap());
            if let Some(user) = recorded["impersonatedUser"]["username"].as_str() {
                request = request.header("impersonate-user", user);
                for group in recorded["impersonatedUser"]["groups"].as_array().unwrap() {
                    request = request.header("impersonate-group", group.as_str().unwrap());
                }
            }
            let body = recorded["requestObject"].to_string().into_bytes();
            let status = cluster.exchange(request.body(body).unwrap()).await.status;
            assert_eq!(recorded["responseStatus"]["code"], status);
            let [event] = cluster.audit().try_into().expect("one event");
            let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), event);
            assert_eq!(comparable(event), comparable(recorded));
            // The order of the fields is the real one as well.
            let order = |text: &str| -> Vec<usize> {
                let keys = [
                    "\"kind\":\"Event\"",
                    "\"auditID\"",
                    "\"requestURI\"",
                    "\"sourceIPs\"",
                    "\"objectRef\"",
                    "\"responseStatus\"",
                    "\"requestObject\"",
                    "\"requestReceivedTimestamp\"",
                ];
                keys.iter().map(|key| text.find(key).unwrap()).collect()
            };
            assert!(order(line).is_sorted() && order(&written).is_sorted(), "{written}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_requests_say_what_took_so_long_and_tokens_which_they_are() {
        let cluster = FakeApiserver::builder()
            .controllers(false)
            .audit_policy(AuditPolicy::at(AuditLevel::Metadata))
            .object(super::unreachable_webhook("MutatingWebhookConfiguration", "slow", "Ignore", json!([])))
            .fault("webhook=*,delay=2s,times=1".parse().unwrap())
            .start()
            .await
            .unwrap();
        for name in ["slow", "quick"] {
            let path = "/api/v1/namespaces/default/configmaps";
            assert_eq!(cluster.request(Method::POST, path, Some(&super::config_map(name))).await.status, 201);
        }
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["a"]}});
        let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
        let token = cluster.request(Method::POST, path, Some(&request)).await.json()["status"]["token"].clone();
        let annotations: Vec<Value> = cluster.audit().iter().map(|event| event["annotations"].clone()).collect();
        let [_, slow, quick, issued] = annotations.as_slice() else { panic!("four events: {annotations:?}") };
        let seconds = |part: &str| {
            let text = slow[format!("apiserver.latency.k8s.io/{part}")].as_str().unwrap_or_default();
            text.strip_suffix('s').and_then(|text| text.parse::<f64>().ok()).unwrap_or_default()
        };
        assert!(seconds("mutating-webhook") >= 2.0 && seconds("total") >= seconds("mutating-webhook"), "{slow}");
        assert_eq!(slow["apiserver.latency.k8s.io/validating-webhook"], Value::Null);
        assert_eq!(quick["apiserver.latency.k8s.io/total"], Value::Null);
        let id = issued["authentication.kubernetes.io/issued-credential-id"].as_str().unwrap();
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": ["a"]}});
        let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
        let known = cluster.request(Method::POST, reviews, Some(&review)).await.json();
        assert_eq!(known["status"]["user"]["extra"]["authentication.kubernetes.io/credential-id"], json!([id]));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_watches_and_strangers_are_in_the_log() {
        let cluster = FakeApiserver::builder()
            .controllers(false)
            .authorization(Authorization::Rbac)
            .audit_policy(AuditPolicy::at(AuditLevel::Metadata))
            .start()
            .await
            .unwrap();
        let send = |method: Method, path: &str, header: (&str, &str)| {
            cluster.exchange(Request::builder().method(method).uri(path).header(header.0, header.1).body("").unwrap())
        };
        send(Method::GET, "/api/v1/namespaces/default/secrets", ("impersonate-user", "eve")).await;
        send(Method::GET, "/api/v1/namespaces/default/pods/nope", ("x-forwarded-for", "10.1.2.3, bad")).await;
        send(Method::GET, "/api/v1/pods?watch=1&timeoutSeconds=1", ("audit-id", "mine")).await;
        send(Method::GET, "/version", ("authorization", "Bearer no.such.token")).await;
        let events = cluster.audit();
        let of = |path: &str| events.iter().find(|event| event["requestURI"] == path).unwrap();
        let forbidden = of("/api/v1/namespaces/default/secrets");
        assert_eq!(forbidden["annotations"]["authorization.k8s.io/decision"], "forbid");
        assert_eq!(
            (&forbidden["user"]["username"], &forbidden["impersonatedUser"]["username"]),
            (&json!("admin"), &json!("eve"))
        );
        assert_eq!(forbidden["responseStatus"]["code"], 403);
        let missing = of("/api/v1/namespaces/default/pods/nope");
        assert_eq!(missing["sourceIPs"], json!(["10.1.2.3", "127.0.0.1"]));
        assert_eq!(
            missing["responseStatus"],
            json!({
                "metadata": {}, "status": "Failure", "message": "pods \"nope\" not found", "reason": "NotFound",
                "details": {"name": "nope", "kind": "pods"}, "code": 404,
            })
        );
        let watch: Vec<_> =
            events.iter().filter(|event| event["auditID"] == "mine").map(|event| &event["stage"]).collect();
        assert_eq!(watch, ["ResponseStarted", "ResponseComplete"]);
        let stranger = of("/version");
        assert_eq!((&stranger["stage"], &stranger["responseStatus"]["code"]), (&json!("ResponseStarted"), &json!(401)));
    }
}

/// Faults, old versions, and plugins that are switched off.
mod conditions {
    use std::sync::{Arc, Mutex};

    use apimachinery::value::{Value, json};
    use fake_apiserver::{Error, FakeApiserver};
    use http::Method;

    use super::config_map;
    use super::webhook::Webhook;

    const PATH: &str = "/api/v1/namespaces/default/configmaps";

    #[tokio::test]
    async fn a_call_is_refused_once_and_then_it_works() {
        let webhook = Webhook::start(|review| json!({"uid": review["request"]["uid"], "allowed": true})).await;
        let cluster = FakeApiserver::builder()
            .object(webhook.configuration("c", "h.example.com", "configmaps"))
            .fault("webhook=h.example.com,refuse,times=1".parse().unwrap())
            .fault("webhook=h.*,status=503,times=1".parse().unwrap())
            .start()
            .await
            .unwrap();
        let mut answers = Vec::new();
        for name in ["a", "b", "c"] {
            let answer = cluster.request(Method::POST, PATH, Some(&config_map(name))).await;
            let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
            answers
                .push((answer.status, message.rsplit(": ").take(2).map(str::to_owned).collect::<Vec<_>>().join(" < ")));
        }
        assert_eq!(answers[0], (500, "connection refused < connect".to_owned()));
        assert_eq!(
            answers[1],
            (500, "the server is currently unable to handle the request < failed to call webhook".to_owned())
        );
        assert_eq!(answers[2].0, 201);
        assert!(cluster.metrics().contains("error_type=\"calling_webhook_error\",name=\"h.example.com\""));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_counts_against_the_timeout() {
        let cluster = FakeApiserver::builder()
            .controllers(false)
            .object(super::unreachable_webhook("MutatingWebhookConfiguration", "slow", "Fail", json!([])))
            .fault("webhook=*,delay=1m".parse().unwrap())
            .start()
            .await
            .unwrap();
        let started = tokio::time::Instant::now();
        let answer = cluster.request(Method::POST, PATH, Some(&config_map("a"))).await;
        assert_eq!((answer.status, started.elapsed().as_secs()), (500, 10));
        let message = answer.json()["message"].to_string();
        assert!(message.contains("/?timeout=10s\\\": context deadline exceeded"), "{message}");
    }

    #[tokio::test]
    async fn the_api_itself_can_be_busy() {
        let cluster = FakeApiserver::builder()
            .controllers(false)
            .fault("api,verb=create,resource=configmaps,user=admin,status=429,retry-after=7,times=1".parse().unwrap())
            .start()
            .await
            .unwrap();
        let answer = cluster.request(Method::POST, PATH, Some(&config_map("a"))).await;
        assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &"7".parse().unwrap()));
        assert_eq!(answer.json()["reason"], "TooManyRequests");
        assert_eq!(cluster.request(Method::POST, PATH, Some(&config_map("a"))).await.status, 201);
    }

    #[tokio::test]
    async fn an_old_version_shows_webhooks_what_it_showed_them() {
        for (version, api_version, has_null) in [
            ("1.15", "admission.k8s.io/v1beta1", true),
            ("1.20", "admission.k8s.io/v1", true),
            ("1.36", "admission.k8s.io/v1", false),
        ] {
            let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
            let reviews = seen.clone();
            let webhook = Webhook::start(move |review| {
                reviews.lock().unwrap().push(review.clone());
                json!({"uid": review["request"]["uid"], "allowed": true})
            })
            .await;
            let cluster = FakeApiserver::builder()
                .kubernetes_version(version.parse().unwrap())
                .object(webhook.configuration("c", "h.example.com", "configmaps"))
                .controllers(false)
                .start()
                .await
                .unwrap();
            assert_eq!(cluster.request(Method::POST, PATH, Some(&config_map("a"))).await.status, 201);
            let review = seen.lock().unwrap().pop().unwrap();
            assert_eq!(review["apiVersion"], api_version);
            let metadata = review["request"]["object"]["metadata"].as_object().unwrap();
            assert_eq!(metadata.get("creationTimestamp"), has_null.then_some(&Value::Null), "{version}");
            let minor = cluster.request(Method::GET, "/version", None).await.json()["minor"].clone();
            assert_eq!(format!("1.{}", minor.as_str().unwrap()), version);
        }
    }

    #[tokio::test]
    async fn the_api_of_the_old_days() {
        const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1beta1/mutatingwebhookconfigurations";
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let reviews = seen.clone();
        let webhook = Webhook::start(move |review| {
            reviews.lock().unwrap().push(review.clone());
            let patch = json!([{"op": "add", "path": "/metadata/annotations", "value": {"seen": "yes"}}]);
            json!({"uid": review["request"]["uid"], "allowed": true, "patch": super::webhook::base64(&patch.to_string()), "patchType": "JSONPatch"})
        })
        .await;
        let cluster = FakeApiserver::builder()
            .kubernetes_version("1.11".parse().unwrap())
            .controllers(false)
            .start()
            .await
            .unwrap();
        let groups = cluster.request(Method::GET, "/apis", None).await.json();
        let versions: Vec<&str> = groups["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|group| group["versions"].as_array().into_iter().flatten())
            .filter_map(|version| version["groupVersion"].as_str())
            .collect();
        assert!(versions.contains(&"admissionregistration.k8s.io/v1beta1"), "{versions:?}");
        assert!(!versions.contains(&"admissionregistration.k8s.io/v1"), "{versions:?}");
        let modern = webhook.configuration("c", "h.example.com", "deployments");
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1beta1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "c"},
            "webhooks": [{
                "name": "h.example.com", "clientConfig": modern["webhooks"][0]["clientConfig"], "timeoutSeconds": 3,
                "rules": [{"operations": ["CREATE"], "apiGroups": ["extensions"], "apiVersions": ["v1beta1"], "resources": ["deployments"]}],
            }],
        });
        let made = cluster.request(Method::POST, WEBHOOKS, Some(&configuration)).await;
        assert_eq!(made.status, 201, "{}", made.json());
        let hook = &made.json()["webhooks"][0];
        assert_eq!(
            [&hook["failurePolicy"], &hook["timeoutSeconds"], &hook["sideEffects"], &hook["admissionReviewVersions"]],
            [&json!("Ignore"), &json!(30), &json!("Unknown"), &json!(["v1beta1"])]
        );
        let modern = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
        assert_eq!(cluster.request(Method::GET, modern, None).await.status, 404);

        let deployment = json!({
            "apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "sleep"},
            "spec": {"template": {"metadata": {"labels": {"app": "sleep"}}, "spec": {"containers": [{"name": "sleep", "image": "tutum/curl"}]}}},
        });
        let path = "/apis/extensions/v1beta1/namespaces/default/deployments";
        let made = cluster.request(Method::POST, path, Some(&deployment)).await;
        assert_eq!(made.status, 201, "{}", made.json());
        let made = made.json();
        assert_eq!(
            (&made["apiVersion"], &made["spec"]["selector"]["matchLabels"]["app"]),
            (&json!("extensions/v1beta1"), &json!("sleep"))
        );
        assert_eq!(made["metadata"]["annotations"]["seen"], "yes");
        assert_eq!(made["spec"]["strategy"]["rollingUpdate"]["maxSurge"], 1);
        let review = seen.lock().unwrap().pop().unwrap();
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1beta1");
        let request = review["request"].as_object().unwrap();
        for field in ["dryRun", "options", "requestKind", "requestResource"] {
            assert!(!request.contains_key(field), "{field}");
        }
        assert_eq!(request["kind"], json!({"group": "extensions", "version": "v1beta1", "kind": "Deployment"}));
        assert_eq!(request["object"]["apiVersion"], "extensions/v1beta1");
        assert_eq!(request["object"]["metadata"].get("managedFields"), None);
        let now = cluster.request(Method::GET, "/apis/apps/v1/namespaces/default/deployments/sleep", None).await.json();
        assert_eq!((&now["apiVersion"], &now["spec"]["template"]), (&json!("apps/v1"), &made["spec"]["template"]));
        let patch = json!({"spec": {"replicas": 3}});
        let patched = cluster.request(Method::PATCH, &format!("{path}/sleep"), Some(&patch)).await.json();
        assert_eq!((&patched["apiVersion"], &patched["spec"]["replicas"]), (&json!("extensions/v1beta1"), &json!(3)));
        let applied = json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "sleep"}, "spec": {"minReadySeconds": 5}});
        let apply = |path: String, object: &Value| {
            http::Request::patch(format!("{path}?fieldManager=test&force=true"))
                .header("content-type", "application/apply-patch+yaml")
                .body(bytes::Bytes::from(object.to_string()))
                .unwrap()
        };
        let answer = cluster.exchange(apply(format!("{path}/sleep"), &applied)).await.json();
        assert_eq!(
            (&answer["apiVersion"], &answer["spec"]["minReadySeconds"]),
            (&json!("extensions/v1beta1"), &json!(5)),
            "{answer}"
        );
        for odd in [json!([]), json!("x"), json!({"spec": {"strategy": "x"}})] {
            assert_eq!(cluster.request(Method::POST, path, Some(&odd)).await.status, 400, "{odd}");
            assert_ne!(cluster.request(Method::POST, WEBHOOKS, Some(&odd)).await.status, 500, "{odd}");
        }
        let invalid = json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "a_b"}, "spec": {"template": {}}});
        assert_eq!(cluster.request(Method::POST, path, Some(&invalid)).await.status, 422);
    }

    #[tokio::test]
    async fn plugins_can_be_chosen() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
        let cluster = FakeApiserver::builder()
            .controllers(false)
            .disable_admission_plugins(["ServiceAccount", "DefaultTolerationSeconds"])
            .start()
            .await
            .unwrap();
        let made = cluster.create(pod).await.unwrap();
        assert_eq!((&made["spec"]["volumes"], &made["spec"]["tolerations"]), (&Value::Null, &Value::Null));
        let refused = FakeApiserver::builder().enable_admission_plugins(["Nope"]).start().await;
        assert!(matches!(refused, Err(Error::AdmissionPlugins(text)) if text.contains("\"Nope\" is unknown")));
    }
}

/// A webhook over TLS in this process, made of one function from a review to a response.
mod webhook {
    use std::sync::Arc;

    use apimachinery::value::{Value, json};
    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper_util::rt::TokioIo;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::net::TcpListener;

    pub(super) struct Webhook {
        port: u16,
        pem: String,
        task: tokio::task::JoinHandle<()>,
    }

    impl Drop for Webhook {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    pub(super) fn base64(text: &str) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    impl Webhook {
        pub(super) async fn start(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Webhook {
            let key = rcgen::KeyPair::generate().unwrap();
            let names = vec!["127.0.0.1".to_owned()];
            let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
                )
                .unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let answer = Arc::new(answer);
            let task = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (acceptor, answer) = (acceptor.clone(), answer.clone());
                    tokio::spawn(async move {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                            let answer = answer.clone();
                            async move {
                                let body = request.into_body().collect().await?.to_bytes();
                                let review: Value = serde_json::from_slice(&body).unwrap();
                                let reply = json!({
                                    "kind": "AdmissionReview", "apiVersion": review["apiVersion"],
                                    "response": answer(&review),
                                });
                                Ok::<_, hyper::Error>(hyper::Response::new(Full::new(Bytes::from(reply.to_string()))))
                            }
                        });
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            });
            Webhook { port, pem: certificate.pem(), task }
        }

        /// A MutatingWebhookConfiguration for CREATE of a core resource.
        pub(super) fn configuration(&self, name: &str, hook: &str, resource: &str) -> Value {
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": name},
                "webhooks": [{
                    "name": hook,
                    "clientConfig": {"url": format!("https://127.0.0.1:{}/", self.port), "caBundle": base64(&self.pem)},
                    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}],
                    "sideEffects": "None", "admissionReviewVersions": ["v1"],
                }],
            })
        }
    }
}
