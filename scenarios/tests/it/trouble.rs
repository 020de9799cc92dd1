//! Logs that are damaged, disks that are full, readers that go away: told, and nothing that was there is lost.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use admission::capture::{Compression, Record, Writer};
use apimachinery::value::{Value, json};

use super::{file, refused, text, towtank};

fn review(n: usize) -> Value {
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("web-{n}"), "namespace": "shop" },
        "spec": { "containers": [{ "name": "app", "image": "i" }] } });
    json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": n.to_string(), "operation": "CREATE", "namespace": "shop", "kind": { "version": "v1", "kind": "Pod" },
        "resource": { "version": "v1", "resource": "pods" }, "object": pod } })
}

fn frame(compression: Compression, from: usize, count: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), compression).unwrap();
    for n in from..from + count {
        writer.write(&Record { body: review(n).to_string(), path: "/inject".to_owned(), ..Record::default() }).unwrap();
    }
    writer.finish().unwrap()
}

/// Every command that reads logs says the same of it: so many reviews, and what is wrong with which line.
fn every_reader(log: &str, reviews: u64, problems: &[&str]) {
    let code = Some(i32::from(!problems.is_empty()));
    let parsed = |output: &Output| -> Value {
        assert_eq!(output.status.code(), code, "{}{}", text(&output.stdout), text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let all = |told: &Value, unreadable: &Value| {
        assert_eq!(unreadable, &json!(problems.len()), "{told}");
        for (problem, told) in problems.iter().zip(told.as_array().unwrap()) {
            assert!(told.as_str().unwrap().contains(problem), "{told}\n  wanted: {problem}");
        }
    };
    for way in ["direct", "apiserver"] {
        let replayed = parsed(&towtank(&["replay", "--through", way, log, "--json"]));
        assert_eq!(replayed["totals"]["injected"], reviews, "{replayed}");
        all(&replayed["unreadable"]["first"], &replayed["unreadable"]["lines"]);
    }
    let compared = parsed(&towtank(&["compare", log, "--baseline", "modern", "--candidate", "modern", "--json"]));
    assert_eq!(compared["equal"], reviews, "{compared}");
    all(&compared["problems"], &compared["unreadable"]);
    let checked = parsed(&towtank(&["check", "--reviews", log, "--only", "echo", "--json"]));
    assert_eq!(checked["reviews"], reviews, "{checked}");
    all(&checked["problems"], &checked["unreadable"]);
    let imported = towtank(&["import", log]);
    assert_eq!(imported.status.code(), code, "{}", text(&imported.stderr));
    assert_eq!(text(&imported.stdout).lines().count() as u64, reviews);
    for problem in problems {
        assert!(text(&imported.stderr).contains(problem), "{}\n  wanted: {problem}", text(&imported.stderr));
    }
}

#[test]
fn frames_one_after_the_other_are_one_log_and_a_torn_end_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    for (name, compression) in [("zst", Compression::Zstd(3)), ("gz", Compression::Gzip), ("plain", Compression::None)]
    {
        let whole = [frame(compression, 0, 3), frame(compression, 3, 1), frame(compression, 4, 2)].concat();
        every_reader(&put(name, &whole), 6, &[]);
        every_reader(
            &put(&format!("{name}-torn"), &whole[..whole.len() - 12]),
            if name == "zst" { 4 } else { 5 },
            &["torn"],
        );
    }
}

#[test]
fn lines_of_all_versions_and_sizes_are_read_or_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let mut log = std::io::BufWriter::new(File::create(&path).unwrap());
    writeln!(log, "{}", review(0)).unwrap();
    writeln!(log, "{}", json!({ "body": review(1).to_string() })).unwrap();
    writeln!(log, "{}", json!({ "format_version": 1, "body": review(2), "later": { "field": 1 } })).unwrap();
    writeln!(log, "{}", json!({ "format_version": 99, "body": review(3) })).unwrap();
    // A line of 100 MB.
    let padding = vec![b'x'; 1 << 20];
    log.write_all(b"{\"body\":\"").unwrap();
    for _ in 0..100 {
        log.write_all(&padding).unwrap();
    }
    log.write_all(b"\"}\n").unwrap();
    writeln!(log, "{}", json!({ "format_version": 1, "body": review(4) })).unwrap();
    drop(log);
    every_reader(
        &path.display().to_string(),
        4,
        &["line 4: format_version 99 is newer", "line 5: longer than 67108864 bytes"],
    );
}

