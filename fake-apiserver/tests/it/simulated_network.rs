//! The same chain under turmoil: the webhook is on another, simulated host; timeouts are counted in simulated time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::value::{Value, json};
use fake_apiserver::FakeApiserver;
use fake_apiserver::admission::{Connection, Connector};
use tokio::time::Instant;

use crate::support::{Webhook, ca_bundle, patch};

const PORT: u16 = 8443;

/// Dials hosts of the simulation.
struct Simulated;

impl Connector for Simulated {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = Result<Connection, String>> + Send + 'a>> {
        Box::pin(async move {
            let stream = turmoil::net::TcpStream::connect((host, port))
                .await
                .map_err(|error| format!("dial tcp {host}:{port}: connect: {error}"))?;
            let local = stream.local_addr().map(|address| address.to_string()).unwrap_or_default();
            Ok(Connection { io: Box::new(stream), local, remote: format!("{host}:{port}") })
        })
    }
}

async fn webhook() -> turmoil::Result {
    let hook = Webhook::new(|_, _| patch(&json!([{"op": "add", "path": "/data/seen", "value": "yes"}])));
    let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(hook.clone().serve(stream));
    }
}

async fn cluster(failure_policy: &str) -> FakeApiserver {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]});
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "m"},
        "webhooks": [{
            "name": "h.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": [rule],
            "clientConfig": {"url": format!("https://hook:{PORT}/h"), "caBundle": ca_bundle()},
            "failurePolicy": failure_policy, "timeoutSeconds": 10,
        }],
    });
    // Controllers would make ConfigMaps of their own, through the webhook.
    let builder = FakeApiserver::builder().connector(Arc::new(Simulated)).controllers(false);
    let cluster = builder.namespace("shop", []).start().await.unwrap();
    cluster.create(configuration).await.unwrap();
    cluster
}

/// Creates a ConfigMap; its `seen`, or the refusal, and the simulated time that it took.
async fn create(cluster: &FakeApiserver, name: &str) -> (Result<Value, String>, Duration) {
    let started = Instant::now();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"k": "v"}});
    let created = cluster.create(map).await;
    (created.map(|map| map["data"]["seen"].clone()).map_err(|error| error.to_string()), started.elapsed())
}

fn simulate(latency: Duration, test: impl Future<Output = ()> + 'static) {
    let mut builder = turmoil::Builder::new();
    builder.simulation_duration(Duration::from_secs(300)).tick_duration(Duration::from_millis(10)).enable_tokio_io();
    builder.min_message_latency(latency).max_message_latency(latency).rng_seed(1);
    let mut simulation = builder.build();
    simulation.host("hook", webhook);
    simulation.client("apiserver", async move {
        test.await;
        Ok(())
    });
    simulation.run().unwrap();
}

#[test]
fn latency_is_paid_for_in_simulated_time() {
    simulate(Duration::from_millis(200), async {
        let cluster = cluster("Fail").await;
        let (seen, took) = create(&cluster, "a").await;
        assert_eq!(seen, Ok(json!("yes")));
        assert!(took >= Duration::from_millis(800), "a handshake and a request have round trips: {took:?}");
        // The connection is kept, so the second call is one round trip.
        let (seen, took) = create(&cluster, "b").await;
        assert_eq!(seen, Ok(json!("yes")));
        assert!((Duration::from_millis(400)..Duration::from_millis(600)).contains(&took), "{took:?}");
    });
}

#[test]
fn a_partition_lasts_until_the_timeout_and_is_healed() {
    simulate(Duration::from_millis(10), async {
        let cluster = cluster("Fail").await;
        assert_eq!(create(&cluster, "a").await.0, Ok(json!("yes")));
        turmoil::partition("apiserver", "hook");
        let (seen, took) = create(&cluster, "b").await;
        let refusal = seen.unwrap_err();
        assert!(
            refusal.contains("failed calling webhook \"h.example.com\": failed to call webhook: Post"),
            "{refusal}"
        );
        assert!(took <= Duration::from_millis(10_100), "{took:?}");
        turmoil::repair("apiserver", "hook");
        assert_eq!(create(&cluster, "b").await.0, Ok(json!("yes")));
    });
}

#[test]
fn held_messages_time_out_and_failure_policy_ignore_lets_the_request_pass() {
    simulate(Duration::from_millis(10), async {
        let cluster = cluster("Ignore").await;
        assert_eq!(create(&cluster, "a").await.0, Ok(json!("yes")));
        turmoil::hold("apiserver", "hook");
        let (seen, took) = create(&cluster, "b").await;
        assert_eq!(seen, Ok(Value::Null), "created without the webhook");
        assert!((Duration::from_secs(10)..Duration::from_millis(10_100)).contains(&took), "{took:?}");
        turmoil::release("apiserver", "hook");
        assert_eq!(create(&cluster, "c").await.0, Ok(json!("yes")));
    });
}
