use std::time::Duration;

use apimachinery::value::{Value, json};
use http::Method;

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

/// Names the file that a child process saves its cluster to, again and again.
const SAVE_TO: &str = "TOWTANK_TEST_SAVE_TO";

/// Does nothing in a run of the tests: it is what [`a_process_that_is_killed_leaves_a_whole_file`] kills.
#[tokio::test]
async fn save_without_end() {
    let Some(file) = std::env::var_os(SAVE_TO) else { return };
    let builder = fake_apiserver::FakeApiserver::builder().controllers(false);
    let cluster = builder.start().await.unwrap();
    let map = |name: &str, round: u32| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "default" },
            "data": { "round": round.to_string(), "filling": "x".repeat(2_000) },
        })
    };
    for name in (0..100).map(|number| format!("m{number:03}")) {
        cluster.create(map(&name, 0)).await.unwrap();
    }
    for round in 0.. {
        for name in ["m000", "m099"] {
            let path = format!("/api/v1/namespaces/default/configmaps/{name}");
            let patch = json!({ "data": { "round": round.to_string() } });
            assert_eq!(cluster.request(Method::PATCH, &path, Some(&patch)).await.status, 200);
        }
        save(&cluster, std::path::Path::new(&file)).unwrap();
    }
}

/// SIGKILL at any point of a save: what is there is a file that was saved whole.
#[test]
#[expect(clippy::disallowed_methods, reason = "another process takes real time")]
fn a_process_that_is_killed_leaves_a_whole_file() {
    for name in ["cluster.json", "cluster.yaml"] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(name);
        for kill in 0..5_u64 {
            let _ = std::fs::remove_file(&file);
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "up::tests::save_without_end"])
                .env(SAVE_TO, &file)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            while !file.exists() {
                assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
                std::thread::sleep(Duration::from_millis(1));
            }
            // Another point of a save each time: one takes some ten milliseconds.
            std::thread::sleep(Duration::from_micros(kill * 3_137));
            child.kill().unwrap();
            child.wait().unwrap();
            let list = read_objects(&file).unwrap().remove(0);
            let objects = list["items"].as_array().unwrap();
            let maps: Vec<_> = objects.iter().filter(|one| one["data"]["filling"].is_string()).collect();
            assert_eq!(maps.len(), 100);
            let round = |name: &str| {
                let map = maps.iter().find(|one| one["metadata"]["name"] == name);
                map.unwrap()["data"]["round"].as_str().unwrap().to_owned()
            };
            assert_eq!(round("m000"), round("m099"), "of one and the same save");
        }
    }
}
