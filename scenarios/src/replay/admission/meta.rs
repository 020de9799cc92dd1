//! What surrounds a log: the namespaces and the webhook configuration under which it was captured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use admission::capture::Record;
use apimachinery::value::{Map, Value, json};
use apimachinery::yaml;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::replay::wire::injector_path;

/// Namespaces and webhook configurations.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Namespaces with their labels.
    pub namespaces: Vec<(String, Map)>,
    /// Other objects, created in this order before the webhook configurations.
    pub objects: Vec<Value>,
    /// `MutatingWebhookConfiguration` and `ValidatingWebhookConfiguration` objects.
    pub configurations: Vec<Value>,
}

/// A meta file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("meta file {file}: {message}")]
pub struct MetaError {
    file: String,
    message: String,
}

/// Where the webhooks of a log are found in a replay.
#[derive(Clone, Debug)]
pub enum Place {
    /// The injector in this process, with this authority (PEM). Service references stay, see [`Meta::services`]; paths are
    /// those that the injector serves, see [`injector_path`].
    Local(SocketAddr, String),
    /// An https URL with this authority (PEM). If it has a path, that is used in place of the recorded one.
    Url(String, String),
}

impl Meta {
    /// The file that belongs to a log: `name.meta.json` for `name.jsonl`, `name.jsonl.gz` or `name.jsonl.zst`.
    #[must_use]
    pub fn beside(log: &Path) -> Option<PathBuf> {
        let mut name = log.file_name()?.to_str()?;
        for ending in [".gz", ".zst", ".jsonl", ".json", ".log"] {
            name = name.strip_suffix(ending).unwrap_or(name);
        }
        let path = log.with_file_name(format!("{name}.meta.json"));
        path.is_file().then_some(path)
    }

    /// Reads a meta file: `namespaces` (name to labels) and `webhookConfiguration` (an object or a list of them).
    ///
    /// # Errors
    /// [`MetaError`] names the field.
    pub fn read(file: &str, text: &str) -> Result<Self, MetaError> {
        let bad = |message: String| MetaError { file: file.to_owned(), message };
        let value = yaml::parse(text).map_err(|error| bad(error.to_string()))?;
        let mut meta = Self::default();
        match &value["namespaces"] {
            Value::Null => {}
            Value::Object(namespaces) => {
                for (name, labels) in namespaces {
                    let labels = match labels {
                        Value::Null => Map::new(),
                        Value::Object(labels) => labels.clone(),
                        _ => return Err(bad(format!("namespaces.{name}: want a mapping of labels, or null"))),
                    };
                    meta.namespaces.push((name.clone().into(), labels));
                }
            }
            _ => return Err(bad("namespaces: want a mapping of names to labels".to_owned())),
        }
        meta.configurations = match value.get("webhookConfiguration") {
            Some(Value::Array(list)) => list.clone().into(),
            Some(object @ Value::Object(_)) => vec![object.clone()],
            _ => {
                return Err(bad(
                    "webhookConfiguration: missing: want a Mutating- or ValidatingWebhookConfiguration".to_owned()
                ));
            }
        };
        for configuration in &meta.configurations {
            if !matches!(
                configuration["kind"].as_str(),
                Some("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration")
            ) {
                return Err(bad(format!(
                    "webhookConfiguration: kind {}: want a Mutating- or ValidatingWebhookConfiguration",
                    configuration["kind"]
                )));
            }
        }
        Ok(meta)
    }

    /// Reads the objects of a cluster: YAML documents, lists among them taken apart (`kubectl get -o yaml`). Without a webhook
    /// configuration in it, those of `otherwise` are used.
    ///
    /// # Errors
    /// [`MetaError`] names the line.
    pub fn of_cluster(file: &str, text: &str, otherwise: impl FnOnce() -> Self) -> Result<Self, MetaError> {
        let bad = |message: String| MetaError { file: file.to_owned(), message };
        let mut meta = Self::default();
        for document in yaml::documents(text) {
            let document = document.map_err(|error| bad(error.to_string()))?;
            let line = document.line;
            meta.take(document.value).map_err(|message| bad(format!("document at line {line}: {message}")))?;
        }
        if meta.configurations.is_empty() {
            meta.configurations = otherwise().configurations;
        }
        Ok(meta)
    }

