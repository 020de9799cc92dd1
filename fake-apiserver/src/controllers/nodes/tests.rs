//! Pods on simulated nodes, in virtual time.

use std::time::Duration;

use apimachinery::value::{List, Value, json};
use http::Method;

use crate::FakeApiserver;

async fn cluster(nodes: u32) -> FakeApiserver {
    FakeApiserver::builder().nodes(nodes).namespace("shop", []).start().await.unwrap()
}

fn pod(name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "shop" }, "spec": spec })
}

async fn get(cluster: &FakeApiserver, path: &str) -> Value {
    cluster.request(Method::GET, path, None).await.json()
}

/// Waits, in virtual time, until an object is as wanted.
async fn until(cluster: &FakeApiserver, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2000 {
        let object = get(cluster, path).await;
        if wanted(&object) {
            return object;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("{path}: {}", get(cluster, path).await);
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().map_or(&[][..], List::as_slice);
    conditions.iter().find(|one| one["type"] == kind).and_then(|one| one["status"].as_str()).unwrap_or_default()
}

const POD: &str = "/api/v1/namespaces/shop/pods/web";

#[tokio::test(start_paused = true)]
async fn a_pod_is_scheduled_runs_and_goes() {
    let cluster = cluster(2).await;
    cluster.create(pod("web", json!({ "containers": [{ "name": "app", "image": "nginx" }] }))).await.unwrap();
    let running = until(&cluster, POD, |pod| condition(pod, "Ready") == "True").await;
    assert_eq!(running["status"]["phase"], "Running");
    assert!(running["spec"]["nodeName"].as_str().unwrap().starts_with("node-"));
    assert_eq!(running["status"]["containerStatuses"][0]["image"], "docker.io/library/nginx:latest");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = get(&cluster, "/api/v1/namespaces/shop/events").await;
    let reasons: Vec<&str> =
        events["items"].as_array().unwrap().iter().map(|event| event["reason"].as_str().unwrap()).collect();
    for reason in ["Scheduled", "Pulled", "Created", "Started"] {
        assert!(reasons.contains(&reason), "{reasons:?}");
    }
    cluster.request(Method::DELETE, POD, None).await;
    until(&cluster, POD, |pod| pod["code"] == 404).await;
}

#[tokio::test(start_paused = true)]
async fn a_deployment_rolls_out_by_itself() {
    let cluster = cluster(3).await;
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
        "spec": {
            "replicas": 4, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "app", "image": "a:1", "readinessProbe": { "tcpSocket": { "port": 1 }, "initialDelaySeconds": 5 } }] },
            },
        },
    });
    cluster.create(deployment).await.unwrap();
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    until(&cluster, path, |one| one["status"]["availableReplicas"] == 4).await;
    let image = json!({ "spec": { "template": { "metadata": { "annotations": { "v": "2" } } } } });
    cluster.request(Method::PATCH, path, Some(&image)).await;
    until(&cluster, path, |one| {
        one["status"]["updatedReplicas"] == 4
            && one["status"]["replicas"] == 4
            && one["status"]["availableReplicas"] == 4
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_job_completes_and_what_does_not_fit_waits() {
    let cluster = cluster(1).await;
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "template": { "spec": {
            "restartPolicy": "Never",
            "containers": [{ "name": "job", "image": "busybox", "command": ["sh", "-c", "echo working; sleep 30"] }],
        } } },
    });
    cluster.create(job).await.unwrap();
    until(&cluster, "/apis/batch/v1/namespaces/shop/jobs/web", |job| job["status"]["succeeded"] == 1).await;
    let greedy =
        json!({ "containers": [{ "name": "app", "image": "a", "resources": { "requests": { "cpu": "64" } } }] });
    cluster.create(pod("web", greedy)).await.unwrap();
    let pending = until(&cluster, POD, |pod| condition(pod, "PodScheduled") == "False").await;
    let message = pending["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_stopped_is_emptied_and_comes_back() {
    let cluster = cluster(1).await;
    cluster.create(pod("web", json!({ "containers": [{ "name": "app", "image": "nginx" }] }))).await.unwrap();
    until(&cluster, POD, |pod| condition(pod, "Ready") == "True").await;
    let node = "/api/v1/nodes/node-1";
    let stop = |stopped: Value| json!({ "metadata": { "annotations": { super::STOPPED: stopped } } });
    cluster.request(Method::PATCH, node, Some(&stop("true".into()))).await;
    until(&cluster, node, |node| condition(node, "Ready") == "Unknown").await;
    until(&cluster, POD, |pod| condition(pod, "Ready") == "False").await;
    until(&cluster, POD, |pod| pod["metadata"]["deletionTimestamp"].is_string()).await;
    cluster.request(Method::PATCH, node, Some(&stop(Value::Null))).await;
    until(&cluster, node, |node| condition(node, "Ready") == "True" && node["spec"]["taints"].is_null()).await;
    until(&cluster, POD, |pod| pod["code"] == 404).await;
}
