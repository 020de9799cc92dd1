//! The injectors of Istio 1.0 to 1.8: one `template:`, whose output names containers and volumes to append.
//!
//! ```text
//! generation ──► decide ──► annotations ──► data ──► template ──► rendered ──► plan ──► patch
//!                                                                 (typed)      (status, probes, defaults)
//! ```
//!
//! The patch is put together by hand in a fixed order, as Istio did: removals of an earlier injection, additions, annotations,
//! probes. Where Istio deleted what the user had written (a container of his own called `istio-proxy`), the pod is refused.

mod annotations;
mod bootstrap;
mod data;
mod decide;
mod defaults;
mod plan;
mod probes;
mod rendered;
mod shape;
mod status;
#[cfg(test)]
mod tests;

use apimachinery::json_patch::Patch;
use apimachinery::labels::Selector;
use apimachinery::value::{List, Map, Value};
use sha2::{Digest, Sha256};

use crate::config::{self, Era, Parts};
use crate::decide::{Decision, Reason, RuleLine};
use crate::engine::{Engine, Error, Injected, Offline, Owner, PodRequest, Printed};
use crate::mesh::shape::Message;
use crate::pod;
use crate::template::Template;

pub use self::bootstrap::bootstrap;
use self::data::Workload;
use self::plan::{Plan, Purpose};

/// The sidecar's name.
const PROXY: &str = "istio-proxy";

/// The releases that behave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// 1.0: object defaults are written into what is injected.
    V1_0,
    /// 1.1: selectors, HTTP probes through the sidecar, concurrency from the CPU limit.
    V1_1,
    /// 1.2 to 1.8: the same with `{{ }}` and values.
    V1_2,
}

/// An injector of Istio 1.0 to 1.8.
#[derive(Debug)]
pub(crate) struct Legacy {
    generation: Generation,
    policy: Option<String>,
    never: Vec<Selector>,
    always: Vec<Selector>,
    /// Annotations for every injected pod.
    annotations: Map,
    template: Template,
    delimiters: (&'static str, &'static str),
    /// SHA-256 of the template's text: the status annotation's `version`.
    version: String,
    mesh: Value,
    /// How templates see the ProxyConfig.
    proxy_shape: &'static Message,
    values: Value,
    environment: std::collections::BTreeMap<String, String>,
}

impl Legacy {
    /// Parses the configuration's template.
    pub(crate) fn load(parts: &Parts) -> Result<Self, config::Error> {
        let text = parts.config.get("template").and_then(Value::as_str).unwrap_or_default();
        let generation = generation(parts, text);
        let delimiters = match parts.era {
            Era::SquareBrackets => ("[[", "]]"),
            Era::SingleTemplate | Era::Modern => ("{{", "}}"),
        };
        let mesh = shape::effective(&parts.mesh, generation).map_err(|e| config::Error::content("mesh config", e))?;
        Ok(Self {
            generation,
            policy: parts.config.get("policy").and_then(Value::as_str).map(str::to_owned),
            never: selectors(&parts.config, "neverInjectSelector"),
            always: selectors(&parts.config, "alwaysInjectSelector"),
            annotations: strings(&parts.config, "injectedAnnotations")?,
            template: Template::parse("template", text, delimiters)?,
            delimiters,
            version: Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect(),
            mesh,
            proxy_shape: if text.contains("Concurrency.") {
                &shape::PROXY_CONFIG_WRAPPED
            } else {
                &shape::PROXY_CONFIG
            },
            values: parts.values.clone(),
            environment: parts.environment.variables.clone(),
        })
    }

    /// The template over a pod's data, read as what it stands for.
    fn render(&self, pod: &Value, workload: &Workload) -> Result<rendered::Rendered, Error> {
        let text = data::render(self, pod, workload)?;
        rendered::read(&text).map_err(|e| Error::Output {
            name: self.template.name().to_owned(),
            message: e.message,
            said: e.said,
        })
    }

    fn plan(&self, pod: &Value, workload: &Workload, purpose: Purpose) -> Result<Plan, Error> {
        annotations::check(annotations_of(pod), self.generation).map_err(Error::Annotations)?;
        plan::plan(self, pod, workload, purpose)
    }
}

impl Engine for Legacy {
    fn decide(&self, request: &PodRequest<'_>) -> Decision {
        decide::decide(self, request.object, request.namespace)
    }

