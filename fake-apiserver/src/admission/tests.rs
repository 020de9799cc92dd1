//! The chain over connections in memory, under paused time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::json;
use tokio::time::Instant;

use super::testing::Objects;
use super::{Attributes, Chain, Connection, Connector, GroupVersionKind, GroupVersionResource, Operation, Outcome};

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
