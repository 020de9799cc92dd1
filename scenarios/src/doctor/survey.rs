//! What the other checks stand on: the version, the webhook configurations, the namespaces.

use std::collections::{BTreeMap, BTreeSet};

use apimachinery::value::{Map, Value};
use http::Method;
use injector::webhooks::Webhook;

use super::finding::Findings;
use crate::cluster::{Answer, Api, Ask};

const GROUP: &str = "admissionregistration.k8s.io";
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Objects in a page of a list.
const PAGE: usize = 500;

/// A webhook of a sidecar injector.
pub(super) struct Hook {
    /// How it decides on pods.
    pub(super) webhook: Webhook,
    /// Its configuration's name.
    pub(super) configuration: String,
    /// Its entry.
    pub(super) entry: Value,
}

/// A service behind a webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: u64,
}

/// A cluster, as far as all checks need it.
pub(super) struct Survey {
    pub(super) hooks: Vec<Hook>,
    /// The labels of the namespaces by name, each with its name among them.
    pub(super) namespaces: BTreeMap<String, Map>,
}

impl Survey {
    /// Asks for it; `None` if there is nothing to go on with, which is found then.
    pub(super) async fn take(api: &dyn Api, findings: &mut Findings) -> Option<Self> {
        let version = get(api, "/version").await;
        if !version.is_success() {
            let why = format!("does not answer: {}", said(&version));
            findings.problem("apiserver", why, "check the kubeconfig's server, authority and credentials");
            return None;
        }
        findings.ok("apiserver", format!("Kubernetes {}", version.body["gitVersion"].as_str().unwrap_or("?")));
        let groups = get(api, "/apis").await;
        if !groups.is_success() {
            let remedy = "use a kubeconfig whose user may read the discovery documents";
            findings.problem("/apis", format!("cannot be read: {}", said(&groups)), remedy);
            return None;
        }
        let groups = groups.body["groups"].as_array().into_iter().flatten();
        let group = groups.clone().find(|group| group["name"] == GROUP);
        let versions = group.and_then(|group| group["versions"].as_array()).into_iter().flatten();
        let versions: Vec<&str> = versions.filter_map(|version| version["version"].as_str()).collect();
        let Some(version) = ["v1", "v1beta1"].into_iter().find(|version| versions.contains(version)) else {
            let remedy = "enable it with the apiserver's --runtime-config and the plugin MutatingAdmissionWebhook";
            findings.problem(GROUP, "is not served: no webhook is ever called", remedy);
            return None;
        };
        findings.ok(GROUP, format!("is served: {}", versions.join(", ")));
        let configurations =
            list(api, &format!("/apis/{GROUP}/{version}/mutatingwebhookconfigurations"), findings).await?;
        let namespaces = list(api, "/api/v1/namespaces", findings).await?;
        let hooks: Vec<Hook> = configurations.iter().flat_map(injectors).collect();
        if hooks.is_empty() {
            findings.problem(
                "webhook configurations",
                format!("none of {} is a sidecar injector's: no pod gets a sidecar", configurations.len()),
                "install the injector's MutatingWebhookConfiguration (its webhooks call a path that begins with /inject)",
            );
            return None;
        }
        let namespaces = namespaces.iter().map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let mut labels = object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
            labels.insert(NAME_LABEL.to_owned(), name.into());
            (name.to_owned(), labels)
        });
        Some(Self { hooks, namespaces: namespaces.collect() })
    }

    /// The services that the webhooks call.
    pub(super) fn services(&self) -> BTreeSet<Service> {
        self.hooks.iter().filter_map(Hook::service).collect()
    }

    /// The labels of a namespace, with its name.
    pub(super) fn labels(&self, namespace: &str) -> Map {
        let unknown = || Map::from_iter([(NAME_LABEL.to_owned(), namespace.into())]);
        self.namespaces.get(namespace).cloned().unwrap_or_else(unknown)
    }

    /// The webhooks that an apiserver calls for a pod in a namespace.
    pub(super) fn called<'a>(&'a self, labels: &Map, pod: &Value) -> Vec<&'a Hook> {
        self.hooks.iter().filter(|hook| hook.webhook.judge(labels, pod).decided).collect()
    }
}

impl Hook {
    pub(super) fn service(&self) -> Option<Service> {
        let service = self.entry["clientConfig"]["service"].as_object()?;
        let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let port = service.get("port").and_then(Value::as_u64).unwrap_or(443);
        Some(Service { namespace: text("namespace"), name: text("name"), port })
    }

    /// How it is called in findings.
    pub(super) fn subject(&self) -> String {
        format!("webhook {}", self.webhook.name)
    }
}

/// The webhooks of a configuration that call an injector.
fn injectors(configuration: &Value) -> Vec<Hook> {
    let name = configuration["metadata"]["name"].as_str().unwrap_or_default();
    let entries = configuration["webhooks"].as_array().into_iter().flatten();
    let hooks = Webhook::all_of(&with_kind(configuration)).into_iter().zip(entries);
    hooks
        .filter(|(_, entry)| {
            let client = &entry["clientConfig"];
            let url = client["url"].as_str().and_then(|url| url.parse::<http::Uri>().ok());
            let path = client["service"]["path"].as_str().or(url.as_ref().map(|url| url.path())).unwrap_or_default();
            let named = entry["name"].as_str().unwrap_or_default();
            path == "/inject" || path.starts_with("/inject/") || named.contains("sidecar-injector")
        })
        .map(|(webhook, entry)| Hook { webhook, configuration: name.to_owned(), entry: entry.clone() })
        .collect()
}

/// Items of a list come without their kind.
fn with_kind(configuration: &Value) -> Value {
    let mut object = configuration.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("kind".to_owned(), "MutatingWebhookConfiguration".into());
    }
    object
}

/// Asks for one object.
pub(super) async fn get(api: &dyn Api, path: &str) -> Answer {
    api.ask(Ask::new(Method::GET, path)).await
}

/// Asks for a list; a refusal is found.
pub(super) async fn list(api: &dyn Api, path: &str, findings: &mut Findings) -> Option<Vec<Value>> {
    let mut items = Vec::new();
    pages(api, path, findings, |item| items.push(item)).await.then_some(items)
}

/// Goes through a list page by page; false if it is refused, which is found.
pub(super) async fn pages(api: &dyn Api, path: &str, findings: &mut Findings, mut each: impl FnMut(Value)) -> bool {
    let mut token = String::new();
    loop {
        let query = if path.contains('?') { '&' } else { '?' };
        let mut page = get(api, &format!("{path}{query}limit={PAGE}{token}")).await;
        if !page.is_success() {
            let subject = path.split('?').next().unwrap_or(path);
            let remedy = "use a kubeconfig whose user may read it (kubectl auth can-i list ...)";
            findings.problem(subject, format!("cannot be listed: {}", said(&page)), remedy);
            return false;
        }
        if let Some(items) = page.body.get_mut("items").and_then(Value::as_array_mut) {
            std::mem::take(items).into_iter().for_each(&mut each);
        }
        match page.body["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
            Some(next) => token = format!("&continue={}", next.replace('+', "%2B").replace('=', "%3D")),
            None => return true,
        }
    }
}

/// What an apiserver said when it refused.
pub(super) fn said(answer: &Answer) -> String {
    match answer.status {
        0 => answer.message(),
        status => format!("HTTP {status}: {}", answer.message()),
    }
}
