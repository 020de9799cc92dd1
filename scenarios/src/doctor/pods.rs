//! Labels that ask for injection, and pods that did not get it.

use std::collections::BTreeMap;

use apimachinery::value::{Map, Value, json};
use injector::Injector;

use super::finding::Findings;
use super::survey::{self, Survey};
use crate::cluster::Api;

const INJECTION: &str = "istio-injection";
const REVISION: &str = "istio.io/rev";
const STATUS: &str = "sidecar.istio.io/status";

/// Namespaces whose labels mean something else than was meant.
pub(super) fn labels(survey: &Survey, findings: &mut Findings) {
    let mut with = Vec::new();
    for (name, labels) in &survey.namespaces {
        let subject = format!("namespace {name}");
        let text = |key: &str| labels.get(key).and_then(Value::as_str);
        let (injection, revision) = (text(INJECTION), text(REVISION));
        let called = !survey.called(labels, &json!({})).is_empty();
        if called {
            with.push(name.as_str());
        }
        match (injection, revision) {
            (Some(value), _) if !matches!(value, "enabled" | "disabled") => {
                let found = format!("label {INJECTION} is {value:?}, which means nothing");
                findings.problem(&subject, found, "the values are enabled and disabled");
            }
            (Some(_), Some(revision)) if called => {
                let found = format!(
                    "has both {INJECTION} and {REVISION}={revision}: the first wins, and the revision is not heeded"
                );
                findings.warning(&subject, found, "take one of the two labels away");
            }
            (Some("enabled"), _) if !called => {
                let remedy =
                    "see which revision the webhook configurations serve; label the namespace istio.io/rev=REVISION";
                findings.problem(
                    &subject,
                    format!("has {INJECTION}=enabled, and no injector's webhook matches it"),
                    remedy,
                );
            }
            (None, Some(revision)) if !called => {
                let found = format!("has {REVISION}={revision}, and no injector's webhook serves that revision");
                findings.problem(&subject, found, "correct the revision, or install its injector");
            }
            _ => {}
        }
    }
    let total = survey.namespaces.len();
    if with.is_empty() {
        findings.warning(
            "namespaces",
            format!("none of {total} has injection; only pods that ask for it may get a sidecar"),
            "kubectl label namespace NAME istio-injection=enabled",
        );
    } else {
        findings.ok("namespaces", format!("{} of {total} have injection: {}", with.len(), some(&with)));
    }
}

/// Names, the first few of them.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown = names.get(..names.len().min(SHOWN)).unwrap_or_default().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// Pods without a sidecar that would get one if they were created now.
pub(super) async fn check(api: &dyn Api, survey: &Survey, injectors: &[(String, Injector)], findings: &mut Findings) {
    if injectors.is_empty() {
        findings.warning("pods", "cannot be judged: no configuration of an injector was loaded", "");
        return;
    }
    let mut tally = Tally::default();
    let mut spaces: BTreeMap<String, Map> = BTreeMap::new();
    let read = survey::pages(api, "/api/v1/pods", findings, |pod| {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let labels = spaces.entry(namespace.clone()).or_insert_with_key(|name| survey.labels(name));
        tally.add(&pod, &namespace, labels, survey, injectors);
    });
    if !read.await {
        return;
    }
    for ((namespace, owner), pods) in &tally.missing {
        let subject = format!("{owner} in {namespace}");
        let found = format!(
            "{} without a sidecar that would get one now, such as {}: from before the label, or from while the injector was down",
            if pods.len() == 1 { "a pod".to_owned() } else { format!("{} pods", pods.len()) },
            pods.first().map_or("", String::as_str)
        );
        findings.warning(&subject, found, "kubectl rollout restart, or delete the pod");
    }
    findings.ok("pods", format!("{} with a sidecar, {} without that ask for none", tally.injected, tally.without));
}

#[derive(Default)]
struct Tally {
    injected: usize,
    without: usize,
    /// Names of pods by namespace and owner.
    missing: BTreeMap<(String, String), Vec<String>>,
}

impl Tally {
    fn add(&mut self, pod: &Value, namespace: &str, labels: &Map, survey: &Survey, injectors: &[(String, Injector)]) {
        let metadata = &pod["metadata"];
        let lists = ["containers", "initContainers"].map(|list| pod["spec"][list].as_array());
        let proxied = lists.into_iter().flatten().flatten().any(|container| container["name"] == "istio-proxy");
        if proxied || metadata["annotations"].get(STATUS).is_some() {
            self.injected += 1;
            return;
        }
        let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let called = survey.called(labels, pod);
        if over || called.is_empty() || !injects(pod, namespace, labels, injectors) {
            self.without += 1;
            return;
        }
        let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        let owner = owners.clone().find(|owner| owner["controller"] == true).or(owners.clone().next());
        let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let owner = owner.map_or("pods".to_owned(), |owner| format!("{} {}", text(owner, "kind"), text(owner, "name")));
        self.missing.entry((namespace.to_owned(), owner)).or_default().push(text(metadata, "name"));
    }
}

/// Whether the injector of the pod's revision would inject it; one that could not be loaded says nothing.
fn injects(pod: &Value, namespace: &str, labels: &Map, injectors: &[(String, Injector)]) -> bool {
    let revision = pod["metadata"]["labels"].get(REVISION).or(labels.get(REVISION)).and_then(Value::as_str);
    let revision = revision.filter(|revision| *revision != "default").unwrap_or_default();
    let found = injectors.iter().find(|(of, _)| of == revision).or(injectors.first());
    found.is_some_and(|(_, injector)| injector.examine(pod, namespace, "/inject").decision.inject)
}
