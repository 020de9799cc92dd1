//! A thousand clusters in one process, fifty at a time: each starts, takes a pod through a webhook over TLS and TCP, and is
//! dropped. What they took is given back: sockets, tasks, memory. A binary of its own, since it looks at the whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use apimachinery::value::{Value, json};
use fake_apiserver::FakeApiserver;
use futures_util::future::join_all;
use support::{Webhook, ca_bundle, patch};

const CLUSTERS: usize = 1_000;
const AT_ONCE: usize = 50;
/// Bytes by which the process may have grown over the last 800 clusters: allocators keep some. A cluster holds about 1 MB.
const GROWTH: usize = 16 << 20;

fn configuration(port: u16) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "m"},
        "webhooks": [{
            "name": "h.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/h"), "caBundle": ca_bundle()},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    })
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Until what was dropped is gone: a few turns of the runtime.
async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_thousand_clusters_leave_nothing_behind() {
    let webhook =
        Webhook::new(|_, _| patch(&json!([{"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}])));
    let port = webhook.listen().await.port();
    let before = (open_files(), tasks());
    let mut memory = Vec::new();
    for _ in 0..CLUSTERS / AT_ONCE {
        let clusters =
            join_all((0..AT_ONCE).map(|_| FakeApiserver::builder().object(configuration(port)).start())).await;
        let pods = clusters.iter().map(|cluster| async move {
            let spec = json!({"containers": [{"name": "app", "image": "x"}]});
            let meta = json!({"name": "web", "namespace": "default"});
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec});
            cluster.as_ref().unwrap().create(pod).await.unwrap()
        });
        for pod in join_all(pods).await {
            assert_eq!(pod["metadata"]["labels"]["seen"], "yes");
        }
        assert!(open_files() >= before.0 + AT_ONCE, "a cluster listens");
        drop(clusters);
        until(|| open_files() <= before.0 && tasks() <= before.1).await;
        assert_eq!((open_files(), tasks()), before, "sockets and tasks");
        memory.push(resident());
    }
    let (early, late) = (memory[200 / AT_ONCE - 1], memory[CLUSTERS / AT_ONCE - 1]);
    assert!(late < early + GROWTH, "{early} bytes after 200 clusters, {late} after {CLUSTERS}: {memory:?}");
}
