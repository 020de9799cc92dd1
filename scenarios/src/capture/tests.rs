use std::path::Path;
use std::time::Duration;

use admission::capture::{Options as Recording, Reader, Record, Recorder, Redactor, logs};
use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use bytes::Bytes;

use super::*;
use crate::hook::{Answerer, Certificate, Hook};
use crate::https::{Endpoint, Trust};
use crate::scenario::FaultKind;

fn hook() -> Hook {
    let reply = json!({ "allowed": false, "status": { "message": "no hunter2hunter2 here" }, "warnings": ["careful"] });
    Hook::new(&("shop".to_owned(), "hook".to_owned(), 443), Answerer::Reply(reply)).unwrap()
}

fn review(n: usize) -> Bytes {
    let env = json!([{ "name": "PASSWORD", "value": "hunter2hunter2" }]);
    let object =
        json!({ "kind": "Pod", "apiVersion": "v1", "spec": { "containers": [{ "name": "app", "env": env }] } });
    let request = json!({ "uid": format!("u{n}"), "operation": "CREATE", "object": object });
    Bytes::from(
        json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request }).to_string(),
    )
}

/// A proxy in front of `upstream`, and a client that trusts it.
async fn proxy(directory: &Path, upstream: &str, trust: &Trust, limits: Limits) -> (Handle, Endpoint) {
    let recording = Recording::new(directory.to_owned(), Some(Redactor::new(b"key")), Clock::system());
    let certificate = Certificate::for_service("shop", "proxy").unwrap();
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        admin: Some(([127, 0, 0, 1], 0).into()),
        certificate: certificate.chain,
        key: certificate.key,
        upstream: Upstream::new(upstream, trust).unwrap(),
        recorder: Recorder::start(recording, |_| {}).unwrap(),
        limits,
    };
    let handle = start(options).await.unwrap();
    let url = format!("https://{}", handle.addr);
    (handle, Endpoint::new(&url, &Trust::Pem(certificate.ca), Duration::from_secs(30)).unwrap())
}

fn records(directory: &Path) -> Vec<Record> {
    logs(directory).unwrap().iter().flat_map(|file| Reader::open(file).unwrap()).map(Result::unwrap).collect()
}

#[tokio::test]
async fn what_goes_through_is_the_same_and_is_recorded_without_secrets() {
    let hook = hook();
    let upstream = format!("https://{}", hook.listen().await.unwrap());
    let trust = Trust::Pem(hook.ca_pem().to_owned());
    let directory = tempfile::tempdir().unwrap();
    let (handle, through) = proxy(directory.path(), &upstream, &trust, Limits::default()).await;
    let direct = Endpoint::new(&upstream, &trust, Duration::from_secs(30)).unwrap();
    let (mut through, mut direct) = (through.connection(), direct.connection());
    for n in 0..20 {
        let target = format!("/mutate/{n}?timeout=3s");
        let a = through.post(&target, review(n)).await.unwrap();
        let b = direct.post(&target, review(n)).await.unwrap();
        assert_eq!(a, b);
    }
    let calls = hook.calls();
    assert_eq!(calls.len(), 40);
    assert_eq!((calls[0].path.as_str(), calls[0].query.as_str()), ("/mutate/0", "timeout=3s"));
    assert_eq!(calls[0].request, calls[1].request, "the webhook sees what it would see without the proxy");

    hook.fault(FaultKind::Status(503), None);
    assert_eq!(through.post("/", review(20)).await.unwrap(), direct.post("/", review(20)).await.unwrap());
    hook.fault(FaultKind::Close, None);
    let (status, body) = through.post("/", review(21)).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(status, 502);
    assert!(body.starts_with("towtank capture: 127.0.0.1:"), "{body}");

    let counts = handle.shutdown().await;
    assert_eq!((counts.offered, counts.written, counts.dropped), (22, 22, 0));
    let records = records(directory.path());
    assert_eq!(records.len(), 22);
    assert_eq!((records[3].path.as_str(), records[3].query.as_str(), records[3].seq), ("/mutate/3", "timeout=3s", 4));
    let request: Value = serde_json::from_str(&records[3].body).unwrap();
    assert_eq!(request["request"]["uid"], "u3");
    let answer = records[3].response.as_ref().unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("careful") && answer.body.contains("redacted:"));
    assert_eq!(records[20].response.as_ref().unwrap().status, 503);
    assert!(records[21].response.is_none(), "the webhook did not answer");
    assert!(!format!("{records:?}").contains("hunter2hunter2"));
}

#[tokio::test]
async fn http2_passes_on_both_sides() {
    // The proxy offers HTTP/2 to the proxy behind it, and both record.
    let hook = hook();
    let upstream = format!("https://{}", hook.listen().await.unwrap());
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trust = Trust::Pem(hook.ca_pem().to_owned());
    let (behind, _) = proxy(far.path(), &upstream, &trust, Limits::default()).await;
    let (front, client) =
        proxy(near.path(), &format!("https://{}/under", behind.addr), &Trust::Anyone, Limits::default()).await;
    let mut client = client.connection();
    for n in 0..3 {
        assert_eq!(client.post("/x", review(n)).await.unwrap().0, 200);
    }
    assert_eq!(front.shutdown().await.written, 3);
    assert_eq!(behind.shutdown().await.written, 3);
    assert_eq!(hook.calls()[0].path, "/under/x", "the URL's path goes before");
    let (near, far) = (records(near.path()), records(far.path()));
    assert_eq!(near[0].body, far[0].body);
    assert_eq!(
        near[0].response.as_ref().map(|answer| &answer.body),
        far[0].response.as_ref().map(|answer| &answer.body)
    );
}

#[tokio::test]
async fn a_body_too_large_and_a_webhook_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { request: 1000, ..Limits::default() };
    // Nobody listens on a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (handle, client) = proxy(directory.path(), &format!("https://{free}"), &Trust::Anyone, limits).await;
    let (status, body) = client.connection().post("/x", review(1)).await.unwrap();
    assert_eq!(status, 502);
    assert!(String::from_utf8_lossy(&body).contains("Connection refused"), "{body:?}");
    let (status, body) = client.connection().post("/x", Bytes::from(vec![b'x'; 1001])).await.unwrap();
    assert_eq!(status, 413);
    assert!(String::from_utf8_lossy(&body).contains("--max-body-bytes"));
    handle.shutdown().await;
    assert!(Upstream::new("http://x", &Trust::Anyone).err().unwrap().to_string().contains("https://"));
}
