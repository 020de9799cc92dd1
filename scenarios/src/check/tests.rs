//! Webhooks with faults, each named by the law that it breaks, over TLS.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use admission::review::{AdmissionReview, Response};
use apimachinery::value::{List, Value, json};

use super::*;
use crate::hook::{Answerer, Hook};
use crate::https::Trust;

/// Two CREATEs and one that is already an UPDATE, in either version.
fn log() -> String {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web", "tier": "front"}, "annotations": {"note": "x"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"}, "terminationGracePeriodSeconds": 5,
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "other", "emptyDir": {}}],
            "containers": [
                {"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}], "args": ["--x"],
                 "volumeMounts": [{"name": "data", "mountPath": "/data"}], "ports": [{"containerPort": 80}]},
                {"name": "helper", "image": "helper:1"},
            ],
        },
    });
    let mut small = pod.clone();
    small["metadata"] = json!({"generateName": "job-", "namespace": "data"});
    small["spec"] = json!({"containers": [{"name": "job", "image": "job:1"}]});
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    let review = |version: &str, operation: &str, object: &Value| {
        json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": {
            "uid": "u", "kind": kind, "resource": resource, "namespace": object["metadata"]["namespace"], "operation": operation,
            "object": object, "oldObject": if operation == "UPDATE" { object.clone() } else { Value::Null },
            "dryRun": false, "userInfo": {},
        }})
    };
    [review("v1", "CREATE", &pod), review("v1beta1", "CREATE", &small), review("v1", "UPDATE", &pod)]
        .map(|review| review.to_string() + "\n")
        .concat()
}

/// What a webhook makes of a pod: a patch as a list of operations.
type Mutate = fn(&Value) -> Value;

/// A well-behaved frame around a mutation.
fn frame(mutate: Mutate) -> Answerer {
    Answerer::Function(Arc::new(move |body| {
        let Ok(review) = AdmissionReview::decode(body) else { return None };
        let mut response = Response::allow(&*review.request.uid);
        if let Some(object) = review.request.object.filter(|_| &*review.request.operation == "CREATE") {
            let object: Value = serde_json::from_str(object.get()).ok()?;
            if !object["spec"]["containers"].is_array() {
                return None;
            }
            response.patch = Some(mutate(&object).to_string().into_bytes()).filter(|patch| patch != b"[]");
        }
        Some(response.encode(review.version))
    }))
}

async fn checked(answerer: Answerer, with: impl FnOnce(Check) -> Check) -> Checked {
    let hook = Hook::new(&("a".into(), "b".into(), 443), answerer).unwrap();
    let url = format!("https://{}/mutate", hook.listen().await.unwrap());
    let endpoint = Endpoint::new(&url, &Trust::Pem(hook.ca_pem().into()), Duration::from_secs(30)).unwrap();
    let log = log();
    let records = capture::Reader::new(std::io::Cursor::new(log.into_bytes())).unwrap();
    let checked = with(Check::new("model", endpoint)).run(records).await.unwrap();
    assert_eq!((checked.read, checked.unreadable), (3, 0), "{:?}", checked.problems);
    checked
}

fn broken(checked: &Checked) -> Vec<&str> {
    checked.broken().map(|law| &*law.name).collect()
}

fn finding<'a>(checked: &'a Checked, name: &str) -> &'a Finding {
    checked.laws.iter().find(|law| law.name == name).unwrap().finding.as_ref().unwrap()
}

