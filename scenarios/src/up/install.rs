//! The sidecar injector in the cluster: its objects, and the server behind them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use apimachinery::yaml;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fake_apiserver::{Builder, FakeApiserver, Workload};
use http::Method;
use injector::Injector;
use injector::config::Settings;

use super::Log;
use crate::hook::{Answerer, Hook};

const NAMESPACE: &str = "istio-system";
const NAME: &str = "istio-sidecar-injector";
const PORT: u16 = 443;
/// The labels of the injector's pods.
const LABELS: [(&str, &str); 1] = [("istio", "sidecar-injector")];
/// Lines of its log that are kept.
const KEPT: usize = 10_000;
/// How often its ConfigMaps are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The injector that runs in this process.
pub(super) struct Sidecars {
    settings: Settings,
    hook: Hook,
    address: SocketAddr,
    log: Log,
}

/// What stands behind the injector's pods.
struct Behind {
    log: Log,
    address: SocketAddr,
}

impl Workload for Behind {
    fn log(&self, _container: &str) -> Vec<(i64, String)> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn connect(&self, port: u16) -> Option<SocketAddr> {
        (port == PORT).then_some(self.address)
    }
}

fn say(log: &Log, level: &str, text: &str) {
    let now = Clock::system().now();
    let mut lines = log.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() == KEPT {
        lines.pop_front();
    }
    lines.push_back((now.unix_micros(), format!("{} {level:>5} {text}", now.rfc3339_micro())));
}

/// Answers with an injector, and logs each review as `sidecar-injector serve` does: who, what and why, never any content.
fn answerer(injector: Arc<Injector>, log: &Log) -> Answerer {
    let log = Arc::clone(log);
    Answerer::Function(Arc::new(move |body| {
        let reviewed = injector.review(body, "/inject");
        let outcome = &reviewed.outcome;
        let line = format!(
            "review uid={:?} pod={:?} outcome={:?} reason={:?}",
            outcome.uid(),
            outcome.pod(),
            outcome.word(),
            outcome.reason()
        );
        say(&log, if outcome.failed() { "WARN" } else { "INFO" }, &line);
        Some(reviewed.body)
    }))
}

impl Sidecars {
    pub(super) async fn new(settings: Settings) -> anyhow::Result<Sidecars> {
        let injector = Arc::new(Injector::load(settings.clone()).context("cannot load the injector's configuration")?);
        let log: Log = Arc::new(Mutex::new(VecDeque::new()));
        let service = (NAMESPACE.to_owned(), NAME.to_owned(), PORT);
        let hook = Hook::new(&service, answerer(injector, &log))?;
        let address = hook.listen().await?;
        say(&log, "INFO", &format!("ready address={address}"));
        Ok(Sidecars { settings, hook, address, log })
    }

    /// Tells the cluster where the service is, and what is behind its pods.
    pub(super) fn attach(&self, builder: Builder) -> Builder {
        let behind = Arc::new(Behind { log: Arc::clone(&self.log), address: self.address });
        builder.resolve_service(NAMESPACE, NAME, PORT, self.address).workload(NAMESPACE, LABELS, behind)
    }

    /// Creates the injector's objects, as far as they are not there.
    pub(super) async fn install(&self, cluster: &FakeApiserver) -> anyhow::Result<()> {
        for object in self.objects()? {
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            match cluster.create(object).await {
                Ok(_) => {}
                Err(error) if error.to_string().contains("already exists") => {}
                Err(error) => return Err(error).with_context(|| format!("cannot install the injector's {kind}")),
            }
        }
        Ok(())
    }

    fn objects(&self) -> anyhow::Result<Vec<Value>> {
        let metadata =
            json!({ "name": NAME, "namespace": NAMESPACE, "labels": { "istio": "sidecar-injector", "app": NAME } });
        let labels = json!({ "istio": "sidecar-injector" });
        let mut objects = vec![
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }),
            self.config_map()?,
        ];
        if let Some(mesh) = &self.settings.mesh_config {
            objects.push(json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "istio", "namespace": NAMESPACE },
                "data": { "mesh": mesh },
            }));
        }
        objects.push(json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata }));
        objects.push(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": { "selector": labels, "ports": [{ "name": "https-inject", "port": PORT, "targetPort": PORT }] },
        }));
        objects.push(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": 1, "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels, "annotations": { "sidecar.istio.io/inject": "false" } },
                    "spec": {
                        "serviceAccountName": NAME,
                        "containers": [{
                            "name": "sidecar-injector", "image": "towtank/sidecar-injector",
                            "args": ["serve", "--inject-config=/etc/istio/inject/config", "--mesh-config=/etc/istio/config/mesh"],
                            "ports": [{ "containerPort": PORT }],
                        }],
                    },
                },
            },
        }));
        objects.push(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": NAME },
            "webhooks": [{
                "name": "sidecar-injector.istio.io",
                "admissionReviewVersions": ["v1", "v1beta1"], "sideEffects": "None", "failurePolicy": "Fail",
                "clientConfig": {
                    "service": { "namespace": NAMESPACE, "name": NAME, "port": PORT, "path": "/inject" },
                    "caBundle": STANDARD.encode(self.hook.ca_pem()),
                },
                "namespaceSelector": { "matchLabels": { "istio-injection": "enabled" } },
                "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] }],
            }],
        }));
        Ok(objects)
    }

    /// The ConfigMap that was given, or one made of the text that was.
    fn config_map(&self) -> anyhow::Result<Value> {
        let given = yaml::parse(&self.settings.inject_config)?;
        let mut data = match &given["data"] {
            Value::Object(data) if given["kind"] == "ConfigMap" => data.clone(),
            _ => [("config".to_owned(), Value::from(self.settings.inject_config.as_str()))].into_iter().collect(),
        };
        if let Some(values) = &self.settings.values {
            data.insert("values".to_owned(), values.as_str().into());
        }
        let metadata = json!({ "name": NAME, "namespace": NAMESPACE, "labels": { "istio": "sidecar-injector" } });
        Ok(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }))
    }

    /// Loads the configuration again whenever a ConfigMap has changed.
    pub(super) async fn follow(&self, cluster: &FakeApiserver) {
        let mut known = self.read(cluster).await;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = self.read(cluster).await;
            if found == known || found.0.is_null() {
                continue;
            }
            known = found;
            let (data, mesh) = &known;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let settings = Settings {
                inject_config: text(&data["config"]).unwrap_or_default(),
                values: text(&data["values"]),
                mesh_config: text(&mesh["mesh"]).or_else(|| self.settings.mesh_config.clone()),
                ..self.settings.clone()
            };
            match Injector::load(settings) {
                Ok(injector) => {
                    self.hook.answer_with(answerer(Arc::new(injector), &self.log));
                    say(&self.log, "INFO", "configuration reloaded");
                }
                Err(error) => {
                    let why = format!("the configuration was refused, the last good one stays in use: {error}");
                    say(&self.log, "ERROR", &why);
                }
            }
        }
    }

    async fn read(&self, cluster: &FakeApiserver) -> (Value, Value) {
        let get = async |name: &str| {
            let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{name}");
            cluster.request(Method::GET, &path, None).await.json()["data"].take()
        };
        (get(NAME).await, get("istio").await)
    }
}
