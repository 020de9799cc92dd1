//! `serve --capture`: what the injector answers is recorded beside it.

use admission::capture::{Options, Reader, Recorder, Redactor, logs};
use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use injector::serve;

use crate::support::{Certificate, Client, Folder, Protocol, pod, review};

#[tokio::test]
async fn reviews_and_answers_are_recorded_without_secrets_as_they_went_over_the_wire() {
    let certificate = Certificate::new();
    let folder = Folder::new(&certificate);
    let directory = tempfile::tempdir().unwrap();
    let recording = Options::new(directory.path().to_owned(), Some(Redactor::new(b"key")), Clock::system());
    let recorder = Recorder::start(recording, |_| {}).unwrap();
    let server = serve::start(serve::Options { recorder: Some(recorder.clone()), ..folder.options() }).await.unwrap();
    let mut secret = pod();
    secret["spec"]["containers"][0]["env"] = json!([{ "name": "DB_PASSWORD", "value": "hunter2hunter2" }]);
    let mut answers = Vec::new();
    for (protocol, object) in [(Protocol::Http1, pod()), (Protocol::Http2, pod()), (Protocol::Http1, secret)] {
        let mut client = Client::connect(server.addr(), &certificate, protocol).await.unwrap();
        let (status, answer) = client.post(Some("application/json"), review("shop", &object).to_string()).await;
        assert_eq!(status, 200);
        answers.push((object, serde_json::from_slice::<Value>(&answer).unwrap()));
    }
    let mut client = Client::connect(server.addr(), &certificate, Protocol::Http1).await.unwrap();
    assert!(recorder.flush(std::time::Duration::from_secs(60)));
    let (_, metrics) = client.get("/metrics").await;
    assert!(metrics.lines().any(|line| line == "towtank_capture_records_written_total 3"), "{metrics}");
    server.shutdown().await;
    let counts = recorder.close();
    assert_eq!((counts.offered, counts.written, counts.dropped), (3, 3, 0));

    let files = logs(directory.path()).unwrap();
    let records: Vec<_> = files.iter().flat_map(|file| Reader::open(file).unwrap()).map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    for (record, (object, answer)) in records.iter().zip(&answers).take(2) {
        assert_eq!((record.path.as_str(), record.query.as_str()), ("/inject", "timeout=10s"));
        assert!(record.headers.iter().any(|(name, value)| name == "content-type" && value == "application/json"));
        assert_eq!(serde_json::from_str::<Value>(&record.body).unwrap(), review("shop", object));
        let recorded = record.response.as_ref().unwrap();
        assert_eq!(&serde_json::from_str::<Value>(&recorded.body).unwrap(), answer);
    }
    let text = format!("{:?}", records[2]);
    assert!(text.contains("redacted:") && !text.contains("hunter2"), "{text}");
}
