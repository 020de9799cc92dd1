//! Flags that need more than one command: shards and merging, going on after a kill, sides of every kind, saved scenarios.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use apimachinery::value::{Value, json};
use scenarios::hook::{Answerer, Hook};

use super::{file, refused, text, towtank};

fn review(n: usize) -> Value {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("web-{n}"), "namespace": "shop", "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "app", "image": "i" }] } });
    let body = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": n.to_string(), "operation": "CREATE", "namespace": "shop", "kind": { "version": "v1", "kind": "Pod" },
        "resource": { "version": "v1", "resource": "pods" }, "object": pod } });
    json!({ "seq": n, "t_ms": n * 40, "path": "/inject", "body": body })
}

fn log(directory: &Path, count: usize) -> String {
    let lines: String = (0..count).map(|n| review(n).to_string() + "\n").collect();
    file(directory, "log.jsonl", &lines)
}

fn result(args: &[&str]) -> Value {
    let output = towtank(args);
    assert!(output.status.code() < Some(2), "{args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn shards_at_any_pace_come_to_what_one_replay_says() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(directory.path(), 25);
    let whole = result(&["replay", "--through", "direct", &log, "--json"]);
    assert_eq!(whole["totals"]["injected"], 25, "{whole}");
    let mut files = Vec::new();
    for (shard, pace) in
        [("0/3", ["--rate", "500"]), ("1/3", ["--pace", "recorded×100"]), ("2/3", ["--concurrency", "1"])]
    {
        let args = ["replay", "--through", "direct", &log, "--json", "--shard", shard, pace[0], pace[1]];
        files.push(file(directory.path(), &shard.replace('/', "-"), &result(&args).to_string()));
    }
    let merged = result(&["merge", &files[0], &files[1], &files[2], "--json"]);
    assert_eq!(merged["totals"], whole["totals"]);
    assert_eq!(merged["groups"], whole["groups"]);
    refused(&["replay", &log, "--shard", "3/3"], "");
}

#[test]
fn a_given_cluster_decides_who_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(directory.path(), 3);
    let cluster = |label: &str| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{istio-injection: {label}}}}}\n---\n\
             apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {{name: injector}}\n\
             webhooks:\n- name: injector.example.com\n  sideEffects: None\n  admissionReviewVersions: [v1]\n\
             \x20 clientConfig: {{service: {{namespace: istio-system, name: istiod, path: /inject}}}}\n\
             \x20 namespaceSelector: {{matchLabels: {{istio-injection: enabled}}}}\n\
             \x20 rules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]\n"
        )
    };
    for (label, column) in [("enabled", "injected"), ("disabled", "skipped")] {
        let file = file(directory.path(), label, &cluster(label));
        let replayed = result(&["replay", &log, "--cluster", &file, "--json"]);
        assert_eq!(replayed["totals"][column], 3, "{label}: {replayed}");
    }
}

/// Without a meta file the webhook is asked about everything that is replayed, and not about what is created for it.
#[test]
fn a_webhook_is_not_asked_about_what_a_replay_creates_first() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(directory.path(), 3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = ("default".to_owned(), "localhost".to_owned(), 443);
    let hook =
        Hook::new(&service, Answerer::Reply(json!({ "allowed": false, "status": { "message": "no" } }))).unwrap();
    let url = format!("https://localhost:{}", runtime.block_on(hook.listen()).unwrap().port());
    let ca = file(directory.path(), "ca.pem", hook.ca_pem());
    let replayed = result(&["replay", "--webhook", &url, "--ca", &ca, &log, "--json"]);
    assert_eq!(replayed["totals"]["denied"], 3, "{replayed}");
    let asked: Vec<_> = hook.calls().iter().map(|call| call.request["resource"]["resource"].clone()).collect();
    assert_eq!(asked, ["pods", "pods", "pods"]);
}

/// Reviews are counted once each, however often the replay is killed.
#[test]
fn a_killed_replay_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(directory.path(), 200);
    let state = directory.path().join("state.json");
    let args = ["replay", "--through", "direct", &log, "--repeat", "30", "--json", "--resume", state.to_str().unwrap()];
    for _ in 0..3 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_towtank"))
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = position(&state);
        // Until it has come further, or to its end.
        while position(&state) == before && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert_eq!(result(&args)["totals"]["reviews"], 6000);
    assert_eq!(result(&args)["totals"]["reviews"], 6000, "a complete one prints its result again");
    let mut other = args;
    other[5] = "31";
    refused(&other, "");
}

fn position(state: &Path) -> Value {
    let text = std::fs::read(state).unwrap_or_default();
    serde_json::from_slice::<Value>(&text).unwrap_or_default()["position"].take()
}

#[test]
fn a_side_may_be_a_url_or_a_program() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(directory.path(), 4);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let patch = json!([{ "op": "add", "path": "/metadata/labels/x", "value": "1" }]);
    let service = ("default".to_owned(), "localhost".to_owned(), 443);
    let hook = Hook::new(&service, Answerer::Reply(json!({ "allowed": true, "patch": patch }))).unwrap();
    let hook = Arc::new(hook);
    let address = runtime.block_on(hook.listen()).unwrap();
    let ca = file(directory.path(), "ca.pem", hook.ca_pem());
    // Names of a service's certificate: localhost is one of them.
    let url = format!("https://localhost:{}", address.port());
    let compared = |candidate: &str, more: &[&str]| {
        let with_ca = format!("{url},ca={ca}");
        let args = ["compare", &log, "--baseline", &with_ca, "--candidate", candidate, "--json"];
        result(&[&args[..], more].concat())
    };
    assert_eq!(compared(&format!("{url},insecure"), &[])["equal"], 4);
    // A program: a proxy in front of the same webhook.
    let dir = directory.path().join("captured");
    let program = format!(
        "exec:{} capture --listen {{listen}} --tls-cert {{cert}} --tls-key {{key}} --upstream-insecure-skip-verify --upstream {url} --dir {}",
        env!("CARGO_BIN_EXE_towtank"),
        dir.display()
    );
    let through = compared(&program, &[]);
    assert_eq!(through["equal"], 4, "{through}");
    refused(
        &["compare", &log, "--candidate", "exec:/nowhere/webhook", "--baseline", "modern"],
        "cannot start /nowhere/webhook",
    );
    refused(&["compare", &log, "--candidate", &url, "--baseline", "modern"], "append ,ca=FILE or ,insecure");

    // What the injector does beside it: expected or not, and as scenarios that run.
    let scenarios = directory.path().join("scenarios");
    let saved = compared("modern", &["--save-scenarios", scenarios.to_str().unwrap()]);
    assert!(saved["different"] == 4 && saved["classes"].as_array().unwrap().len() < 12, "{saved}");
    let files: Vec<_> = std::fs::read_dir(&scenarios).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    let outcome = result(&["run", scenarios.to_str().unwrap(), "--json"]);
    for one in outcome.as_array().unwrap() {
        assert_eq!(one["ok"], true, "{one}");
    }
    let allow = file(directory.path(), "allow.yaml", "- {pattern: '*', reason: another webhook}\n");
    let with_ca = format!("{url},ca={ca}");
    let output = towtank(&[
        "compare",
        &log,
        "--baseline",
        &with_ca,
        "--candidate",
        "modern",
        "--minimal",
        "0",
        "--allow",
        &allow,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}