    fn take(&mut self, mut object: Value) -> Result<(), String> {
        if object.is_null() {
            return Ok(());
        }
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        if let (true, Some(Value::Array(items))) = (kind.ends_with("List"), object.get_mut("items").map(Value::take)) {
            return items.into_iter().try_for_each(|item| self.take(item));
        }
        if kind.is_empty() || object["apiVersion"].as_str().is_none_or(str::is_empty) {
            return Err("an object without kind or apiVersion".to_owned());
        }
        // What the cluster wrote itself would be refused, or be wrong here.
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for key in ["resourceVersion", "uid", "creationTimestamp", "managedFields", "generation", "selfLink"] {
                metadata.remove(key);
            }
        }
        match &*kind {
            "Namespace" => {
                let name = object["metadata"]["name"].as_str().ok_or("a Namespace without a name")?.to_owned();
                let labels = object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
                self.namespaces.push((name, labels));
            }
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => self.configurations.push(object),
            _ => self.objects.push(object),
        }
        Ok(())
    }

    /// For a log without a meta file: one webhook that is called for everything, at the path, with the timeout and in
    /// the version of the log's first record. Namespaces are created as they come.
    #[must_use]
    pub fn guess(first: Option<&Record>) -> Self {
        let path = first.map(|record| record.path.as_str()).filter(|path| path.starts_with('/')).unwrap_or("/inject");
        let version = first.and_then(|record| record.review().ok()).map(|review| review.version).unwrap_or_default();
        let versions = match version {
            admission::review::Version::V1 => json!(["v1", "v1beta1"]),
            admission::review::Version::V1beta1 => json!(["v1beta1"]),
        };
        let timeout = first.and_then(|record| {
            record
                .query
                .split('&')
                .find_map(|pair| pair.strip_prefix("timeout=")?.strip_suffix('s')?.parse::<u64>().ok())
        });
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "towtank"},
            "webhooks": [{
                "name": "captured.towtank.dev",
                "clientConfig": {"service": {"namespace": "istio-system", "name": "istiod", "port": 443, "path": path}},
                "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]}],
                "admissionReviewVersions": versions, "sideEffects": "None", "failurePolicy": "Fail",
                "timeoutSeconds": timeout.filter(|seconds| (1..=30).contains(seconds)).unwrap_or(10),
                "namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["istio-system"]},
                ]},
            }],
        });
        Self { namespaces: Vec::new(), objects: Vec::new(), configurations: vec![configuration] }
    }

    /// The services that webhooks are reached at: namespace, name, port.
    #[must_use]
    pub fn services(&self) -> Vec<(String, String, u16)> {
        let mut services = Vec::new();
        for entry in self.entries() {
            let service = &entry["clientConfig"]["service"];
            if let (Some(namespace), Some(name)) = (service["namespace"].as_str(), service["name"].as_str()) {
                let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
                let service = (namespace.to_owned(), name.to_owned(), port);
                if !services.contains(&service) {
                    services.push(service);
                }
            }
        }
        services
    }

    fn entries(&self) -> impl Iterator<Item = &Value> {
        self.configurations.iter().flat_map(|configuration| configuration["webhooks"].as_array().into_iter().flatten())
    }

    /// Webhook configurations whose webhooks are not asked about what a replay itself creates first. Reviews are replayed as
    /// dry runs, and that is not.
    pub(super) fn sparing_setup(&self) -> Vec<Value> {
        let mut configurations = self.configurations.clone();
        let entries = configurations.iter_mut().filter_map(|configuration| configuration["webhooks"].as_array_mut());
        for entry in entries.flatten().filter(|entry| matches_setup(entry)) {
            let condition = json!({ "name": "replayed", "expression": "request.dryRun" });
            match entry["matchConditions"].as_array_mut() {
                Some(conditions) => conditions.push(condition),
                None => entry["matchConditions"] = json!([condition]),
            }
        }
        configurations
    }

    /// Points every webhook to where it is in this replay.
    pub fn redirect(&mut self, place: &Place) {
        let entries =
            self.configurations.iter_mut().filter_map(|configuration| configuration["webhooks"].as_array_mut());
        for entry in entries.flatten() {
            let client = &entry["clientConfig"];
            let recorded = match (&client["service"], client["url"].as_str()) {
                (Value::Object(service), _) => service.get("path").and_then(Value::as_str).unwrap_or("/").to_owned(),
                (_, Some(url)) => path_of(url).to_owned(),
                _ => "/".to_owned(),
            };
            match place {
                Place::Local(_, ca) if client["service"].is_object() => {
                    entry["clientConfig"]["caBundle"] = STANDARD.encode(ca).into();
                    entry["clientConfig"]["service"]["path"] = injector_path(&recorded).into();
                }
                Place::Local(address, ca) => {
                    entry["clientConfig"] = json!({ "url": format!("https://{address}{}", injector_path(&recorded)), "caBundle": STANDARD.encode(ca) });
                }
                Place::Url(url, ca) => {
                    let own = path_of(url);
                    let url = if own == "/" || own.is_empty() {
                        format!("{}{recorded}", url.trim_end_matches('/'))
                    } else {
                        url.clone()
                    };
                    entry["clientConfig"] = json!({ "url": url, "caBundle": STANDARD.encode(ca) });
                }
            }
        }
    }
}

/// Whether a webhook's rules match kinds that a replay creates before the reviews that need them.
fn matches_setup(entry: &Value) -> bool {
    const CREATED: [&str; 6] = ["*", "*/*", "namespaces", "serviceaccounts", "priorityclasses", "runtimeclasses"];
    let resources = entry["rules"].as_array().into_iter().flatten().filter_map(|rule| rule["resources"].as_array());
    resources.flatten().any(|resource| resource.as_str().is_some_and(|resource| CREATED.contains(&resource)))
}

/// The path of an absolute URL, with its query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}
