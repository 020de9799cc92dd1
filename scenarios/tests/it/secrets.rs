//! No secret in anything that is printed or written: results, reports in every format, logs, errors.

use std::path::Path;

use apimachinery::value::{Value, json};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use std::sync::Arc;

use scenarios::hook::{Answerer, Hook};

use super::{file, towtank};

/// A webhook that says what it should not: every second pod is denied with its password, the others get it as a warning,
/// in an audit annotation and in a patch.
fn telltale(runtime: &tokio::runtime::Runtime) -> (Hook, String) {
    let answer = |body: &[u8]| {
        let review: Value = serde_json::from_slice(body).ok()?;
        let request = &review["request"];
        let secret = request["object"]["spec"]["containers"][0]["env"][0]["value"].as_str()?;
        let denied = request["object"]["metadata"]["name"] == "web";
        let patch = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            json!([{ "op": "add", "path": "/metadata/annotations/copied", "value": secret }]).to_string(),
        );
        let mut response = json!({ "uid": request["uid"], "allowed": !denied, "warnings": [format!("weak: {secret}")],
            "auditAnnotations": { "why": secret }, "status": { "message": format!("{secret} is a weak password") } });
        if !denied {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = patch.into();
        }
        Some(
            json!({ "kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response })
                .to_string()
                .into_bytes(),
        )
    };
    let service = ("default".to_owned(), "localhost".to_owned(), 443);
    let hook = Hook::new(&service, Answerer::Function(Arc::new(answer))).unwrap();
    let address = runtime.block_on(hook.listen()).unwrap();
    (hook, format!("https://localhost:{}/mutate", address.port()))
}

/// A log in which this secret stands in every place of its own; a webhook's answers quote it.
fn log(secret: &str) -> String {
    let container = json!({ "name": "app", "image": "i", "args": [format!("--password={secret}")],
        "env": [{ "name": "DB_PASSWORD", "value": secret }] });
    let applied = json!({ "kind": "Pod", "apiVersion": "v1", "spec": { "containers": [container] } }).to_string();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "namespace": "shop",
        "annotations": { "example.com/api-token": secret, "kubectl.kubernetes.io/last-applied-configuration": applied } },
        "spec": { "containers": [container] } });
    let request = json!({ "uid": "u", "operation": "CREATE", "namespace": "shop", "kind": { "version": "v1", "kind": "Pod" },
        "resource": { "version": "v1", "resource": "pods" }, "object": pod });
    let body = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request });
    let answers = [
        json!({ "uid": "u", "allowed": false, "status": { "message": format!("{secret} is a weak password") } }),
        json!({ "uid": "u", "allowed": true, "warnings": [format!("weak: {secret}")], "auditAnnotations": { "why": secret } }),
    ];
    let mut lines = String::new();
    for (answer, name) in answers.into_iter().zip(["web", "other"]) {
        let mut body = body.clone();
        body["request"]["object"]["metadata"]["name"] = name.into();
        let answer = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": answer });
        let record = json!({ "path": "/inject", "body": body, "response": { "status": 200, "body": answer } });
        lines.push_str(&format!("{record}\n"));
    }
    // Lines that cannot be read, with the secret in them.
    lines + &format!("{{\"body\": \"{secret}\n{{\"body\": {{\"password\": \"{secret}\"}}, \"method\": 7}}\n{secret}\n")
}

fn survives(secret: &str, text: &str) -> Option<String> {
    let windows = secret.as_bytes().windows(8).map(|window| String::from_utf8_lossy(window).into_owned());
    windows.into_iter().find(|window| text.contains(window.as_str()))
}

fn written(directory: &Path, log: &str, webhook: &str, ca: &str) -> Vec<(String, String)> {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let log = file(directory, "log.jsonl", log);
    let ca = file(directory, "ca.pem", ca);
    let side = format!("{webhook},ca={ca}");
    let state = path("state.json");
    let mut texts = Vec::new();
    for (name, args) in [
        ("webhook", vec!["replay", "--webhook", webhook, "--ca", &ca, &log]),
        ("direct", vec!["replay", "--direct", "--webhook", webhook, "--ca", &ca, &log, "--resume", &state]),
        ("url", vec!["compare", &log, "--baseline", "modern", "--candidate", &side, "--minimal", "1"]),
        ("laws", vec!["check", webhook, "--ca", &ca, "--reviews", &log, "--only", "ownership,idempotent,dry-run"]),
        ("compare", vec!["compare", &log, "--candidate", "modern", "--minimal", "0"]),
        ("sides", vec!["compare", &log, "--baseline", "1.0", "--candidate", "modern", "--minimal", "2"]),
        ("replay", vec!["replay", "--through", "direct", &log]),
        ("check", vec!["check", "--reviews", &log, "--only", "ownership,idempotent,echo"]),
    ] {
        let formats = ["html", "markdown", "junit", "json"];
        let files: Vec<String> = formats.iter().map(|format| path(&format!("{name}.{format}"))).collect();
        let reports =
            formats.iter().zip(&files).map(|(format, file)| format!("{format}={file}")).collect::<Vec<_>>().join(",");
        for more in [vec!["--report", reports.as_str()], vec!["--json"]] {
            let output = towtank(&[args.clone(), more].concat());
            for (stream, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
                texts.push((format!("{stream} of {name}"), String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            texts.push((file, text));
        }
    }
    texts.push(("state".to_owned(), std::fs::read_to_string(&state).unwrap()));
    for form in ["--trace=text", "--trace=json"] {
        let output = towtank(&["replay", "--webhook", webhook, "--ca", &ca, &log, form]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("redacted:"), "{form}: {text}");
        texts.push((form.to_owned(), text));
    }
    let imported = towtank(&["import", &log]);
    texts.push(("import".to_owned(), String::from_utf8_lossy(&imported.stdout).into_owned()));
    texts.push(("errors of import".to_owned(), String::from_utf8_lossy(&imported.stderr).into_owned()));
    let scenario = file(directory, "bad.yaml", &String::from_utf8_lossy(&std::fs::read(&log).unwrap()));
    texts
        .push(("errors of run".to_owned(), String::from_utf8_lossy(&towtank(&["run", &scenario]).stderr).into_owned()));
    texts
}

#[test]
fn no_planted_secret_survives_in_reports_results_logs_and_errors() {
    let mut runner =
        TestRunner::new_with_rng(Config { cases: 2, ..Config::default() }, TestRunner::deterministic().new_rng());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (hook, webhook) = telltale(&runtime);
    runner
        .run(&"[A-Za-z0-9]{8,24}", |secret| {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in written(directory.path(), &log(&secret), &webhook, hook.ca_pem()) {
                if let Some(window) = survives(&secret, &text) {
                    let at = text.find(&window).unwrap_or_default();
                    let around: String =
                        text[..at].chars().rev().take(120).collect::<Vec<_>>().into_iter().rev().collect();
                    prop_assert!(false, "{window:?} of {secret:?} survives in {name} after {around:?}");
                }
            }
            Ok(())
        })
        .unwrap();
    // It is there where it is asked for.
    let directory = tempfile::tempdir().unwrap();
    let log = file(directory.path(), "log.jsonl", &log("hunter2hunter2"));
    let shown = towtank(&["compare", &log, "--candidate", "modern", "--minimal", "0", "--json", "--show-values"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown.to_string().contains("hunter2hunter2"));
}
