//! The `towtank` command as people run it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "it/article.rs"]
mod article;
#[path = "it/capture.rs"]
mod capture;
#[path = "it/flags.rs"]
mod flags;
#[path = "it/interrupt.rs"]
mod interrupt;
#[path = "it/models.rs"]
mod models;
#[path = "it/rehearsal.rs"]
mod rehearsal;
#[path = "it/secrets.rs"]
mod secrets;
#[path = "it/trouble.rs"]
mod trouble;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use apimachinery::value::Value;

fn towtank(args: &[&str]) -> Output {
    towtank_with_input(args, b"")
}

fn towtank_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_towtank"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The command could not be carried out: exit code 2, this on standard error, nothing on standard output.
fn refused(args: &[&str], wanted: &str) {
    let output = towtank(args);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    assert!(error.contains(wanted), "{args:?}: {error}\n  wanted: {wanted}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn without_arguments_the_main_job_runs_whole_and_fits_80_columns() {
    let output = towtank(&[]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}\n{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "no progress bar without a terminal: {}", text(&output.stderr));
    assert!(!out.contains('\u{1b}'), "no colours without a terminal");
    assert!(out.contains("ok      a labelled namespace: a pod gets its sidecar"), "{out}");
    assert!(out.contains("\n603 reviews in "), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}

#[test]
fn a_replay_shows_what_admission_did() {
    let output = towtank(&["replay", "--trace", "--trace-limit", "2"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().filter(|line| line.contains(" CREATE pods ")).count(), 2, "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("    mutating round 0 ")), "{shown}");
    assert!(shown.contains("603"), "the report follows: {shown}");

    let output = towtank(&["replay", "--trace=json", "--trace-only", "injected,denied", "--trace-limit", "5"]);
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (result, traces) = lines.split_last().unwrap();
    assert_eq!((traces.len(), &result["result"]["totals"]["reviews"]), (5, &603.into()));
    for trace in traces {
        assert!(["injected", "denied"].contains(&trace["outcome"].as_str().unwrap()), "{trace}");
        assert!(trace["line"].as_u64() >= Some(1) && trace["status"].as_u64() >= Some(200), "{trace}");
        assert!(!trace["admission"].as_array().unwrap().is_empty(), "{trace}");
    }
    assert!(traces.is_sorted_by_key(|trace| trace["line"].as_u64()), "in the log's order");
    let patched = traces.iter().find(|trace| trace["outcome"] == "injected").unwrap();
    let entry = patched["admission"].as_array().unwrap().iter().find(|entry| entry["outcome"] == "patched").unwrap();
    assert!(!entry["detail"].as_array().unwrap().is_empty(), "{entry}");

    refused(&["replay", "--trace", "--direct"], "only an apiserver chooses among webhooks");
    refused(&["replay", "--trace", "--report", "json=-"], "both go to standard output");
}

#[test]
fn a_replay_through_the_apiserver_and_a_direct_one_agree() {
    let totals = |args: &[&str]| -> Value {
        let output = towtank(args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (through, direct) = (totals(&["replay", "--json"]), totals(&["replay", "--direct", "--json"]));
    for report in [&through, &direct] {
        assert_eq!(report["totals"]["reviews"], 603);
        assert_eq!(report["totals"]["failed"], 0);
        let groups = report["groups"].as_array().unwrap();
        assert_eq!(groups.iter().map(|group| group["reviews"].as_u64().unwrap()).sum::<u64>(), 603);
        assert!(report["latencyMicros"]["p50"].as_u64() > Some(0));
        assert!(
            report["skipped"]["hostNetwork: true: the pod has no network of its own"].as_u64() > Some(0),
            "{report}"
        );
    }
    // The apiserver refuses pods that are invalid whatever a webhook says; all else comes to the same.
    let invalid: u64 = through["denied"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(why, _)| why.starts_with("not a valid object"))
        .map(|(_, count)| count.as_u64().unwrap())
        .sum();
    let injected = |report: &Value| report["totals"]["injected"].as_u64().unwrap();
    assert!(injected(&direct) >= injected(&through) && injected(&direct) - injected(&through) <= invalid);
}

#[test]
fn bad_logs_are_told_and_what_can_be_read_is_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let review = r#"{"body":{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","operation":"CREATE","namespace":"shop","kind":{"version":"v1","kind":"Pod"},"resource":{"version":"v1","resource":"pods"},"object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"},"spec":{"containers":[{"name":"app","image":"i"}]}}}}}"#;
    let log = file(directory.path(), "log.jsonl", &format!("garbage\n{review}\n{{\"body\":\"{{}}\"}}\n{{\"bo"));
    for args in [vec!["replay", &log], vec!["replay", "--direct", &log]] {
        let output = towtank(&args);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{out}{}", text(&output.stderr));
        for part in ["2 lines could not be read", "line 1: not a record", "line 4: torn", "1 injected"] {
            assert!(out.contains(part), "{args:?}: {out}\n  wanted: {part}");
        }
    }
    let output = towtank_with_input(&["replay", "-"], format!("{review}\n").as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));

    refused(&["replay", "/nowhere.jsonl"], "cannot read log /nowhere.jsonl: No such file");
    // A directory is the logs in it.
    let (logs, none) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["b.jsonl", "a.jsonl", "not-a-log.txt"] {
        file(logs.path(), name, &format!("{review}\n"));
    }
    let output = towtank(&["replay", "--direct", logs.path().to_str().unwrap()]);
    assert!(text(&output.stdout).contains("\n2 reviews in "), "{}{}", text(&output.stdout), text(&output.stderr));
    refused(&["replay", none.path().to_str().unwrap()], "no .jsonl, .jsonl.gz or .jsonl.zst file in this directory");
    refused(&["replay", &file(directory.path(), "empty", "")], "no record in it: nothing was replayed");
    refused(&["replay", "-", "--repeat", "2"], "standard input cannot be replayed more than once");
}

#[test]
fn bad_webhooks_and_configurations_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let not_pem = file(directory.path(), "ca.pem", "no certificate");
    refused(&["replay", "--webhook", "https://127.0.0.1:1"], "give --ca FILE, or --insecure-skip-verify");
    refused(
        &["replay", "--webhook", "http://127.0.0.1:1", "--direct", "--insecure-skip-verify"],
        "has to begin with https://",
    );
    refused(
        &["replay", "--webhook", "https://127.0.0.1:1", "--insecure-skip-verify"],
        "--insecure-skip-verify needs --through direct",
    );
    refused(&["replay", "--webhook", "https://127.0.0.1:1", "--ca", &not_pem], "holds no certificate");
    refused(&["replay", "--injector", "/nowhere.yaml"], "cannot read /nowhere.yaml");
    let broken = file(directory.path(), "config.yaml", "policy: enabled\ntemplate: |\n  [[ if ]]\n");
    refused(&["replay", "--injector", &broken], "cannot load");
    let meta = file(directory.path(), "meta.json", "{}");
    refused(&["replay", "--meta", &meta], "webhookConfiguration: missing");

    let args = ["replay", "--direct", "--webhook", "https://127.0.0.1:1", "--insecure-skip-verify"];
    let output = towtank(&args);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("cannot connect to 127.0.0.1:1: Connection refused"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn scenarios_are_run_from_files_and_directories_and_failures_are_told() {
    let boxed = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let output = towtank(&["run", boxed]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let directory = tempfile::tempdir().unwrap();
    let failing = file(
        directory.path(),
        "failing.yaml",
        "scenario: fails\nsteps:\n- get: namespace/default\n- expect: {labels: {istio-injection: enabled}}\n",
    );
    let output = towtank(&["run", &failing, "--seed", "77"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    for part in ["FAILED  fails", "failing.yaml:4: step 2 (expect)", "expected: enabled", "found:    absent", "seed 77"]
    {
        assert!(out.contains(part), "{out}\n  wanted: {part}");
    }
    let output = towtank(&["run", &failing, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report[0]["failure"]["line"], 4);

    refused(&["run", "/nowhere.yaml"], "cannot read /nowhere.yaml");
    let typo = file(directory.path(), "typo.yaml", "scenario: x\nsteps:\n- crate: {}\n");
    refused(&["run", &typo], "typo.yaml:3: steps[0].crate: no such step; did you mean \"create\"?");
    let empty = tempfile::tempdir().unwrap();
    refused(&["run", empty.path().to_str().unwrap()], "no .yaml or .yml file in it");
    refused(&["sail"], "unrecognized subcommand");
}

#[test]
fn the_injector_in_the_box_keeps_every_law_and_reports_are_written_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let reports = format!("html={},junit={},json={}", path("out.html"), path("out.xml"), path("out.json"));
    let output = towtank(&["check", "--limit", "40", "--report", &reports, "--report", "markdown=-"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}\n{}", text(&output.stderr));
    assert!(out.starts_with("## ✅ Laws held against the injector in the box\n"), "{out}");
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    assert!(read("out.html").starts_with("<!doctype html>"));
    assert!(read("out.xml").contains("tests=\"13\" failures=\"0\""));
    // The saved result makes the same report.
    let again = towtank(&["report", &path("out.json"), "--format", "junit"]);
    assert_eq!(text(&again.stdout), read("out.xml"), "{}", text(&again.stderr));
    refused(&["check", "--report", "pdf=x"], "want FORMAT=FILE");
    refused(&["check", "--only", "nice"], "there is no law \"nice\"");
    refused(&["check", "https://127.0.0.1:1", "--insecure-skip-verify"], "cannot connect to 127.0.0.1:1");
    refused(&["report", &file(directory.path(), "x.json", "[1]")], "not a result of towtank");
}

#[test]
fn broken_laws_are_named_and_what_breaks_them_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken").display().to_string();
    // A template that overwrites how long a pod may take to end: that is the user's to say.
    let configuration = file(
        directory.path(),
        "injector.yaml",
        "policy: enabled\ndefaultTemplates: [sidecar]\ntemplates:\n  sidecar: |\n    spec:\n      terminationGracePeriodSeconds: 7\n      containers:\n      - name: sidecar\n        image: s\n",
    );
    let output =
        towtank(&["check", "--injector", &configuration, "--limit", "60", "--only", "ownership", "--save", &broken]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}\n{}", text(&output.stderr));
    assert!(out.contains("BROKEN  ownership"), "{out}");
    assert!(out.contains("spec.terminationGracePeriodSeconds: "), "{out}");
    // Both of what was saved show it again.
    let review = format!("{broken}/ownership.review.json");
    let again = towtank(&["check", "--injector", &configuration, "--reviews", &review, "--only", "ownership"]);
    assert_eq!(again.status.code(), Some(1), "{}{}", text(&again.stdout), text(&again.stderr));
    let scenario = towtank(&["run", &format!("{broken}/ownership.yaml")]);
    assert_eq!(scenario.status.code(), Some(1), "{}{}", text(&scenario.stdout), text(&scenario.stderr));
}
