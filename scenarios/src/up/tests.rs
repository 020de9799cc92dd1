use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::*;

async fn get(up: &Up, path: &str) -> Value {
    up.cluster.request(Method::GET, path, None).await.json()
}

/// Asks until an answer is as wanted; what is waited for is work of other tasks.
async fn until(up: &Up, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1000 {
        let found = get(up, path).await;
        if wanted(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path}: {}", get(up, path).await);
}

const POD: &str = "/api/v1/namespaces/default/pods/web";
const INJECTORS: &str = "/api/v1/namespaces/istio-system/pods";

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "namespace": "default" },
        "spec": { "containers": [{ "name": "app", "image": "nginx" }] },
    })
}

#[tokio::test]
async fn the_injector_is_a_part_of_the_cluster() {
    let settings = injector::boxed::MODERN.settings();
    let up = start(Options { nodes: 1, injector: Some(settings), ..Options::default() }).await.unwrap();
    let label = json!({ "metadata": { "labels": { "istio-injection": "enabled" } } });
    up.cluster.request(Method::PATCH, "/api/v1/namespaces/default", Some(&label)).await;
    up.cluster.create(pod()).await.unwrap();
    let running = until(&up, POD, |pod| pod["status"]["phase"] == "Running").await;
    let containers: Vec<_> =
        running["spec"]["containers"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert!(containers.contains(&json!("istio-proxy")), "{containers:?}");
    let pods = until(&up, INJECTORS, |pods| pods["items"][0]["status"]["phase"] == "Running").await;
    let log = format!("{INJECTORS}/{}/log", pods["items"][0]["metadata"]["name"].as_str().unwrap());
    let log = up.cluster.request(Method::GET, &log, None).await.body;
    let log = String::from_utf8(log.to_vec()).unwrap();
    assert!(log.contains("pod=\"default/web\" outcome=\"injected\""), "{log}");
}

#[tokio::test]
async fn a_cluster_in_a_file_is_the_same_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("web.yaml");
    std::fs::write(&manifest, apimachinery::yaml::to_string(&pod())).unwrap();
    let up = start(Options { nodes: 1, ..Options::default() }).await.unwrap();
    let applied = apply(&up.cluster, directory.path()).await.unwrap();
    assert_eq!(applied, [Applied { object: "pod/web".to_owned(), outcome: Ok("created") }]);
    let before = until(&up, POD, |pod| pod["status"]["phase"] == "Running").await;
    for name in ["cluster.yaml", "cluster.json"] {
        let file = directory.path().join(name);
        save(&up.cluster, &file).unwrap();
        let from = read_objects(&file).unwrap();
        let again = start(Options { nodes: 1, from, ..Options::default() }).await.unwrap();
        let after = get(&again, POD).await;
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(after["spec"], before["spec"]);
        assert_eq!(after["status"]["podIP"], before["status"]["podIP"]);
    }
    std::fs::write(&manifest, "kind: Pod\napiVersion: v1\nmetadata: {name: web}\nspec: {containers: 7}\n").unwrap();
    let refused = apply(&up.cluster, &manifest).await.unwrap();
    assert!(refused[0].outcome.is_err());
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.yaml");
    write_private(&file, b"one").unwrap();
    assert!(write_private(&directory.path().join("no/such/place"), b"two").is_err());
    write_private(&file, b"three").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"three");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
