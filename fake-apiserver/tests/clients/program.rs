//! Clients that are programs, and the server that they are given.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The `fake-apiserver` binary with three nodes, ended with the test.
pub(crate) struct Server {
    process: Child,
    pub(crate) directory: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    pub(crate) fn start() -> Server {
        let directory = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_fake-apiserver"))
            .args(["--nodes", "3", "--kubeconfig"])
            .arg(directory.path().join("kubeconfig"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on "), "{line:?}");
        Server { process, directory }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Writes a file beside the kubeconfig, where programs are run.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// A program that finds this cluster.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.directory.path());
        command
    }
}

/// What a program came to.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none if it was still running after a minute.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a program to its end, for a minute at most.
#[expect(clippy::disallowed_methods, reason = "another process takes real time")]
pub(crate) fn run(mut command: Command, stdin: &str) -> Ended {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not read has closed its end.
    let _ = process.stdin.take().unwrap().write_all(stdin.as_bytes());
    let read = |mut stream: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(Box::new(process.stdout.take().unwrap()));
    let err = read(Box::new(process.stderr.take().unwrap()));
    let started = Instant::now();
    let code = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if started.elapsed() > Duration::from_secs(60) => {
                process.kill().unwrap();
                process.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    Ended { code, out: out.join().unwrap(), err: err.join().unwrap() }
}

/// Every program of this name on the PATH, first come first: a machine may have more than one version.
pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = Vec::new();
    for directory in std::env::split_paths(&path) {
        let Ok(program) = directory.join(name).canonicalize() else { continue };
        if program.is_file() && !found.contains(&program) {
            found.push(program);
        }
    }
    assert!(!found.is_empty(), "there is no {name} on the PATH");
    found
}
