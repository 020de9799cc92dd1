//! `sidecar-injector explain`: whether a pod would be injected, and every rule on the way.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use apimachinery::value::{Map, Value};
use clap::Args;
use serde::Serialize;

use super::{SettingsFlags, input};
use crate::decide::{Decision, RuleLine};
use crate::patch::Operation;
use crate::webhooks::{MatchCondition, Webhook};

/// The flags of `explain`.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Pods or workloads (YAML or JSON, any number of documents), or - for stdin
    #[arg(short, long = "filename", value_name = "FILE")]
    filename: PathBuf,
    /// The namespace that the pods are created in; default: the one in the file, else `default`
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Labels of the namespace, such as istio-injection=enabled,team=a; default: those of the Namespace among
    /// --cluster-objects
    #[arg(long, value_name = "KEY=VALUE,...")]
    namespace_labels: Option<String>,
    /// MutatingWebhookConfigurations: their selectors are looked at as well
    #[arg(long, value_name = "FILE")]
    webhook_config: Option<PathBuf>,
    /// JSON instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsFlags,
}

/// What there is to say about one pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    /// `Deployment shop/web`.
    object: String,
    /// Whether it ends up with a sidecar.
    injected: bool,
    /// Whether an apiserver would ask the injector at all; absent without webhook configurations.
    #[serde(skip_serializing_if = "Option::is_none")]
    called: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<RuleLine>,
    /// Those of the webhooks that would be called: each may still keep the apiserver from calling its webhook.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    match_conditions: Vec<MatchCondition>,
    decision: Decision,
    /// What is added, by list; or why the pod would be denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<String>,
    operations: usize,
    added: BTreeMap<String, Vec<String>>,
    warnings: Vec<String>,
}

impl Explain {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let injector = self.settings.injector()?;
        let pods = input::pods(&self.filename, self.namespace.as_deref())?;
        let webhooks = match &self.webhook_config {
            Some(path) => Some(webhooks(path)?),
            None => None,
        };
        let mut explanations = Vec::new();
        for pod in pods {
            let namespace = self.labels_of(&pod.namespace)?;
            let lines = webhooks.as_ref().map(|w| w.iter().map(|w| w.judge(&namespace, &pod.pod)).collect::<Vec<_>>());
            let conditions = webhooks.iter().flatten().zip(lines.iter().flatten()).filter(|(_, line)| line.decided);
            let match_conditions = conditions.flat_map(|(webhook, _)| webhook.conditions.clone()).collect();
            let called = lines.as_ref().map(|lines| lines.iter().any(|l| l.decided));
            let examined = injector.examine(&pod.pod, &pod.namespace, "/inject");
            let (denied, patch, warnings) = match examined.result {
                Ok(injected) => (None, injected.patch, injected.warnings),
                Err(error) => (Some(error.to_string()), Vec::new(), error.place().into_iter().collect()),
            };
            explanations.push(Explanation {
                object: pod.name,
                injected: examined.decision.inject && denied.is_none() && called != Some(false),
                called,
                webhooks: lines.unwrap_or_default(),
                match_conditions,
                decision: examined.decision,
                denied,
                operations: patch.len(),
                added: added(&pod.pod, &patch)?,
                warnings,
            });
        }
        if self.json {
            input::print(&format!("{}\n", serde_json::to_string_pretty(&explanations)?))?;
        } else {
            input::print(&explanations.iter().map(table).collect::<Vec<_>>().join("\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The labels of a namespace: from the flag, or from the cluster's objects, always with its name.
    fn labels_of(&self, namespace: &str) -> anyhow::Result<Map> {
        let mut labels = Map::new();
        if let Some(text) = &self.namespace_labels {
            for pair in text.split(',').filter(|p| !p.is_empty()) {
                let (key, value) = pair
                    .split_once('=')
                    .ok_or_else(|| anyhow::anyhow!("--namespace-labels: {pair:?} is not KEY=VALUE"))?;
                labels.insert(key.trim().to_owned(), value.trim().into());
            }
        } else if let Some(path) = &self.settings.cluster_objects {
            for document in input::documents(path)? {
                let items =
                    document.value["items"].as_array().cloned().unwrap_or_else(|| [document.value.clone()].into());
                let found = items.iter().find(|o| o["kind"] == "Namespace" && o["metadata"]["name"] == namespace);
                labels.extend(found.and_then(|o| o["metadata"]["labels"].as_object().cloned()).into_iter().flatten());
            }
        }
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.into());
        Ok(labels)
    }
}

/// The webhooks of the MutatingWebhookConfigurations in a file.
fn webhooks(path: &std::path::Path) -> anyhow::Result<Vec<Webhook>> {
    let mut webhooks = Vec::new();
    for document in input::documents(path)? {
        let objects = document.value["items"].as_array().cloned().unwrap_or_else(|| [document.value.clone()].into());
        webhooks.extend(objects.iter().flat_map(Webhook::all_of));
    }
    anyhow::ensure!(!webhooks.is_empty(), "{}: there is no MutatingWebhookConfiguration in it", path.display());
    Ok(webhooks)
}

/// The names that the patch adds, by list.
fn added(pod: &Value, patch: &[Operation]) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let operations = apimachinery::value::to_value(patch)?;
    let after = apimachinery::json_patch::Patch::from_value(operations)
        .and_then(|patch| patch.apply(pod.clone()))
        .map_err(|error| anyhow::anyhow!("the patch does not apply: {error}"))?;
    let mut added = BTreeMap::new();
    for list in ["initContainers", "containers", "volumes", "imagePullSecrets"] {
        let names = |pod: &Value| -> Vec<String> {
            let items = pod["spec"][list].as_array().into_iter().flatten();
            items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
        };
        let before = names(pod);
        let new: Vec<String> = names(&after).into_iter().filter(|name| !before.contains(name)).collect();
        if !new.is_empty() {
            added.insert(list.to_owned(), new);
        }
    }
    Ok(added)
}

fn table(explanation: &Explanation) -> String {
    let verdict = match (explanation.injected, &explanation.denied, explanation.called) {
        (true, ..) => "injected",
        (_, _, Some(false)) => "not injected: no webhook is called",
        (_, Some(_), _) => "denied",
        _ => "not injected",
    };
    let mut out = format!("{}: {verdict}\n", explanation.object);
    let lines: Vec<&RuleLine> = explanation.webhooks.iter().chain(&explanation.decision.rules).collect();
    let width = lines.iter().map(|l| l.rule.chars().count()).max().unwrap_or(0);
    for line in lines {
        let mark = if line.decided { '*' } else { ' ' };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{mark} {:width$}  {}", line.rule, line.found);
    }
    for MatchCondition { webhook, name, expression, outcome } in &explanation.match_conditions {
        // One line, also if the expression was written in several.
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "  match condition {name} of {webhook}: {outcome}: {expression}");
    }
    if let Some(error) = &explanation.denied {
        let _ = writeln!(out, "  denied: {error}");
    }
    for (list, names) in &explanation.added {
        let _ = writeln!(out, "  adds to {list}: {}", names.join(", "));
    }
    for warning in &explanation.warnings {
        let _ = writeln!(out, "  warning: {warning}");
    }
    out
}
