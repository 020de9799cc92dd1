//! The chain over connections in memory, under paused time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apimachinery::value::json;
use bytes::Bytes;
use http::{Request, Response};
use tokio::time::Instant;

use super::testing::Objects;
use super::{
    Attributes, Chain, Connection, Connector, GroupVersionKind, GroupVersionResource, InProcess, Operation, Outcome,
};

/// Connects to somebody who never says a word, or to nobody.
struct Silent {
    refuse: bool,
}

impl Connector for Silent {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        Box::pin(async move {
            if self.refuse {
                return Err(format!("dial tcp {host}:{port}: connect: connection refused"));
            }
            let (near, far) = tokio::io::duplex(64 << 10);
            tokio::spawn(async move {
                let _open = far;
                std::future::pending::<()>().await;
            });
            Ok(Connection { io: Box::new(near), local: "near".to_owned(), remote: "far".to_owned() })
        })
    }
}

fn cluster(failure_policy: &str) -> Objects {
    let hook = json!({
        "name": "h.example.com",
        "clientConfig": {"url": "https://127.0.0.1:8443/x"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
        "failurePolicy": failure_policy, "sideEffects": "None", "timeoutSeconds": 10, "admissionReviewVersions": ["v1"],
    });
    <Objects as Default>::default()
        .with("namespaces", "", json!({"metadata": {"name": "shop"}, "status": {"phase": "Active"}}))
        .with("mutatingwebhookconfigurations", "", json!({"metadata": {"name": "c"}, "webhooks": [hook]}))
}

fn create() -> Attributes {
    let kind = GroupVersionKind::new("", "v1", "ConfigMap");
    let mut attributes = Attributes::new(Operation::Create, kind, GroupVersionResource::new("", "v1", "configmaps"));
    attributes.namespace = "shop".to_owned();
    attributes.name = "c".to_owned();
    attributes.object =
        Some(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}}));
    attributes
}

#[tokio::test(start_paused = true)]
async fn a_silent_webhook_costs_its_timeout_of_virtual_time() {
    let chain = Chain::with_connector(Arc::new(Silent { refuse: false }));
    let started = Instant::now();
    let refused = chain.mutate(&cluster("Fail"), &mut create()).await.unwrap_err();
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(
        (refused.code, refused.message()),
        (
            500,
            "Internal error occurred: failed calling webhook \"h.example.com\": failed to call webhook: Post \"https://127.0.0.1:8443/x?timeout=10s\": context deadline exceeded"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_has_no_more_time_than_its_client_gives_it() {
    let chain = Chain::with_connector(Arc::new(Silent { refuse: false }));
    let mut attributes = create();
    attributes.deadline = Some(Instant::now() + Duration::from_millis(1500));
    let refused = chain.mutate(&cluster("Fail"), &mut attributes).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message()),
        (504, "Timeout: request did not complete within the allotted timeout")
    );
}

#[tokio::test(start_paused = true)]
async fn failure_policy_ignore_lets_the_request_pass_and_the_trace_says_why() {
    let chain = Chain::with_connector(Arc::new(Silent { refuse: true }));
    let mut attributes = create();
    chain.mutate(&cluster("Ignore"), &mut attributes).await.unwrap();
    assert_eq!(attributes.audit["failed-open.mutation.webhook.admission.k8s.io/round_0_index_0"], "h.example.com");
    let entry = attributes.trace.entries.last().unwrap();
    assert!(
        matches!(&entry.outcome, Outcome::FailedOpen(error) if error.ends_with("connect: connection refused")),
        "{entry}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_namespace_stops_the_request_before_any_webhook() {
    let chain = Chain::with_connector(Arc::new(Silent { refuse: true }));
    let mut attributes = create();
    attributes.namespace = "nowhere".to_owned();
    let refused = chain.mutate(&cluster("Fail"), &mut attributes).await.unwrap_err();
    assert_eq!((refused.code, refused.message()), (404, "namespaces \"nowhere\" not found"));
    assert!(attributes.trace.entries.is_empty());
}

/// A webhook in this process that says what it is given to say, and then nothing more.
#[derive(Default)]
struct Here {
    answers: Mutex<VecDeque<Response<Bytes>>>,
    asked: Mutex<Vec<String>>,
}

impl InProcess for Here {
    fn answer(&self, request: Request<Bytes>) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send + '_>> {
        self.asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

struct At(Arc<Here>);

impl Connector for At {
    fn in_process(&self, host: &str, port: u16) -> Option<Arc<dyn InProcess>> {
        (host == "127.0.0.1" && port == 8443).then(|| Arc::clone(&self.0) as Arc<dyn InProcess>)
    }

    fn connect<'a>(
        &'a self,
        _host: &'a str,
        _port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        Box::pin(std::future::ready(Err("nobody dials here".to_owned())))
    }
}

fn here(answers: impl IntoIterator<Item = Response<Bytes>>) -> (Chain, Arc<Here>) {
    let here = Arc::new(Here { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() });
    (Chain::with_connector(Arc::new(At(Arc::clone(&here)))), here)
}

fn answer(code: u16, header: Option<(&str, &str)>, body: &str) -> Response<Bytes> {
    let builder = Response::builder().status(code);
    let builder = header.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

/// What the webhook says to [`Objects`], whose uids are all the same.
const ALLOWED: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":
    {"uid":"0d5a1ff2-8a3c-4f0e-9a55-000000000001","allowed":true,"warnings":["heard"]}}"#;

#[tokio::test(start_paused = true)]
async fn a_webhook_in_the_process_may_redirect_and_ask_for_time() {
    let (chain, here) = here([
        answer(307, Some(("location", "/y")), ""),
        answer(503, Some(("retry-after", "3")), "later"),
        answer(200, None, ALLOWED),
    ]);
    let (started, mut attributes) = (Instant::now(), create());
    chain.mutate(&cluster("Fail"), &mut attributes).await.unwrap();
    assert_eq!(attributes.warnings, ["heard"]);
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(*here.asked.lock().unwrap(), ["POST /x?timeout=10s", "POST /y", "POST /x?timeout=10s"]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_in_the_process_fails_as_one_elsewhere_does() {
    let (chain, _) = here([answer(500, Some(("content-type", "text/plain")), "broken"), answer(200, None, "")]);
    for (after, said) in [
        (0, "an error on the server (\"broken\") has prevented the request from succeeding"),
        (0, "0-length response with status code: 200 and content type: application/json"),
        (10, "Post \"https://127.0.0.1:8443/x?timeout=10s\": context deadline exceeded"),
    ] {
        let started = Instant::now();
        let refused = chain.mutate(&cluster("Fail"), &mut create()).await.unwrap_err();
        assert!(refused.message().ends_with(said), "{}", refused.message());
        assert_eq!(started.elapsed().as_secs(), after);
    }
}
