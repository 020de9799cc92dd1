//! Whole clusters in virtual time: workloads in, pods out.

use std::time::Duration;

use apimachinery::value::{Value, json};
use http::Method;

use crate::FakeApiserver;

async fn cluster() -> FakeApiserver {
    FakeApiserver::builder().namespace("shop", [("team", "a")]).start().await.unwrap()
}

fn workload(api_version: &str, kind: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({ "matchLabels": { "app": "web" } });
    spec["template"]["metadata"] = json!({ "labels": { "app": "web" } });
    if spec["template"]["spec"].is_null() {
        spec["template"]["spec"] = json!({});
    }
    spec["template"]["spec"]["containers"] = json!([{ "name": "app", "image": "registry.example.com/app:1" }]);
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "web", "namespace": "shop" }, "spec": spec })
}

async fn list(cluster: &FakeApiserver, path: &str) -> Vec<Value> {
    let answer = cluster.request(Method::GET, path, None).await.json();
    answer["items"].as_array().cloned().unwrap_or_default().into()
}

const PODS: &str = "/api/v1/namespaces/shop/pods";
const EVENTS: &str = "/api/v1/namespaces/shop/events";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

/// Waits, in virtual time, until a list has so many items.
async fn until(cluster: &FakeApiserver, path: &str, count: usize) -> Vec<Value> {
    for _ in 0..600 {
        let items = list(cluster, path).await;
        if items.len() == count {
            return items;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path}: {} items instead of {count}", list(cluster, path).await.len());
}

#[tokio::test(start_paused = true)]
async fn a_deployment_makes_pods_and_takes_them_along() {
    let cluster = cluster().await;
    cluster.create(workload("apps/v1", "Deployment", json!({ "replicas": 3 }))).await.unwrap();
    let pods = until(&cluster, PODS, 3).await;
    let set = &until(&cluster, REPLICA_SETS, 1).await[0];
    for pod in &pods {
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], set["metadata"]["labels"]["pod-template-hash"]);
    }
    cluster.request(Method::PATCH, DEPLOYMENT, Some(&json!({ "spec": { "replicas": 5 } }))).await;
    until(&cluster, PODS, 5).await;
    cluster.request(Method::DELETE, DEPLOYMENT, None).await;
    until(&cluster, PODS, 0).await;
    until(&cluster, REPLICA_SETS, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_template_rolls_out_as_pods_become_ready() {
    let cluster = cluster().await;
    cluster.create(workload("apps/v1", "Deployment", json!({ "replicas": 2 }))).await.unwrap();
    let make_ready = async || {
        for pod in list(&cluster, PODS).await {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let status = json!({ "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            ]}});
            cluster.request(Method::PATCH, &format!("{PODS}/{name}/status"), Some(&status)).await;
        }
    };
    until(&cluster, PODS, 2).await;
    make_ready().await;
    let image = json!({ "spec": { "template": { "metadata": { "annotations": { "version": "2" } } } } });
    cluster.request(Method::PATCH, DEPLOYMENT, Some(&image)).await;
    let mut most = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        make_ready().await;
        most = most.max(list(&cluster, PODS).await.len());
    }
    assert_eq!(most, 3, "one above the two wanted: 25% rounded up");
    let pods = list(&cluster, PODS).await;
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["metadata"]["annotations"]["version"] == "2"));
    let deployment = cluster.request(Method::GET, DEPLOYMENT, None).await.json();
    assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    let conditions = deployment["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|condition| condition["reason"] == "NewReplicaSetAvailable"), "{conditions:?}");
}

#[tokio::test(start_paused = true)]
async fn refused_pods_are_tried_again_and_counted_in_one_event() {
    let cluster = cluster().await;
    let spec = json!({ "replicas": 2, "template": { "spec": { "serviceAccountName": "late" } } });
    cluster.create(workload("apps/v1", "ReplicaSet", spec)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let events = list(&cluster, EVENTS).await;
    let refused: Vec<_> = events.iter().filter(|event| event["reason"] == "FailedCreate").collect();
    assert_eq!(refused.len(), 1, "{events:#?}");
    // 5 ms doubling: eight tries in the first 1.3 seconds, and one more after the condition was written
    let count = refused[0]["count"].as_i64().unwrap();
    assert!((8..=11).contains(&count), "{count}");
    let set = &list(&cluster, REPLICA_SETS).await[0];
    assert_eq!(set["status"]["conditions"][0]["type"], "ReplicaFailure");
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "late", "namespace": "shop" } });
    cluster.create(account).await.unwrap();
    until(&cluster, PODS, 2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(list(&cluster, REPLICA_SETS).await[0]["status"]["conditions"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_everything_along() {
    let cluster = cluster().await;
    let spec = json!({ "replicas": 2, "serviceName": "web", "podManagementPolicy": "Parallel" });
    cluster.create(workload("apps/v1", "StatefulSet", spec)).await.unwrap();
    until(&cluster, PODS, 2).await;
    cluster.request(Method::DELETE, "/api/v1/namespaces/shop", None).await;
    until(&cluster, PODS, 0).await;
    for _ in 0..600 {
        if cluster.request(Method::GET, "/api/v1/namespaces/shop", None).await.status == 404 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the namespace is still there");
}

/// Waits, in virtual time, until a part of an object is as wanted.
async fn until_is(cluster: &FakeApiserver, path: &str, pointer: &str, wanted: Value) {
    for _ in 0..600 {
        let object = cluster.request(Method::GET, path, None).await.json();
        if object.pointer(pointer).unwrap_or(&Value::Null) == &wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} {pointer}: {:#}", cluster.request(Method::GET, path, None).await.json());
}

#[tokio::test(start_paused = true)]
async fn a_quota_says_what_is_used() {
    let cluster = cluster().await;
    let hard = json!({ "pods": "5", "requests.cpu": "2", "limits.memory": "1Gi", "count/deployments.apps": "3", "configmaps": "10" });
    let quota = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "q", "namespace": "shop" }, "spec": { "hard": hard } });
    cluster.create(quota).await.unwrap();
    let path = "/api/v1/namespaces/shop/resourcequotas/q";
    until_is(&cluster, path, "/status/used/pods", "0".into()).await;
    let mut deployment = workload("apps/v1", "Deployment", json!({ "replicas": 2 }));
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({ "requests": { "cpu": "250m" }, "limits": { "cpu": "1", "memory": "256Mi" } });
    cluster.create(deployment).await.unwrap();
    let used = json!({ "pods": "2", "requests.cpu": "500m", "limits.memory": "512Mi", "count/deployments.apps": "1", "configmaps": "1" });
    until_is(&cluster, path, "/status/used", used).await;
    until_is(&cluster, path, "/status/hard", hard).await;
    cluster.request(Method::DELETE, DEPLOYMENT, None).await;
    until_is(&cluster, path, "/status/used/pods", "0".into()).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_role_collects_the_rules_of_others() {
    let cluster = cluster().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let role = |name: &str, labels: Value, rules: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name, "labels": labels }, "rules": rules,
        })
    };
    let rule = |resource: &str| json!({ "apiGroups": ["example.com"], "resources": [resource], "verbs": ["get"] });
    let before = cluster.request(Method::GET, &format!("{roles}/view"), None).await.json();
    let label = json!({ "rbac.authorization.k8s.io/aggregate-to-view": "true" });
    cluster.create(role("widgets", label, json!([rule("widgets")]))).await.unwrap();
    let count = before["rules"].as_array().unwrap().len();
    // By name: after those of the system's roles.
    for collector in ["view", "edit", "admin"] {
        let path = format!("{roles}/{collector}");
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let rules = cluster.request(Method::GET, &path, None).await.json()["rules"].clone();
        assert!(rules.as_array().unwrap().contains(&rule("widgets")), "{collector}: {rules:#}");
    }
    until_is(&cluster, &format!("{roles}/view"), &format!("/rules/{count}"), rule("widgets")).await;
    let mut own = role("own", json!({}), Value::Null);
    own["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": { "to": "own" } }] });
    cluster.create(own).await.unwrap();
    cluster.create(role("b", json!({ "to": "own" }), json!([rule("b"), rule("a")]))).await.unwrap();
    cluster.create(role("a", json!({ "to": "own" }), json!([rule("a")]))).await.unwrap();
    until_is(&cluster, &format!("{roles}/own"), "/rules", json!([rule("a"), rule("b")])).await;
    cluster.request(Method::DELETE, &format!("{roles}/b"), None).await;
    until_is(&cluster, &format!("{roles}/own"), "/rules", json!([rule("a")])).await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_set_whose_pods_are_always_refused_does_not_run_away() {
    let cluster = cluster().await;
    let spec = json!({ "replicas": 500, "template": { "spec": { "serviceAccountName": "never" } } });
    cluster.create(workload("apps/v1", "ReplicaSet", spec)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let events = list(&cluster, EVENTS).await;
    let refused: i64 =
        events.iter().filter(|one| one["reason"] == "FailedCreate").filter_map(|one| one["count"].as_i64()).sum();
    // One try each time, 5 ms doubling up to 1000 s: some twenty in an hour, not 500 at each.
    assert!((15..=40).contains(&refused), "{refused}");
    assert_eq!(list(&cluster, PODS).await.len(), 0);
}
