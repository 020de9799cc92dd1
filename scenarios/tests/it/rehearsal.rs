//! The rehearsal of an upgrade in README.md and docs/towtank.md: its commands are run, and its reports are what comes out.

use std::path::Path;
use std::process::Command;

use super::text;

/// Lines of a report as a document shows it: `…` alone stands for lines left out, at the end of a line for its end.
fn shown(document: &str, report: &[&str], out: &str) {
    let mut lines = out.lines().map(str::trim);
    for wanted in report.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && *line != "…") {
        let found = match wanted.strip_suffix('…') {
            Some(begins) => lines.any(|line| line.starts_with(begins)),
            None => lines.any(|line| line == wanted),
        };
        assert!(found, "{document}: what comes out has no line (there, or at all)\n  {wanted}\n{out}");
    }
}

fn run(root: &Path, command: &str) -> String {
    let towtank = Path::new(env!("CARGO_BIN_EXE_towtank"));
    let path = format!("{}:{}", towtank.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let directory = tempfile::tempdir().unwrap();
    let command =
        command.replace("html=upgrade.html", &format!("html={}", directory.path().join("upgrade.html").display()));
    let output = Command::new("bash").args(["-c", &command]).current_dir(root).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command}\n{}", text(&output.stderr));
    if command.contains("html=") {
        assert!(directory.path().join("upgrade.html").exists());
    }
    text(&output.stdout).to_owned()
}

#[test]
#[ignore = "needs ../shared"]
fn the_rehearsal_in_the_documents_is_what_comes_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();

    let readme = read("README.md");
    let (_, from) = readme.split_once("```sh\nD=../shared/istio/data").unwrap();
    let (command, rest) = from.split_once("```\n").unwrap();
    let report = rest.split_once("```text\n").unwrap().1.split_once("```").unwrap().0;
    let report: Vec<&str> = report.lines().collect();
    shown("README.md", &report, &run(root, &format!("D=../shared/istio/data{command}")));

    // Blocks that are indented: commands and reports in turns.
    let towtank = read("docs/towtank.md");
    let (_, section) = towtank.split_once("### Rehearsing an upgrade\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("towtank compare")).collect();
    assert_eq!(starts.len(), 2);
    let variables = lines[0];
    for (start, end) in [(starts[0], starts[1]), (starts[1], lines.len())] {
        let report = (start..end).find(|at| lines[*at].starts_with("baseline ")).unwrap();
        let out = run(root, &format!("{variables}\n{}", lines[start..report].join("\n")));
        shown("docs/towtank.md", &lines[report..end], &out);
    }
}
