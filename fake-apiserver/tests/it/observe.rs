//! What a cluster tells of itself: metrics, the audit log, the trace.

use fake_apiserver::FakeApiserver;
use http::Method;
use serde_json::{Value, json};

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
