//! Webhook configurations, as far as they decide whether an apiserver asks an injector about a pod.

use apimachinery::labels::Selector;
use apimachinery::value::{Map, Value};
use serde::Serialize;

use crate::decide::RuleLine;

/// A match condition of a webhook. It is CEL over the request, of which a file holds only the object: the user, the
/// operation and what an authorizer would say are not known here, so none is evaluated.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchCondition {
    /// `CONFIGURATION/WEBHOOK`.
    pub webhook: String,
    /// The condition's name.
    pub name: String,
    /// Its CEL expression.
    pub expression: String,
    /// Always "not evaluated offline".
    pub outcome: &'static str,
}

/// What there is to say about a match condition.
const NOT_EVALUATED: &str = "not evaluated offline";

/// One entry of a webhook configuration, as far as it tells pods apart.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `CONFIGURATION/WEBHOOK`.
    pub name: String,
    /// Whether its rules cover the creation of pods.
    pub matches_pods: bool,
    namespace: Result<Selector, String>,
    object: Result<Selector, String>,
    /// Its match conditions.
    pub conditions: Vec<MatchCondition>,
}

impl Webhook {
    /// The webhooks of a MutatingWebhookConfiguration; none of any other object.
    #[must_use]
    pub fn all_of(object: &Value) -> Vec<Self> {
        if object["kind"] != "MutatingWebhookConfiguration" {
            return Vec::new();
        }
        let configuration = object["metadata"]["name"].as_str().unwrap_or_default();
        let entries = object["webhooks"].as_array().into_iter().flatten();
        entries.map(|entry| Self::of(configuration, entry)).collect()
    }

    fn of(configuration: &str, entry: &Value) -> Self {
        let selector = |key: &str| match &entry[key] {
            Value::Null => Ok(Selector::everything()),
            value => Selector::from_label_selector(value).map_err(|e| e.to_string()),
        };
        let name = format!("{configuration}/{}", entry["name"].as_str().unwrap_or_default());
        Self {
            conditions: match_conditions(&name, entry),
            name,
            matches_pods: entry["rules"].as_array().into_iter().flatten().any(creates_pods),
            namespace: selector("namespaceSelector"),
            object: selector("objectSelector"),
        }
    }

    /// Whether the apiserver calls it for a pod that is created in a namespace with these labels, and why; `decided` if so.
    #[must_use]
    pub fn judge(&self, namespace: &Map, pod: &Value) -> RuleLine {
        let empty = Map::new();
        let labels = pod["metadata"]["labels"].as_object().unwrap_or(&empty);
        let mismatch = |what: &str, selector: &Result<Selector, String>, labels: &Map| match selector {
            Ok(selector) if selector.matches(labels) => None,
            Ok(selector) => {
                let why = selector.first_mismatch(|key| labels.get(key).and_then(Value::as_str)).unwrap_or_default();
                Some(format!("not called: {what} does not match: {why}"))
            }
            Err(error) => Some(format!("not called: {what} is invalid: {error}")),
        };
        let (found, decided) = if !self.matches_pods {
            ("not called: its rules do not cover the creation of pods".to_owned(), false)
        } else if let Some(found) = mismatch("namespaceSelector", &self.namespace, namespace)
            .or_else(|| mismatch("objectSelector", &self.object, labels))
        {
            (found, false)
        } else if !self.conditions.is_empty() {
            ("called: both selectors match; unless a match condition below is false".to_owned(), true)
        } else {
            ("called: both selectors match".to_owned(), true)
        };
        RuleLine { rule: format!("webhook {}", self.name), found, decided }
    }
}

fn match_conditions(webhook: &str, entry: &Value) -> Vec<MatchCondition> {
    let text = |condition: &Value, key: &str| condition[key].as_str().unwrap_or_default().trim().to_owned();
    let conditions = entry["matchConditions"].as_array().into_iter().flatten();
    conditions
        .map(|condition| MatchCondition {
            webhook: webhook.to_owned(),
            name: text(condition, "name"),
            expression: text(condition, "expression"),
            outcome: NOT_EVALUATED,
        })
        .collect()
}

/// Whether a rule covers the creation of a v1 Pod.
fn creates_pods(rule: &Value) -> bool {
    let has = |key: &str, wanted: &[&str]| {
        rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).any(|v| wanted.contains(&v))
    };
    has("operations", &["CREATE", "*"])
        && has("apiGroups", &["", "*"])
        && has("apiVersions", &["v1", "*"])
        && has("resources", &["pods", "*", "*/*"])
        && rule["scope"].as_str().is_none_or(|scope| matches!(scope, "*" | "Namespaced"))
}
