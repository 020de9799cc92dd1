//! Whether a pod is injected, by the rules of Istio 1.0 to 1.8.

use apimachinery::labels::Selector;
use apimachinery::value::Value;

use super::{Generation, Legacy, annotations_of};
use crate::decide::{Decision, Reason, Trail};

const ANNOTATION: &str = "sidecar.istio.io/inject";
const IGNORED: [&str; 2] = ["kube-system", "kube-public"];

/// The rules in Istio's order. Labels are not looked at; an annotation that is neither yes nor empty is a no.
pub(super) fn decide(legacy: &Legacy, pod: &Value, request_namespace: &str) -> Decision {
    let mut trail = Trail::default();
    if pod["spec"]["hostNetwork"] == true {
        return trail.decide(false, Reason::HostNetwork, "hostNetwork", "true: on the host's network");
    }
    trail.pass("hostNetwork", "not set");

    // 1.0 looks at the pod's own namespace only, which a pod made by a controller does not have yet.
    let own = pod["metadata"]["namespace"].as_str().filter(|n| !n.is_empty());
    let namespace = match (own, legacy.generation) {
        (Some(own), _) => own,
        (None, Generation::V1_0) => "",
        (None, _) => request_namespace,
    };
    if IGNORED.contains(&namespace) {
        return trail.decide(false, Reason::IgnoredNamespace, "namespace", format!("{namespace} is never injected"));
    }
    let seen = if namespace.is_empty() { "the pod names none" } else { namespace };
    trail.pass("namespace", format!("{seen}: not one of {}", IGNORED.join(", ")));

    let rule = format!("annotation {ANNOTATION}");
    let text = annotations_of(pod).and_then(|a| a.get(ANNOTATION)).and_then(Value::as_str).unwrap_or_default();
    let asked = match text.to_lowercase().as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "" => None,
        _ => Some(false),
    };
    if asked.is_none() {
        trail.pass(&rule, "not set");
        let labels = &pod["metadata"]["labels"];
        for (selectors, key, inject, reason) in [
            (&legacy.never, "neverInjectSelector", false, Reason::NeverSelector),
            (&legacy.always, "alwaysInjectSelector", true, Reason::AlwaysSelector),
        ] {
            match selectors.iter().find(|s| matches(s, labels)) {
                // An invalid policy still refuses what an always-selector asks for.
                Some(found) if !inject || valid_policy(legacy) => {
                    return trail.decide(inject, reason, key, format!("{found} matches the pod's labels"));
                }
                Some(found) => trail.pass(key, format!("{found} matches the pod's labels")),
                None if selectors.is_empty() => {}
                None => trail.pass(key, "none matches"),
            }
        }
    }
    match (legacy.policy.as_deref(), asked) {
        (Some("enabled" | "disabled"), Some(inject)) => {
            let meaning = if inject { "yes" } else { "no (only y, yes, true and on are yes)" };
            trail.decide(inject, Reason::Annotation, rule, format!("{text:?} means {meaning}"))
        }
        (Some("enabled"), None) => trail.decide(true, Reason::Policy, "policy", "enabled"),
        (Some("disabled"), None) => {
            trail.decide(false, Reason::Policy, "policy", "disabled: only pods that ask for it")
        }
        (other, _) => {
            let found = match other {
                Some(other) => format!("{other:?} is neither enabled nor disabled: nothing is injected"),
                None => "not set: nothing is injected".to_owned(),
            };
            trail.decide(false, Reason::InvalidPolicy, "policy", found)
        }
    }
}

fn valid_policy(legacy: &Legacy) -> bool {
    matches!(legacy.policy.as_deref(), Some("enabled" | "disabled"))
}

fn matches(selector: &Selector, labels: &Value) -> bool {
    selector.matches_fn(|key| labels.get(key).and_then(Value::as_str))
}
