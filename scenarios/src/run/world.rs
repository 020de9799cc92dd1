//! A scenario's cluster and webhooks.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use apimachinery::value::{Value, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fake_apiserver::admission::Entry;
use http::Method;
use injector::Injector;
use injector::config::Settings;

use crate::cluster::{Answer, Api, Ask, Fake, Hosts, Kinds, Resource, Setup};
use crate::hook::{Answerer, Called, Hook};
use crate::scenario::{Backend, InjectorSource, ObjectRef, Scenario, Webhook};

/// Suffix of the names of webhooks that the runner registers: such names need three parts.
const DOMAIN: &str = "webhook.towtank.dev";

/// The cluster of a running scenario.
pub(super) struct World {
    api: Fake,
    pub(super) kinds: Kinds,
    hooks: Vec<Running>,
    /// Which webhook an entry of a webhook configuration stands for: (configuration, entry) to the scenario's name.
    entries: HashMap<(String, String), String>,
}

struct Running {
    webhook: Webhook,
    /// `None` for one behind a URL.
    hook: Option<Arc<Hook>>,
    /// The ConfigMap that its injector was loaded from, as it was then.
    loaded: Value,
}

impl World {
    /// Starts the cluster and the webhooks, and creates what the scenario says is there.
    pub(super) async fn start(scenario: &Scenario) -> anyhow::Result<Self> {
        let mut hosts = Hosts::default();
        let mut services = Vec::new();
        let mut hooks = Vec::new();
        for (index, webhook) in scenario.cluster.webhooks.iter().enumerate() {
            let answerer = match &webhook.backend {
                Backend::Url { .. } => {
                    hooks.push(Running { webhook: webhook.clone(), hook: None, loaded: Value::Null });
                    continue;
                }
                Backend::Reply(reply) => Answerer::Reply(reply.clone()),
                Backend::Injector(source) => match &**source {
                    InjectorSource::ConfigMap(..) => Answerer::Nobody,
                    InjectorSource::Texts { config, values, mesh } => {
                        Answerer::Injector(Arc::new(Injector::load(Settings {
                            inject_config: config.clone(),
                            values: values.clone(),
                            mesh_config: mesh.clone(),
                            ..Settings::default()
                        })?))
                    }
                },
            };
            let hook = Arc::new(Hook::new(&webhook.service, answerer)?);
            // The address is only a name for the connection in memory.
            let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
            let address = SocketAddr::from((Ipv4Addr::new(10, 96, 77, number), webhook.service.2));
            hosts.add(address, hook.clone());
            services.push((webhook.service.clone(), address));
            hooks.push(Running { webhook: webhook.clone(), hook: Some(hook), loaded: Value::Null });
        }
        let api = Fake::start(Setup { seed: scenario.seed, services, hosts, nodes: 0, virtual_time: true }).await?;
        let kinds = Kinds::discover(&api).await;
        let mut world = Self { api, kinds, hooks, entries: HashMap::new() };
        world.populate(scenario).await?;
        Ok(world)
    }

    async fn populate(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        for (name, labels) in &scenario.cluster.namespaces {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
            self.must_create(namespace).await?;
        }
        for object in &scenario.cluster.objects {
            self.must_create(object.clone()).await?;
        }
        let registered: Vec<Value> = self
            .hooks
            .iter()
            .filter(|running| running.webhook.register)
            .map(configuration)
            .collect::<Result<_, _>>()?;
        for configuration in registered {
            self.must_create(configuration).await?;
        }
        self.reload().await?;
        Ok(())
    }

    async fn must_create(&mut self, object: Value) -> anyhow::Result<()> {
        let name = format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        let answer = self.create(object).await?.1;
        anyhow::ensure!(answer.is_success(), "{name} of the scenario's cluster was refused: {}", answer.message());
        Ok(())
    }

    /// POSTs an object; also says what was done, for people.
    pub(super) async fn create(&mut self, mut object: Value) -> anyhow::Result<(String, Answer)> {
        self.adopt(&mut object);
        let namespace = text(&object["metadata"]["namespace"]);
        let resource = self.kinds.of(&object)?;
        let namespace = if resource.namespaced && namespace.is_empty() { "default" } else { namespace };
        let path = resource.path(namespace, "");
        Ok(self.send(Ask::new(Method::POST, path).body(&object)).await)
    }

    /// Creates an object, or lays it over the one that exists.
    pub(super) async fn apply(&mut self, mut object: Value) -> anyhow::Result<(String, Answer)> {
        let (what, answer) = self.create(object.clone()).await?;
        if answer.status != 409 {
            return Ok((what, answer));
        }
        self.adopt(&mut object);
        let resource = self.kinds.of(&object)?;
        let namespace = text(&object["metadata"]["namespace"]);
        let namespace = if resource.namespaced && namespace.is_empty() { "default" } else { namespace };
        let path = resource.path(namespace, text(&object["metadata"]["name"]));
        let ask = Ask::new(Method::PATCH, path).body(&object).content_type("application/merge-patch+json");
        Ok(self.send(ask).await)
    }

    /// A request for a named object.
    pub(super) async fn object(&self, method: Method, object: &ObjectRef) -> anyhow::Result<(String, Answer)> {
        Ok(self.send(Ask::new(method, self.path(object)?)).await)
    }

    pub(super) fn path(&self, object: &ObjectRef) -> anyhow::Result<String> {
        let resource: &Resource = self.kinds.named(&object.kind)?;
        anyhow::ensure!(
            resource.namespaced != object.namespace.is_empty(),
            "{object}: {} are {}",
            resource.plural,
            if resource.namespaced {
                "in namespaces: write kind/namespace/name"
            } else {
                "in no namespace: write kind/name"
            }
        );
        Ok(resource.path(&object.namespace, &object.name))
    }