    fn admit(&self, request: &PodRequest<'_>) -> Result<Injected, Error> {
        let pod = request.object;
        if !pod["spec"].is_object() {
            return Err(Error::Object("it has no spec".to_owned()));
        }
        pod::check(pod).map_err(|e| Error::no_pod(pod, e))?;
        let decision = decide::decide(self, pod, request.namespace);
        if !decision.inject {
            return Ok(Injected { patch: Vec::new(), decision, warnings: Vec::new() });
        }
        let workload = Workload::of_pod(pod, request.namespace);
        if let Some(printed) = request.printed {
            let text = data::render(self, pod, &workload)?;
            printed.borrow_mut().push(Printed { template: self.template.name().to_owned(), text });
        }
        let plan = self.plan(pod, &workload, Purpose::Webhook)?;
        Ok(Injected { patch: plan.operations, decision, warnings: plan.warnings })
    }

    /// Policy, selectors and the annotation `sidecar.istio.io/inject` do not count here: whoever runs the command wants it.
    fn offline(&self, mut pod: Value, owner: &Owner<'_>) -> Result<Offline, Error> {
        let decided = |inject, reason, rule: &str, found: &str| Decision {
            inject,
            reason,
            rules: vec![RuleLine { rule: rule.to_owned(), found: found.to_owned(), decided: true }],
        };
        if !pod["spec"].is_object() {
            return Err(Error::Object("it has no spec".to_owned()));
        }
        if pod["spec"]["hostNetwork"] == true {
            let decision = decided(false, Reason::HostNetwork, "hostNetwork", "true");
            return Ok(Offline { pod, decision, warnings: Vec::new() });
        }
        if let Some(map) = pod.as_object_mut()
            && !map.get("metadata").is_some_and(Value::is_object)
        {
            map.insert("metadata".to_owned(), Value::Object(Map::new()));
        }
        let plan = self.plan(&pod, &Workload::of_file(owner), Purpose::File)?;
        let operations = apimachinery::value::to_value(&plan.operations).unwrap_or_default();
        let pod = Patch::from_value(operations)
            .and_then(|patch| patch.apply(pod))
            .map_err(|e| Error::Object(e.to_string()))?;
        let decision = decided(true, Reason::Policy, "command", "asked for by the command");
        Ok(Offline { pod, decision, warnings: plan.warnings })
    }
}

/// Which releases a configuration is for. 1.0 and 1.1 share the delimiters; what only 1.1 understands tells them apart.
fn generation(parts: &Parts, template: &str) -> Generation {
    const MARKS: [&str; 13] = [
        "rewriteAppHTTPProbe",
        "podRedirectAnnot",
        "dnsConfig",
        ".DeploymentMeta",
        ".TypeMeta",
        ".Values",
        "valueOrDefault",
        "toJSON",
        "fromJSON",
        "toYaml",
        "kubevirtInterfaces",
        "directory",
        "GetTracing",
    ];
    match parts.era {
        Era::SingleTemplate | Era::Modern => Generation::V1_2,
        Era::SquareBrackets => {
            let selectors =
                ["neverInjectSelector", "alwaysInjectSelector"].iter().any(|k| parts.config.contains_key(k));
            if selectors || MARKS.iter().any(|mark| template.contains(mark)) || shape::is_after_1_0(&parts.mesh) {
                Generation::V1_1
            } else {
                Generation::V1_0
            }
        }
    }
}

/// A map of strings under a key; absent is empty.
fn strings(config: &Map, key: &str) -> Result<Map, config::Error> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) if map.values().all(Value::is_string) => Ok(map.clone()),
        Some(_) => Err(config::Error::content("inject config", format!("`{key}` is not a map of strings"))),
    }
}

/// The selectors under a key. An invalid one is left out, as Istio does at each request, and so is an empty one, which
/// never matches here.
fn selectors(config: &Map, key: &str) -> Vec<Selector> {
    let list = config.get(key).and_then(Value::as_array).map_or(&[][..], List::as_slice);
    list.iter().filter_map(|s| Selector::from_label_selector(s).ok()).filter(|s| !s.is_empty()).collect()
}

/// A list item's name.
fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

fn annotations_of(pod: &Value) -> Option<&Map> {
    pod["metadata"]["annotations"].as_object()
}

/// A list of the pod's spec; absent and null are empty.
fn list<'a>(pod: &'a Value, key: &str) -> &'a [Value] {
    pod["spec"][key].as_array().map_or(&[], List::as_slice)
}
