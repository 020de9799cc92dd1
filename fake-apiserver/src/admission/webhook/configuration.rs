//! Webhook configurations as the dispatcher uses them: parsed once per change, in the order of calling.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apimachinery::labels::Selector;
use apimachinery::value::{List, Value};

use super::super::cel::MatchConditions;
use super::super::cluster::Cluster;
use super::super::trace::Phase;
use super::rules::Rule;
use crate::admission::client::ClientConfig;

const GROUP: &str = "admissionregistration.k8s.io";

/// One webhook of one configuration.
pub(crate) struct Webhook {
    /// Name of the configuration that holds it.
    pub(crate) configuration: String,
    /// Its own name.
    pub(crate) name: String,
    /// Distinguishes it from all others, also when names repeat inside a configuration.
    pub(crate) id: String,
    pub(crate) client: ClientConfig,
    pub(crate) rules: Vec<Rule>,
    /// failurePolicy Ignore.
    pub(crate) ignore_failures: bool,
    /// matchPolicy Equivalent.
    pub(crate) equivalent: bool,
    pub(crate) namespace_selector: Result<Option<Selector>, String>,
    pub(crate) object_selector: Result<Option<Selector>, String>,
    /// sideEffects None or NoneOnDryRun.
    pub(crate) dry_run_safe: bool,
    pub(crate) timeout: Duration,
    /// The first entry of admissionReviewVersions that the server knows.
    pub(crate) v1beta1: bool,
    /// reinvocationPolicy IfNeeded.
    pub(crate) reinvoke: bool,
    pub(crate) conditions: MatchConditions,
}

/// The compiled webhooks of both kinds, kept until a configuration changes.
#[derive(Default)]
pub(crate) struct Webhooks {
    mutating: Mutex<Option<Compiled>>,
    validating: Mutex<Option<Compiled>>,
}

type Compiled = (u64, Arc<[Arc<Webhook>]>);

impl Webhooks {
    /// The webhooks of a phase: configurations by name (byte order), webhooks in list order
    /// (vectors `ordering/config-names-*`).
    pub(crate) fn of(&self, phase: Phase, cluster: &dyn Cluster) -> Arc<[Arc<Webhook>]> {
        let (cell, resource) = match phase {
            Phase::Mutating => (&self.mutating, "mutatingwebhookconfigurations"),
            Phase::Validating => (&self.validating, "validatingwebhookconfigurations"),
        };
        let revision = cluster.revision(GROUP, resource);
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((compiled_at, webhooks)) = &*cell
            && *compiled_at == revision
        {
            return webhooks.clone();
        }
        let mut configurations = cluster.list(GROUP, resource, None);
        configurations.sort_by(|a, b| name_of(a).cmp(name_of(b)));
        let webhooks: Arc<[Arc<Webhook>]> = configurations
            .iter()
            .flat_map(|configuration| {
                let name = name_of(configuration);
                let hooks = configuration["webhooks"].as_array().map(List::as_slice).unwrap_or_default();
                hooks.iter().enumerate().map(move |(index, hook)| Arc::new(Webhook::parse(name, index, hook)))
            })
            .collect();
        *cell = Some((revision, webhooks.clone()));
        webhooks
    }
}

fn name_of(configuration: &Value) -> &str {
    configuration["metadata"]["name"].as_str().unwrap_or_default()
}

impl Webhook {
    fn parse(configuration: &str, index: usize, hook: &Value) -> Self {
        let name = hook["name"].as_str().unwrap_or_default().to_owned();
        let texts = |key: &str| hook[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ignore_failures = hook["failurePolicy"] == "Ignore";
        Self {
            configuration: configuration.to_owned(),
            id: format!("{configuration}/{name}/{index}"),
            client: ClientConfig::parse(&hook["clientConfig"]),
            rules: hook["rules"].as_array().into_iter().flatten().map(Rule::parse).collect(),
            ignore_failures,
            equivalent: hook["matchPolicy"] != "Exact",
            namespace_selector: selector(&hook["namespaceSelector"]),
            object_selector: selector(&hook["objectSelector"]),
            dry_run_safe: hook["sideEffects"] == "None" || hook["sideEffects"] == "NoneOnDryRun",
            timeout: Duration::from_secs(hook["timeoutSeconds"].as_u64().unwrap_or(10)),
            v1beta1: texts("admissionReviewVersions").find(|version| *version == "v1" || *version == "v1beta1")
                == Some("v1beta1"),
            reinvoke: hook["reinvocationPolicy"] == "IfNeeded",
            conditions: MatchConditions::compile(&hook["matchConditions"], ignore_failures),
            name,
        }
    }
}

/// None selects everything (absent or empty selector).
pub(crate) fn selector(value: &Value) -> Result<Option<Selector>, String> {
    let empty = value.as_object().is_none_or(|fields| {
        fields.values().all(|part| match part {
            Value::Object(labels) => labels.is_empty(),
            Value::Array(expressions) => expressions.is_empty(),
            _ => true,
        })
    });
    if empty {
        return Ok(None);
    }
    Selector::from_label_selector(value).map(Some).map_err(|error| error.to_string())
}
