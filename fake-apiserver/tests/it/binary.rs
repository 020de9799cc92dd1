//! The command.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_fake-apiserver"))
}

#[test]
fn it_says_where_it_listens_and_ends_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let mut server = command().arg("--kubeconfig").arg(&kubeconfig).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    assert!(std::fs::read_to_string(&kubeconfig).unwrap().contains(&url));
    let ended = Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(ended.success());
    assert!(server.wait().unwrap().success());
}

#[test]
fn what_cannot_be_done_is_said_in_a_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, text) in [
        (["--listen", address.as_str()], "cannot listen on"),
        (["--kubeconfig", "/nonexistent/directory/file"], "cannot write the kubeconfig to /nonexistent/directory/file"),
    ] {
        let output = command().args(arguments).output().unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("error: ") && message.contains(text), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}
