use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;

use super::*;
use crate::cluster::{Login, Remote};
use crate::up::{self, Up};

/// A cluster with the injector in it, and the way of a kubeconfig to it.
async fn cluster() -> (Up, Remote) {
    let settings = injector::boxed::MODERN.settings();
    let up = up::start(up::Options { nodes: 1, injector: Some(settings), ..up::Options::default() }).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kubeconfig");
    up::write_private(&file, up.cluster.kubeconfig().as_bytes()).unwrap();
    let api = Remote::new(&Login::read(&file, None).unwrap()).unwrap();
    (up, api)
}

const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector";
const CONFIG_MAP: &str = "/api/v1/namespaces/istio-system/configmaps/istio-sidecar-injector";

async fn change(up: &Up, path: &str, patch: Value) {
    let answer = up.cluster.request(Method::PATCH, path, Some(&patch)).await;
    assert!(answer.status < 300, "{path}: {}", answer.json());
}

async fn patch_webhooks(up: &Up, patch: Value) {
    let request = http::Request::patch(CONFIGURATION)
        .header("content-type", "application/json-patch+json")
        .body(bytes::Bytes::from(patch.to_string()))
        .unwrap();
    assert_eq!(up.cluster.exchange(request).await.status, 200);
}

async fn ready(up: &Up) {
    loop {
        let pods = up.cluster.request(Method::GET, "/api/v1/namespaces/istio-system/pods", None).await.json();
        let slices = "/apis/discovery.k8s.io/v1/namespaces/istio-system/endpointslices";
        let slices = up.cluster.request(Method::GET, slices, None).await.json();
        if pods["items"][0]["status"]["phase"] == "Running"
            && slices["items"][0]["endpoints"][0]["conditions"]["ready"] == true
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn look(api: &Remote) -> Vec<Finding> {
    examine(api, &Options { namespace: None, now: Clock::system().now() }).await
}

/// The finding about a subject that says this.
fn find<'a>(findings: &'a [Finding], level: Level, subject: &str, found: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.level == level && finding.subject.contains(subject) && finding.found.contains(found))
        .unwrap_or_else(|| panic!("no {} about {subject} with {found:?} in {findings:#?}", level.word()))
}

#[tokio::test]
async fn a_cluster_that_is_well() {
    let (up, api) = cluster().await;
    ready(&up).await;
    change(&up, "/api/v1/namespaces/default", json!({ "metadata": { "labels": { "istio-injection": "enabled" } } }))
        .await;
    let findings = look(&api).await;
    let problems: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Problem).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    find(&findings, Level::Ok, "admissionregistration.k8s.io", "v1");
    find(&findings, Level::Ok, "namespaces", "1 of");
    find(&findings, Level::Ok, "a pod tried in default", "istio-proxy");
    find(&findings, Level::Ok, "configmap istio-system/istio-sidecar-injector", "loads");
    find(&findings, Level::Warning, "service istio-system/istio-sidecar-injector", "one ready endpoint");
    find(&findings, Level::Ok, "events", "");
    let pods = up.cluster.request(Method::GET, "/api/v1/namespaces/default/pods", None).await.json();
    assert_eq!(pods["items"], json!([]), "the pod that was tried is not there");
}

#[tokio::test]
async fn pods_from_before_the_label_are_found() {
    let (up, api) = cluster().await;
    ready(&up).await;
    let pod = |name: &str, host_network: bool| {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" },
            "spec": { "hostNetwork": host_network, "containers": [{ "name": "app", "image": "nginx" }] } })
    };
    up.cluster.create(pod("early", false)).await.unwrap();
    up.cluster.create(pod("host", true)).await.unwrap();
    change(&up, "/api/v1/namespaces/default", json!({ "metadata": { "labels": { "istio-injection": "enabled" } } }))
        .await;
    up.cluster.create(pod("late", false)).await.unwrap();
    let findings = look(&api).await;
    find(&findings, Level::Warning, "pods in default", "such as early");
    find(&findings, Level::Ok, "pods", "1 with a sidecar");
}

#[tokio::test]
async fn what_is_broken_is_named() {
    let (up, api) = cluster().await;
    ready(&up).await;
    for (name, labels) in [
        ("typo", json!({ "istio-injection": "enable" })),
        ("canary", json!({ "istio.io/rev": "canary" })),
        ("both", json!({ "istio-injection": "enabled", "istio.io/rev": "default" })),
    ] {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        up.cluster.create(namespace).await.unwrap();
    }
    let mut parameters = rcgen::CertificateParams::new(["ca.example".to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let expired = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let bundle = STANDARD.encode(expired.pem());
    let patch = json!([
        { "op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle },
        { "op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore" },
        { "op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 30 },
    ]);
    patch_webhooks(&up, patch).await;
    change(
        &up,
        CONFIG_MAP,
        json!({ "data": { "config": "policy: enabled\ntemplates: {sidecar: '{{ nonsense }}'}\n" } }),
    )
    .await;
    let findings = look(&api).await;
    find(&findings, Level::Problem, "namespace typo", "\"enable\"");
    find(&findings, Level::Problem, "namespace canary", "istio.io/rev=canary");
    find(&findings, Level::Warning, "namespace both", "the first wins");
    find(&findings, Level::Problem, "webhook istio-sidecar-injector/", "expired at 2002-01-01");
    find(&findings, Level::Warning, "webhook istio-sidecar-injector/", "failurePolicy Ignore");
    find(&findings, Level::Warning, "webhook istio-sidecar-injector/", "timeoutSeconds 30");
    find(&findings, Level::Problem, "configmap istio-system/istio-sidecar-injector", "nonsense");
    find(&findings, Level::Problem, "a pod tried in both", "without a sidecar");
}

#[tokio::test]
async fn a_service_that_is_gone_and_pods_that_were_refused_for_it() {
    let (up, api) = cluster().await;
    ready(&up).await;
    change(&up, "/api/v1/namespaces/default", json!({ "metadata": { "labels": { "istio-injection": "enabled" } } }))
        .await;
    let patch = json!([{ "op": "replace", "path": "/webhooks/0/clientConfig/service/name", "value": "gone" }]);
    patch_webhooks(&up, patch).await;
    let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": { "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "app", "image": "nginx" }] } } } });
    up.cluster.create(deployment).await.unwrap();
    let findings = loop {
        let findings = look(&api).await;
        if findings.iter().any(|finding| finding.subject.starts_with("ReplicaSet web-")) {
            break findings;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    find(&findings, Level::Problem, "service istio-system/gone", "does not exist");
    let tried = find(&findings, Level::Problem, "a pod tried in default", "is refused");
    assert!(tried.remedy.contains("service does not exist"), "{tried:?}");
    find(&findings, Level::Problem, "ReplicaSet web-", "were refused");
}

#[tokio::test]
async fn no_injector_and_no_cluster() {
    let (up, api) = cluster().await;
    up.cluster.request(Method::DELETE, CONFIGURATION, None).await;
    let findings = look(&api).await;
    find(&findings, Level::Problem, "webhook configurations", "no pod gets a sidecar");
    drop(up);
    let findings = look(&api).await;
    assert_eq!(findings.len(), 1);
    find(&findings, Level::Problem, "apiserver", "does not answer");
}