    pub(super) async fn send(&self, ask: Ask) -> (String, Answer) {
        let what = format!("{} {}", ask.method, ask.path);
        (what, self.api.ask(ask).await)
    }

    /// A webhook configuration that names one of the scenario's services gets its authority's certificate, as the
    /// webhook's own controller would write it there, and is remembered.
    fn adopt(&mut self, object: &mut Value) {
        if !text(&object["kind"]).ends_with("WebhookConfiguration") {
            return;
        }
        let configuration = text(&object["metadata"]["name"]).to_owned();
        for entry in object["webhooks"].as_array_mut().into_iter().flatten() {
            let service = &entry["clientConfig"]["service"];
            let (namespace, name) = (text(&service["namespace"]).to_owned(), text(&service["name"]).to_owned());
            let url = text(&entry["clientConfig"]["url"]).to_owned();
            let running = self.hooks.iter().find(|running| match &running.webhook.backend {
                Backend::Url { url: own, .. } => *own == url,
                _ => running.webhook.service.0 == namespace && running.webhook.service.1 == name,
            });
            let Some(running) = running else { continue };
            let key = (configuration.clone(), text(&entry["name"]).to_owned());
            self.entries.insert(key, running.webhook.name.clone());
            if let Some(hook) = &running.hook
                && text(&entry["clientConfig"]["caBundle"]).is_empty()
            {
                entry["clientConfig"]["caBundle"] = STANDARD.encode(hook.ca_pem()).into();
            }
        }
    }

    /// Loads the injectors whose ConfigMap has changed. A ConfigMap that does not load leaves the last good one, and is
    /// told.
    pub(super) async fn reload(&mut self) -> anyhow::Result<Vec<String>> {
        let mut told = Vec::new();
        for index in 0..self.hooks.len() {
            let Backend::Injector(source) = &self.hooks[index].webhook.backend else { continue };
            let InjectorSource::ConfigMap(namespace, name) = &**source else { continue };
            let name = format!("{namespace}/{name}");
            let object = ObjectRef::parse(&format!("configmap/{name}"))
                .ok_or_else(|| anyhow::anyhow!("{name} is no ConfigMap's name"))?;
            let (_, answer) = self.object(Method::GET, &object).await?;
            let running = &mut self.hooks[index];
            if !answer.is_success() || running.loaded == answer.body["data"] {
                continue;
            }
            running.loaded = answer.body["data"].clone();
            let settings = Settings { inject_config: answer.body.to_string(), ..Settings::default() };
            match (Injector::load(settings), &running.hook) {
                (Ok(injector), Some(hook)) => {
                    hook.answer_with(Answerer::Injector(Arc::new(injector)));
                    told.push(format!("{} loaded ConfigMap {name}", running.webhook.name));
                }
                (Err(error), _) => {
                    told.push(format!("{} cannot load ConfigMap {name}: {error}", running.webhook.name));
                }
                (Ok(_), None) => {}
            }
        }
        Ok(told)
    }

    /// A webhook of the scenario that runs in this process.
    pub(super) fn hook(&self, name: &str) -> anyhow::Result<&Hook> {
        let running = self.hooks.iter().find(|running| running.webhook.name == name);
        let hook = running.and_then(|running| running.hook.as_deref());
        hook.ok_or_else(|| anyhow::anyhow!("webhook {name:?} is behind a URL: its faults are its own"))
    }

    /// How often each webhook has been called.
    pub(super) fn mark(&self) -> Vec<usize> {
        self.hooks.iter().map(|running| running.hook.as_ref().map_or(0, |hook| hook.calls().len())).collect()
    }

    /// The calls since a mark.
    pub(super) fn calls_since(&self, mark: &[usize]) -> Vec<(String, Called)> {
        let mut calls = Vec::new();
        for (running, seen) in self.hooks.iter().zip(mark) {
            let Some(hook) = &running.hook else { continue };
            calls.extend(hook.calls().into_iter().skip(*seen).map(|call| (running.webhook.name.clone(), call)));
        }
        calls
    }

    /// Lines of a trace, the scenario's names in place of those in webhook configurations.
    pub(super) fn named(&self, entries: &[Entry]) -> Vec<Entry> {
        let mut entries = entries.to_vec();
        for entry in &mut entries {
            if let Some(name) = self.entries.get(&(entry.configuration.clone(), entry.webhook.clone())) {
                entry.webhook.clone_from(name);
            }
        }
        entries
    }
}

/// The webhook configuration of a webhook that the runner registers.
fn configuration(running: &Running) -> anyhow::Result<Value> {
    let webhook = &running.webhook;
    let client = match (&webhook.backend, &running.hook) {
        (Backend::Url { url, ca }, _) => {
            let pem = std::fs::read(ca).map_err(|error| anyhow::anyhow!("cannot read {}: {error}", ca.display()))?;
            json!({ "url": url, "caBundle": STANDARD.encode(pem) })
        }
        _ => {
            let (namespace, name, port) = &webhook.service;
            json!({ "service": { "namespace": namespace, "name": name, "port": port, "path": webhook.path } })
        }
    };
    let mut entry = json!({
        "name": format!("{}.{DOMAIN}", webhook.name),
        "clientConfig": client,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "admissionReviewVersions": ["v1"],
    });
    for (key, value) in &webhook.fields {
        entry[key] = value.clone();
    }
    let kind = if webhook.validating { "ValidatingWebhookConfiguration" } else { "MutatingWebhookConfiguration" };
    Ok(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
        "metadata": {"name": webhook.name}, "webhooks": [entry],
    }))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
