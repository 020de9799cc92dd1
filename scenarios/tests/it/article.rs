//! The article, walked with kubectl: `article/walk.txt`, and `article/walk-1.11.txt` in a cluster of its time.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

struct Step<'a> {
    line: usize,
    command: &'a str,
    wanted: Vec<&'a str>,
}

/// The commands of a transcript and what they are to print; see `article/README.md`.
fn steps(text: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: number + 1, command, wanted: Vec::new() });
        } else if line.starts_with('#') {
            // Nothing printed begins with it.
        } else if let Some(step) = steps.last_mut() {
            step.wanted.push(line);
        }
    }
    for step in &mut steps {
        while step.wanted.last() == Some(&"") {
            step.wanted.pop();
        }
    }
    steps
}

/// One line; `…` stands for any text.
fn fits(wanted: &str, found: &str) -> bool {
    let (wanted, found) = (blanks(wanted), blanks(found));
    let mut parts = wanted.split('…');
    let Some(mut rest) = found.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Columns are as wide as the names in them.
fn blanks(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let text = words.join(" ").replace(" … ", "…").replace("… ", "…").replace(" …", "…");
    if line.contains('…') { text } else { words.join(" ") }
}

/// All lines; a line `…` stands for any number of lines.
fn all_fit(wanted: &[&str], found: &[&str]) -> bool {
    match wanted.split_first() {
        None => found.is_empty(),
        Some((&"…", rest)) => (0..=found.len()).any(|skipped| all_fit(rest, &found[skipped..])),
        Some((first, rest)) => {
            found.split_first().is_some_and(|(line, found)| fits(first, line) && all_fit(rest, found))
        }
    }
}

struct Cluster(Child);

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `towtank up` of a version of Kubernetes, when it says that it is up.
fn up(version: &str, kubeconfig: &Path) -> Cluster {
    let mut child = Command::new(env!("CARGO_BIN_EXE_towtank"))
        .args(["up", "--injector", "1.0", "--nodes", "1", "--kubernetes-version", version, "--kubeconfig"])
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "Ctrl-C ends it."));
    Cluster(child)
}

/// Every kubectl to walk with.
fn kubectls() -> Vec<PathBuf> {
    let search = |name: &Path| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
    };
    let given = std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into());
    let named = std::env::split_paths(&given).map(|name| {
        let program = search(&name);
        assert!(program.is_some(), "{}: no such program; KUBECTL says which kubectl to take", name.display());
        program.unwrap()
    });
    named.collect()
}

#[test]
#[ignore = "needs kubectl"]
fn article() {
    walk("1.36", "walk.txt");
}

#[test]
#[ignore = "needs kubectl"]
fn article_in_a_cluster_of_its_time() {
    walk("1.11", "walk-1.11.txt");
}

/// Types a transcript's commands into a cluster of that version, once with each kubectl.
fn walk(version: &str, transcript: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("article");
    let text = std::fs::read_to_string(folder.join(transcript)).unwrap();
    for kubectl in kubectls() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["sleep.yaml", "sleep-1.11.yaml", "gone.yaml"] {
            std::fs::copy(folder.join(name), directory.path().join(name)).unwrap();
        }
        // First on the PATH, under the name that the transcript types.
        let bin = directory.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(&kubectl, bin.join("kubectl")).unwrap();
        let mut path = bin.into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let kubeconfig = directory.path().join("kubeconfig");
        let _cluster = up(version, &kubeconfig);
        let mut failures = String::new();
        for step in steps(&text) {
            let output = Command::new("sh")
                .args(["-c", &format!("exec 2>&1\n{}", step.command)])
                .current_dir(directory.path())
                .envs([("PATH", path.as_os_str()), ("KUBECONFIG", kubeconfig.as_os_str())])
                .env("HOME", directory.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
            match output.status.code() {
                Some(0) => {}
                code => {
                    let _ = write!(printed, "\n[exit {}]", code.unwrap_or(-1));
                }
            }
            let mut found: Vec<&str> = printed.lines().map(str::trim_end).collect();
            let mut wanted = step.wanted;
            found.retain(|line| !line.is_empty());
            wanted.retain(|line| !line.is_empty());
            if !all_fit(&wanted, &found) {
                let (wanted, found) = (wanted.join("\n  "), found.join("\n  "));
                let _ = writeln!(
                    failures,
                    "{transcript}:{}: $ {}\nwanted:\n  {wanted}\nprinted:\n  {found}\n",
                    step.line, step.command
                );
            }
        }
        assert!(failures.is_empty(), "with {}:\n{failures}", kubectl.display());
    }
}

#[test]
fn transcripts_are_compared_line_by_line() {
    let walk = steps("# title\n$ a\none … three\n…\nend\n\n# next\n$ b\n[exit 1]\n");
    assert_eq!(walk.iter().map(|step| (step.line, step.command)).collect::<Vec<_>>(), [(2, "a"), (8, "b")]);
    assert!(all_fit(&walk[0].wanted, &["one   two   three", "end"]));
    assert!(all_fit(&walk[0].wanted, &["one two three", "x", "y", "end"]));
    assert!(!all_fit(&walk[0].wanted, &["one two three", "end", "more"]));
    assert!(!all_fit(&walk[0].wanted, &["one two", "end"]));
    assert!(fits("a…b", "ab") && fits("NAME … AGE", "NAME   AGE") && !fits("a b", "ab") && !fits("a", "aa"));
}
