//! Signals in the middle of something long: a partial result, from which the same command goes on.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use apimachinery::value::{Value, json};
use scenarios::hook::{Answerer, Hook};
use scenarios::scenario::FaultKind;

use super::{file, text, towtank};

fn log(directory: &Path, count: usize) -> String {
    let line = |n: usize| {
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("web-{n}"), "namespace": "shop" },
            "spec": { "containers": [{ "name": "app", "image": "i" }] } });
        let body = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
            "uid": n.to_string(), "operation": "CREATE", "namespace": "shop", "kind": { "version": "v1", "kind": "Pod" },
            "resource": { "version": "v1", "resource": "pods" }, "object": pod } });
        json!({ "path": "/mutate", "body": body }).to_string() + "\n"
    };
    file(directory, "log.jsonl", &(0..count).map(line).collect::<String>())
}

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

struct Webhook {
    hook: Hook,
    url: String,
}

async fn webhook() -> Webhook {
    let service = ("shop".to_owned(), "hook".to_owned(), 443);
    let hook = Hook::new(&service, Answerer::Reply(json!({ "allowed": true }))).unwrap();
    let url = format!("https://{}/mutate", hook.listen().await.unwrap());
    Webhook { hook, url }
}

impl Webhook {
    async fn asked(&self, times: usize) {
        while self.hook.calls().len() < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

/// At 10 a second a quarter of an hour: they are not all sent before the signal comes. The hook remembers 10,000 calls.
const REVIEWS: usize = 9_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_replay_shows_what_it_has_and_goes_on_from_there() {
    let webhook = webhook().await;
    let directory = tempfile::tempdir().unwrap();
    let log = log(directory.path(), REVIEWS);
    let state = directory.path().join("state.json").display().to_string();
    let args =
        ["replay", "--direct", "--webhook", &webhook.url, "--insecure-skip-verify", &log, "--json", "--resume", &state];
    let mut done = 0;
    for name in ["-INT", "-TERM"] {
        let child = start(&[&args[..], &["--rate", "10"]].concat());
        webhook.asked(done + 5).await;
        signal(&child, name);
        let output = ended(child).await;
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(130), "{out}{err}");
        let result: Value = serde_json::from_str(out).unwrap();
        let reviews = usize::try_from(result["totals"]["reviews"].as_u64().unwrap()).unwrap();
        assert!(result["interrupted"] == true && result["ok"] == false, "{result}");
        assert!(reviews >= done + 5 && reviews < REVIEWS, "{reviews}");
        assert_eq!(result["totals"]["failed"], 0, "what was under way was waited for");
        assert_eq!(webhook.hook.calls().len(), reviews, "nothing was sent twice, and all that was sent is counted");
        assert!(
            err.contains(&format!("interrupted: this is the result of {reviews} reviews; the same command goes on")),
            "{err}"
        );
        done = reviews;
    }
    let output = towtank(&args);
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{result}");
    assert_eq!((&result["totals"]["reviews"], &result["interrupted"]), (&json!(REVIEWS), &json!(false)));
    assert_eq!(webhook.hook.calls().len(), REVIEWS, "each once, however often it was interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_standard_input_or_a_webhook_can_be_interrupted() {
    let webhook = webhook().await;
    let directory = tempfile::tempdir().unwrap();
    let log = std::fs::read(log(directory.path(), 3)).unwrap();
    for command in ["replay", "compare"] {
        let mut args = match command {
            "replay" => {
                vec!["replay", "--direct", "--webhook", &webhook.url, "--insecure-skip-verify", "-", "--rate", "100"]
            }
            _ => vec!["compare", "-", "--candidate", "modern", "--baseline"],
        };
        let side = format!("{},insecure", webhook.url);
        if command == "compare" {
            args.push(&side);
        }
        let before = webhook.hook.calls().len();
        let mut child = start(&args);
        // The batch is sent on when it is full, or at the end: a line that comes later is of the next one.
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, &log.repeat(6)).unwrap();
        webhook.asked(before + 1).await;
        signal(&child, "-INT");
        let output = ended(child).await;
        assert_eq!(output.status.code(), Some(130), "{command}: {}", text(&output.stderr));
        assert!(
            text(&output.stdout).contains("interrupted: this is not the whole log"),
            "{command}: {}",
            text(&output.stdout)
        );
        drop(input);
    }
    // A webhook that hangs is waited for, unless the user asks twice.
    webhook.hook.fault(FaultKind::Delay(Duration::from_secs(600)), None);
    let before = webhook.hook.calls().len();
    let path = directory.path().join("log.jsonl").display().to_string();
    let child =
        start(&["replay", "--direct", "--webhook", &webhook.url, "--insecure-skip-verify", &path, "--timeout", "500"]);
    webhook.asked(before + 1).await;
    signal(&child, "-INT");
    signal(&child, "-TERM");
    let output = ended(child).await;
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stderr).contains("interrupted: for the second time"), "{}", text(&output.stderr));
}
