//! The rules of Istio 1.9 and later.

use apimachinery::labels::Selector;
use apimachinery::value::{Map, Value};

use super::{Decision, Reason, Trail};

/// The label and annotation that ask for injection or refuse it.
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";

/// Namespaces that are never injected. Istio's own is not among them.
const IGNORED_NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// What the configuration says about who is injected.
#[derive(Debug)]
pub(crate) struct Rules {
    policy: Policy,
    never: Vec<Rule>,
    always: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Policy {
    Enabled,
    Disabled,
    Other(String),
}

/// A selector of the configuration; one that is invalid is skipped and says so.
#[derive(Debug)]
struct Rule {
    name: String,
    selector: Result<Selector, String>,
}

/// What a pod brings to the rules.
pub(crate) struct Subject<'a> {
    pub(crate) host_network: bool,
    pub(crate) namespace: &'a str,
    pub(crate) labels: &'a Map,
    pub(crate) annotations: &'a Map,
}

/// A decision, and what to tell the pod's owner about malformed values.
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    pub(crate) warnings: Vec<String>,
}

impl Rules {
    /// Reads `policy`, `neverInjectSelector` and `alwaysInjectSelector`.
    pub(crate) fn new(config: &Map) -> Self {
        let policy = match config.get("policy").and_then(Value::as_str) {
            Some("enabled") => Policy::Enabled,
            Some("disabled") => Policy::Disabled,
            other => Policy::Other(other.unwrap_or_default().to_owned()),
        };
        Self {
            policy,
            never: selectors(config, "neverInjectSelector"),
            always: selectors(config, "alwaysInjectSelector"),
        }
    }

    /// Reads the selectors, with the policy of `istioctl kube-inject`: always enabled.
    pub(crate) fn enabled(config: &Map) -> Self {
        Self { policy: Policy::Enabled, ..Self::new(config) }
    }

    /// Looks at the rules in Istio's order; the first that has something to say decides.
    pub(crate) fn decide(&self, pod: &Subject<'_>) -> Verdict {
        let mut warnings = Vec::new();
        let decision = self.walk(pod, &mut warnings);
        Verdict { decision, warnings }
    }

    fn walk(&self, pod: &Subject<'_>, warnings: &mut Vec<String>) -> Decision {
        let mut trail = Trail::default();
        if pod.host_network {
            return trail.decide(false, Reason::HostNetwork, "hostNetwork", "true: the pod has no network of its own");
        }
        trail.pass("hostNetwork", "not set");
        if IGNORED_NAMESPACES.contains(&pod.namespace) {
            let found = format!("{} is never injected", pod.namespace);
            return trail.decide(false, Reason::IgnoredNamespace, "namespace", found);
        }
        trail.pass("namespace", format!("{:?} is not one of the ignored", pod.namespace));
        if let Policy::Other(policy) = &self.policy {
            let found =
                format!("{policy:?} is neither enabled nor disabled: nothing is injected, whatever the pod asks");
            return trail.decide(false, Reason::InvalidPolicy, "policy", found);
        }
        // A label that is there hides the annotation, even when it is empty.
        for (what, map, reason) in
            [("label", pod.labels, Reason::Label), ("annotation", pod.annotations, Reason::Annotation)]
        {
            let rule = format!("{what} {INJECT}");
            match map.get(INJECT).map(|v| v.as_str().unwrap_or_default()) {
                Some("true") => return trail.decide(true, reason, rule, "true"),
                Some("false") => return trail.decide(false, reason, rule, "false"),
                Some("") => {
                    trail.pass(rule, "empty, counts as not set");
                    break;
                }
                Some(other) => {
                    warnings.push(format!(
                        "{what} {INJECT}: {other:?} is neither \"true\" nor \"false\" and counts as not set"
                    ));
                    trail.pass(rule, format!("{other:?} is neither \"true\" nor \"false\", counts as not set"));
                    break;
                }
                None => trail.pass(rule, "not set"),
            }
        }
        for (rules, reason, inject) in
            [(&self.never, Reason::NeverSelector, false), (&self.always, Reason::AlwaysSelector, true)]
        {
            for rule in rules {
                match &rule.selector {
                    Err(e) => trail.pass(&rule.name, format!("invalid, skipped: {e}")),
                    Ok(selector) if selector.matches(pod.labels) => {
                        return trail.decide(inject, reason, &rule.name, format!("{selector} matches"));
                    }
                    Ok(selector) => trail.pass(&rule.name, format!("{selector} does not match")),
                }
            }
        }
        match self.policy {
            Policy::Enabled => trail.decide(true, Reason::Policy, "policy", "enabled"),
            _ => trail.decide(false, Reason::Policy, "policy", "disabled"),
        }
    }
}

/// Empty selectors match nothing here, so they are left out.
fn selectors(config: &Map, key: &str) -> Vec<Rule> {
    let items = config.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
    let empty = |v: &Value, k: &str| match v.get(k) {
        Some(Value::Object(m)) => m.is_empty(),
        Some(Value::Array(a)) => a.is_empty(),
        _ => true,
    };
    items
        .filter(|(_, item)| !(empty(item, "matchLabels") && empty(item, "matchExpressions")))
        .map(|(i, item)| Rule {
            name: format!("{key}[{i}]"),
            selector: Selector::from_label_selector(item).map_err(|e| e.to_string()),
        })
        .collect()
}