/// What is printed to a disk that is full, or to nobody.
fn printed_to(stdout: Stdio, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towtank"));
    command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_result_that_cannot_be_written_is_told_and_a_reader_that_goes_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    std::fs::write(&log, frame(Compression::None, 0, 30)).unwrap();
    let log = log.display().to_string();
    let result = towtank(&["replay", "--direct", &log, "--json"]);
    let saved = file(directory.path(), "result.json", text(&result.stdout));
    for args in [
        vec!["replay", "--direct", &log],
        vec!["replay", "--direct", &log, "--json"],
        vec!["replay", &log, "--trace"],
        vec!["replay", "--direct", &log, "--report", "html=-"],
        vec!["compare", &log, "--baseline", "modern", "--candidate", "modern"],
        vec!["check", "--reviews", &log, "--only", "echo"],
        vec!["check", "--list"],
        vec!["run", concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")],
        vec!["import", &log],
        vec!["merge", &saved],
        vec!["report", &saved, "--format", "html"],
    ] {
        let output = printed_to(File::options().write(true).open("/dev/full").unwrap().into(), &args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains("No space left on device"), "{args:?}: {error}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = printed_to(writer.into(), &args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {error}");
        assert!(!error.contains("roken pipe") && !error.contains("panicked"), "{args:?}: {error}");
    }
}

#[test]
fn an_import_that_cannot_begin_writes_over_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = file(directory.path(), "log.jsonl", &format!("{}\n", review(0)));
    let before = std::fs::read(&log).unwrap();
    refused(&["import", "/nowhere.log", "-o", &log], "cannot read /nowhere.log");
    refused(&["import", &log, "-o", &log], "log.jsonl is read: name another file");
    refused(&["import", directory.path().to_str().unwrap(), "-o", &log], "log.jsonl is read: name another file");
    assert_eq!(std::fs::read(&log).unwrap(), before);
}

#[test]
fn an_import_opens_a_named_pipe_once_and_when_its_turn_comes() {
    let directory = tempfile::tempdir().unwrap();
    let pipes = ["one", "two"].map(|name| directory.path().join(name));
    assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
    // More than a pipe holds: it is written to the end only if it is read to the end, and only then is there a second.
    let lines: String = (0..1000).map(|n| format!("{}\n", review(n))).collect();
    let [one, two] = pipes.clone();
    let written = std::thread::spawn(move || {
        let done = std::fs::write(&one, &lines).and_then(|()| std::fs::write(&two, &lines));
        if done.is_err() {
            // Whoever waits for a writer gets one, so that the test ends.
            for pipe in [&two, &one, &two] {
                drop(File::options().write(true).open(pipe));
            }
        }
        done
    });
    let output = towtank(&["import", pipes[0].to_str().unwrap(), pipes[1].to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    written.join().unwrap().unwrap();
    assert_eq!(text(&output.stdout).lines().count(), 2000);
}

struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory.path()).status();
        assert!(mount.unwrap().success());
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Writes until there is no room.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.path("ballast")).unwrap();
        while ballast.write_all(&[0; 512]).is_ok() {}
    }

    fn clear(&self) {
        std::fs::remove_file(self.path("ballast")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs root: mounts a tmpfs"]
fn a_full_disk_costs_no_result_and_what_was_kept_stays_whole() {
    let disk = Mounted::new("1m");
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.jsonl");
    std::fs::write(&log, frame(Compression::None, 0, 40)).unwrap();
    let log = log.display().to_string();
    let read = |path: &str| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };

    // A state is kept; then the disk is full.
    let state = disk.path("state.json");
    let whole = ["replay", "--direct", &log, "--json", "--resume", &state];
    assert_eq!(towtank(&whole).status.code(), Some(0));
    let kept = read(&state);
    disk.fill();
    let report = format!("html={},json={}", disk.path("out.html"), disk.path("out.json"));
    for args in [
        vec!["replay", "--direct", &log, "--json", "--report", &report],
        vec![
            "compare",
            &log,
            "--baseline",
            "modern",
            "--candidate",
            "1.0",
            "--minimal",
            "1",
            "--json",
            "--report",
            &report,
        ],
        vec!["check", "--reviews", &log, "--only", "echo", "--json", "--report", &report],
    ] {
        let output = towtank(&args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains("cannot write ") && error.contains("out.html: No space left"), "{args:?}: {error}");
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(result.is_object(), "{args:?}: the result is shown all the same");
    }
    let scenarios = disk.path("scenarios");
    let args = [
        "compare",
        &log,
        "--baseline",
        "modern",
        "--candidate",
        "1.0",
        "--minimal",
        "2",
        "--json",
        "--save-scenarios",
        &scenarios,
    ];
    let output = towtank(&args);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("No space left"), "{}", text(&output.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["different"], 40);
    // What cannot be kept is told before anything is sent.
    let other = disk.path("other.json");
    let output = towtank(&["replay", "--direct", &log, "--json", "--resume", &other]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("other.json: No space left"), "{}", text(&output.stderr));
    // The state that was there is as it was.
    assert_eq!(read(&state), kept);
    assert_eq!(towtank(&whole).status.code(), Some(0));

    // A log that is imported onto it: what is there can be read, and its end is told.
    let out = disk.path("log.jsonl.zst");
    let output = towtank(&["import", &log, "-o", &out]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("No space left"), "{}", text(&output.stderr));
    disk.clear();
    assert_eq!(towtank(&["import", &log, "-o", &out]).status.code(), Some(0));
    assert_eq!(towtank(&["replay", "--direct", &out]).status.code(), Some(0));
    assert!(Path::new(&out).metadata().unwrap().len() > 0);
}