fn careful(object: &Value) -> Value {
    let there = object["spec"]["containers"].as_array().unwrap().iter().any(|container| container["name"] == "sidecar");
    if there {
        json!([])
    } else {
        json!([{"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "s"}}])
    }
}

#[tokio::test]
async fn a_careful_webhook_keeps_every_law() {
    let checked = checked(frame(careful), |check| check).await;
    assert!(checked.is_ok(), "{checked}");
    assert_eq!(checked.laws.len(), LAWS.len());
    assert!(checked.laws.iter().all(|law| law.verdict == LawVerdict::Holds), "{checked}");
}

#[tokio::test]
async fn a_webhook_that_prepends_each_time_is_not_idempotent() {
    let prepend: Mutate =
        |_| json!([{"op": "add", "path": "/spec/containers/0", "value": {"name": "sidecar", "image": "s"}}]);
    let checked = checked(frame(prepend), |check| check).await;
    assert_eq!(broken(&checked), ["idempotent"], "{checked}");
    let found = finding(&checked, "idempotent");
    assert!(found.evidence[0].starts_with("spec.containers[sidecar]: added"), "{:?}", found.evidence);
    // Nothing is left of the pod but what makes it one.
    let object = &found.minimal["request"]["object"];
    assert_eq!(object["spec"], json!({"containers": [{"name": "job", "image": "job:1"}]}), "{object}");
    assert!(checked.to_string().lines().all(|line| line.chars().count() <= 80), "{checked}");
}

/// Knows a few fields of a pod, and writes back what it knows.
fn typed(object: &Value) -> Value {
    let only = |value: &Value, keys: &[&str]| -> Value {
        let kept = keys.iter().filter_map(|key| Some(((*key).to_owned(), value.get(*key)?.clone())));
        Value::Object(kept.collect())
    };
    let items = object["spec"]["containers"].as_array().unwrap();
    let mut containers: Vec<Value> = items
        .iter()
        .filter(|container| container["name"] != "sidecar")
        .map(|item| only(item, &["name", "image", "args", "volumeMounts", "env"]))
        .collect();
    containers.push(json!({"name": "sidecar", "image": "s"}));
    json!([{"op": "replace", "path": "/spec/containers", "value": containers}])
}

#[tokio::test]
async fn a_typed_round_trip_drops_fields_and_is_told_which() {
    let checked = checked(frame(typed), |check| check).await;
    assert_eq!(broken(&checked), ["ownership", "unknown-fields"], "{checked}");
    assert!(finding(&checked, "unknown-fields").evidence.iter().any(|line| line.contains("towtankPlanted: removed")));
    let found = finding(&checked, "ownership");
    assert_eq!(found.review, "shop/web");
    assert_eq!(found.evidence, [r#"spec.containers[app].ports: removed, was [{"containerPort":80}]"#]);
    let object = &found.minimal["request"]["object"];
    assert_eq!(
        object["spec"]["containers"],
        json!([{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}]),
        "the ports, and what a container needs"
    );
    assert!(found.bytes.1 * 2 < found.bytes.0 && found.tests <= shrink::BUDGET, "{found:?}");
    let allowed = self::checked(frame(typed), |check| check.owns(["spec.containers[*].ports"]).unwrap()).await;
    assert_eq!(broken(&allowed), ["unknown-fields"]);
}

#[tokio::test]
async fn chance_is_noticed() {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let random: Mutate = |object| {
        let id = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
        let there = !object["spec"]["nodeName"].is_null();
        if there { json!([]) } else { json!([{"op": "add", "path": "/spec/nodeName", "value": id}]) }
    };
    let checked = checked(frame(random), |check| check).await;
    // Whatever compares two answers sees it.
    assert_eq!(broken(&checked), ["deterministic", "dry-run", "commutes"], "{checked}");
    assert!(finding(&checked, "deterministic").evidence[0].starts_with("spec.nodeName: "));
}

#[tokio::test]
async fn every_other_fault_has_its_law() {
    let law = async |name: &str, answerer: Answerer| {
        let checked = checked(answerer, |check| check.only([name]).unwrap()).await;
        assert_eq!(broken(&checked), [name], "{checked}");
        checked.broken().next().unwrap().finding.clone().unwrap().evidence.join("\n")
    };
    let function = |answer: fn(&Value) -> Option<Value>| {
        Answerer::Function(Arc::new(move |body| {
            Some(answer(&serde_json::from_slice(body).ok()?)?.to_string().into_bytes())
        }))
    };
    let allow = |review: &Value, uid: Value| json!({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": {"uid": uid, "allowed": true}});
    let text = law("answers", function(|review| (review["request"]["operation"] == "CREATE").then(|| json!({})))).await;
    assert_eq!(text, "the answer has no response");
    let text = law("echo", function(|_| Some(json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {"uid": "u", "allowed": true}})))).await;
    assert!(text.contains("the answer is for uid \"u\""), "{text}");
    let text = law("patch-applies", frame(|_| json!([{"op": "add", "path": "/spec/none/0", "value": 1}]))).await;
    assert!(text.starts_with("the patch does not apply: "), "{text}");
    let text = law(
        "duplicates",
        frame(|object| {
            let first = &object["spec"]["containers"][0];
            json!([{"op": "add", "path": "/spec/initContainers", "value": [first]}])
        }),
    )
    .await;
    assert!(text.contains("in containers and initContainers: is there 2 times"), "{text}");
    let text = law("dry-run", function(|review| {
        let dry = review["request"]["dryRun"] == true;
        Some(json!({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": {"uid": review["request"]["uid"], "allowed": !dry}}))
    })).await;
    assert!(text.starts_with("allowed, but denied on a dry run"), "{text}");
    let text = law("operations", function(|review| {
        review["request"]["object"].is_object().then(|| json!({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": {"uid": review["request"]["uid"], "allowed": true}}))
    })).await;
    assert!(text.starts_with("DELETE: HTTP 500"), "{text}");
    let text = law(
        "malformed",
        Answerer::Function(Arc::new(move |body| {
            // A connection task that panics answers nobody.
            let review: Value = serde_json::from_slice(body).expect("always a review");
            Some(allow(&review, review["request"]["uid"].clone()).to_string().into_bytes())
        })),
    )
    .await;
    assert!(text.contains("empty body: request to"), "{text}");
    let text = law(
        "commutes",
        frame(|object| {
            let volumes = object["spec"]["volumes"].as_array().map_or(0, List::len).to_string();
            json!([{"op": "add", "path": "/spec/schedulerName", "value": volumes}])
        }),
    )
    .await;
    assert!(text.starts_with("spec.schedulerName: "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn late_answers_are_measured_against_the_requests_own_timeout() {
    let hook = Hook::new(&("a".into(), "b".into(), 443), frame(careful)).unwrap();
    let url = format!("https://{}/mutate", hook.listen().await.unwrap());
    let endpoint = Endpoint::new(&url, &Trust::Pem(hook.ca_pem().into()), Duration::from_secs(30)).unwrap();
    hook.fault(crate::scenario::FaultKind::Delay(Duration::from_secs(6)), None);
    let line = json!({"query": "timeout=5s", "body": log().lines().next().unwrap()}).to_string() + "\n";
    let records = capture::Reader::new(std::io::Cursor::new(line.into_bytes())).unwrap();
    let checked = Check::new("late", endpoint).only(["timeout"]).unwrap().shrink(false).run(records).await.unwrap();
    assert_eq!(broken(&checked), ["timeout"]);
    assert!(finding(&checked, "timeout").evidence[0].ends_with("the limit was 5.0s"), "{checked}");
}

#[tokio::test]
async fn nobody_there_is_an_error_and_an_unknown_law_is_one() {
    let endpoint = Endpoint::new("https://127.0.0.1:1", &Trust::Anyone, Duration::from_secs(30)).unwrap();
    let records = || capture::Reader::new(std::io::Cursor::new(log().into_bytes())).unwrap();
    let error = Check::new("x", endpoint.clone()).run(records()).await.err().unwrap();
    assert!(error.to_string().starts_with("cannot connect to"), "{error}");
    let error = Check::new("x", endpoint).only(["nice"]).err().unwrap();
    assert!(error.to_string().starts_with("there is no law \"nice\"; the laws are answers, echo,"), "{error}");
}

#[test]
fn a_result_survives_as_json() {
    let checked = Checked {
        laws: vec![LawResult { finding: Some(Finding::default()), ..LawResult::default() }],
        ..Checked::default()
    };
    let text = serde_json::to_string(&checked).unwrap();
    assert_eq!(serde_json::from_str::<Checked>(&text).unwrap(), checked);
}
