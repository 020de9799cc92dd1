//! `towtank capture` as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use admission::capture::{Error, Reader, logs};
use apimachinery::value::json;
use bytes::Bytes;
use scenarios::hook::{Answerer, Hook};
use scenarios::https::{Endpoint, Trust};

struct Process {
    child: Child,
    url: String,
    admin: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn capture(upstream: &str, directory: &Path) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_towtank"))
        .args(["capture", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream-insecure-skip-verify"])
        .args(["--fsync", "each", "--rotate-size", "4Ki", "--upstream", upstream, "--dir"])
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let admin = lines.next().unwrap().replace("metrics on http://", "").replace("/metrics", "");
    let url = lines.next().unwrap().replace("listening on ", "");
    Process { child, url, admin }
}

/// Records that the process says are written.
fn written(admin: &str) -> u64 {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.trim_end().ends_with("# EOF"), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("towtank_capture_records_written_total ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_is_killed_keeps_all_that_it_said_was_written() {
    let service = ("shop".to_owned(), "hook".to_owned(), 443);
    let hook = Hook::new(&service, Answerer::Reply(json!({ "allowed": true }))).unwrap();
    let upstream = format!("https://{}", hook.listen().await.unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..4 {
        let mut process = capture(&upstream, directory.path());
        let endpoint = Endpoint::new(&process.url, &Trust::Anyone, Duration::from_secs(30)).unwrap();
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let mut connection = endpoint.connection();
                tokio::spawn(async move {
                    let review = json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
                        "request": { "uid": "u", "object": { "padding": "x".repeat(500) } } });
                    let body = Bytes::from(review.to_string());
                    while connection.post("/mutate", body.clone()).await.is_ok() {}
                })
            })
            .collect();
        // At another moment each time.
        let told = loop {
            let told = written(&process.admin);
            if told > round * 23 {
                break told;
            }
        };
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        for client in clients {
            client.await.unwrap();
        }
        let (mut good, mut torn) = (0, 0);
        for file in logs(directory.path()).unwrap() {
            for item in Reader::open(&file).unwrap() {
                match item {
                    Ok(_) => good += 1,
                    Err(Error::Torn { .. }) => torn += 1,
                    Err(error) => panic!("{}: {error}", file.display()),
                }
            }
        }
        assert!(good >= before + told, "round {round}: {good} of {before} and {told} that were told");
        assert!(torn <= round + 1, "at most one file was being written each time");
        before = good;
    }
}
