//! Checks of a configuration before it goes to a cluster: does it parse, does anybody read its keys, does it inject.

pub(crate) mod samples;

use std::collections::BTreeMap;

use apimachinery::labels::Selector;
use apimachinery::value::{List, Map, Text, Value};
use serde::Serialize;

use crate::config::{Era, Parts, Settings};
use crate::injector::{Examined, Injector};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The configuration is refused, or pods are.
    Error,
    /// It works, but probably not as it was meant.
    Warning,
}

impl Level {
    /// `error` or `warning`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Where: one of the settings, a key, a template's line, a sample pod.
    pub place: String,
    /// What, and what to do about it.
    pub message: String,
}

/// Checks the settings, also by injecting sample pods and the given ones (name, pod, namespace). Errors come first.
pub fn lint(settings: &Settings, pods: &[(String, Value, String)]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let parts = match Parts::read(settings.clone()) {
        Ok(parts) => parts,
        Err(error) => {
            findings.refused(&error);
            return findings.0;
        }
    };
    manifest_keys(settings, &mut findings);
    config_keys(&parts, &mut findings);
    policy(&parts.config, &mut findings);
    selectors(&parts.config, &mut findings);
    if parts.era == Era::Modern {
        template_names(&parts.config, &mut findings);
        values(&parts.values, &mut findings);
    }
    match Injector::load(settings.clone()) {
        Err(error) => findings.refused(&error),
        Ok(injector) => {
            let mut seen = BTreeMap::new();
            for (name, pod) in samples::pods() {
                sample(&injector, &format!("sample pod {name:?}"), &pod, "default", &mut seen, &mut findings);
            }
            for (name, pod, namespace) in pods {
                sample(&injector, name, pod, namespace, &mut seen, &mut findings);
            }
        }
    }
    let Findings(mut findings) = findings;
    findings.sort_by_key(|finding| finding.level);
    findings
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { level: Level::Error, place: place.into(), message: message.into() });
    }

    fn refused(&mut self, error: &crate::config::Error) {
        let (part, text) = (error.part(), error.to_string());
        let message = text.strip_prefix(part).and_then(|t| t.strip_prefix(": ")).unwrap_or(&text);
        self.error(part, message);
    }

    fn warning(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { level: Level::Warning, place: place.into(), message: message.into() });
    }
}

const CONFIG: &str = "inject config";

/// Keys of the ConfigMap's data that are not read.
fn manifest_keys(settings: &Settings, findings: &mut Findings) {
    let manifest = apimachinery::yaml::parse(&settings.inject_config).unwrap_or_default();
    if manifest["kind"] != "ConfigMap" {
        return;
    }
    for key in manifest["data"].as_object().into_iter().flat_map(Map::keys) {
        if !matches!(key.as_str(), "config" | "values") {
            findings
                .warning(CONFIG, format!("nobody reads the ConfigMap's key {key:?}; only `config` and `values` are"));
        }
    }
}

/// Keys of `config` that are not read.
fn config_keys(parts: &Parts, findings: &mut Findings) {
    let known: &[&str] = match parts.era {
        // A modern ConfigMap carries a `template` as well, made to fail in an old injector.
        Era::Modern => &[
            "policy",
            "defaultTemplates",
            "templates",
            "aliases",
            "neverInjectSelector",
            "alwaysInjectSelector",
            "injectedAnnotations",
            "template",
        ],
        Era::SingleTemplate | Era::SquareBrackets => {
            &["policy", "template", "neverInjectSelector", "alwaysInjectSelector", "injectedAnnotations"]
        }
    };
    for key in parts.config.keys().filter(|key| !known.contains(&key.as_str())) {
        let near =
            known.iter().find(|k| k.eq_ignore_ascii_case(key) || k.trim_end_matches('s') == key.trim_end_matches('s'));
        let hint = near.map(|near| format!("; is `{near}` meant?")).unwrap_or_default();
        findings.warning(CONFIG, format!("nobody reads the key {key:?}{hint}"));
    }
}

fn policy(config: &Map, findings: &mut Findings) {
    match config.get("policy").and_then(Value::as_str) {
        Some("enabled") => {}
        Some("disabled") => {
            findings.warning(CONFIG, "`policy` is disabled: only pods that ask for injection themselves get a sidecar");
        }
        Some(other) => {
            findings.error(CONFIG, format!("`policy` is {other:?}, neither enabled nor disabled: nothing is injected"));
        }
        None => findings.error(CONFIG, "`policy` is absent: nothing is injected; write `policy: enabled`"),
    }
}

fn selectors(config: &Map, findings: &mut Findings) {
    for key in ["neverInjectSelector", "alwaysInjectSelector"] {
        match config.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (at, selector) in list.iter().enumerate() {
                    match Selector::from_label_selector(selector) {
                        Err(error) => findings.error(CONFIG, format!("{key}[{at}] is invalid and skipped: {error}")),
                        Ok(selector) if selector.is_empty() => {
                            findings.warning(CONFIG, format!("{key}[{at}] is empty: it never matches"));
                        }
                        Ok(_) => {}
                    }
                }
            }
            Some(_) => findings.error(CONFIG, format!("{key} is not a list of label selectors")),
        }
    }
}

fn template_names(config: &Map, findings: &mut Findings) {
    let templates: Vec<&Text> =
        config.get("templates").and_then(Value::as_object).into_iter().flat_map(Map::keys).collect();
    let exists = |name: &str| templates.iter().any(|t| *t == name);
    let aliases = config.get("aliases").and_then(Value::as_object);
    let default = config.get("defaultTemplates").and_then(Value::as_array);
    for name in default.into_iter().flatten().filter_map(Value::as_str) {
        if !exists(name) && !aliases.is_some_and(|a| a.contains_key(name)) {
            findings
                .error(CONFIG, format!("defaultTemplates names {name:?}, which is no template: every pod is denied"));
        }
    }
    for (alias, names) in aliases.into_iter().flatten() {
        for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !exists(name) {
                let hint =
                    if aliases.is_some_and(|a| a.contains_key(name)) { "; aliases are expanded once only" } else { "" };
                findings.error(CONFIG, format!("alias {alias:?} names {name:?}, which is no template{hint}"));
            }
        }
    }
}

/// Values that templates of the modern era and the injector rely on.
fn values(values: &Value, findings: &mut Findings) {
    const PLACE: &str = "values";
    if values.as_object().is_none_or(Map::is_empty) {
        findings.warning(PLACE, "there are none: templates that read .Values will print <no value>");
        return;
    }
    for pointer in ["/global/hub", "/global/tag"] {
        let absent = values.pointer(pointer).is_none_or(|v| v.is_null() || v.as_str() == Some(""));
        if absent {
            let key = pointer.trim_start_matches('/').replace('/', ".");
            findings.warning(PLACE, format!("{key} is absent: images will have no name that can be pulled"));
        }
    }
    for pointer in ["/sidecarInjectorWebhook/rewriteAppHTTPProbe", "/global/proxy/holdApplicationUntilProxyStarts"] {
        if let Some(Value::String(text)) = values.pointer(pointer) {
            let key = pointer.trim_start_matches('/').replace('/', ".");
            findings.error(PLACE, format!("{key} is the text {text:?}; a boolean without quotes is needed"));
        }
    }
}

/// Injects one pod and looks at what came of it. The same finding on many pods is reported once.
fn sample(
    injector: &Injector,
    name: &str,
    pod: &Value,
    namespace: &str,
    seen: &mut BTreeMap<String, ()>,
    findings: &mut Findings,
) {
    let Examined { decision, result, printed } = injector.examine(pod, namespace, "/inject");
    if !decision.inject {
        return;
    }
    let mut once = |message: String| seen.insert(message.clone(), ()).is_none().then_some(message);
    for printed in &printed {
        for (number, line) in (1..).zip(printed.text.lines()) {
            if line.contains("<no value>") {
                let message = format!("line {number} prints <no value>: {}", line.trim());
                if let Some(message) = once(message) {
                    findings.warning(format!("template {:?}, {name}", printed.template), message);
                }
            }
        }
    }
    match result {
        Err(error) => {
            if let Some(message) = once(error.in_full()) {
                findings.error(name, message);
            }
        }
        Ok(injected) => {
            let applied = apimachinery::value::to_value(&injected.patch)
                .map_err(|e| e.to_string())
                .and_then(|p| apimachinery::json_patch::Patch::from_value(p).map_err(|e| e.to_string()))
                .and_then(|p| p.apply(pod.clone()).map_err(|e| e.to_string()));
            match applied {
                Err(error) => findings.error(name, format!("the patch does not apply: {error}")),
                Ok(after) => {
                    for message in pod_problems(&after).into_iter().filter_map(&mut once) {
                        findings.error(name, message);
                    }
                }
            }
        }
    }
}

/// What an apiserver would refuse, or a kubelet could not run.
fn pod_problems(pod: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let items = |list: &str| pod["spec"][list].as_array().map_or(&[][..], List::as_slice);
    let containers = || items("initContainers").iter().chain(items("containers"));
    let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_owned();
    let volumes: Vec<String> = items("volumes").iter().map(name).collect();
    let mut names: Vec<String> = containers().map(name).collect();
    names.sort();
    problems.extend(names.windows(2).filter(|w| w[0] == w[1]).map(|w| format!("two containers are called {:?}", w[0])));
    for container in containers() {
        let image = container["image"].as_str().unwrap_or_default();
        if image.is_empty() || image.contains("<no value>") || image.starts_with('/') || image.ends_with(':') {
            problems.push(format!("container {:?} has the image {image:?}, which cannot be pulled", name(container)));
        }
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            if !volumes.contains(&name(mount)) {
                problems.push(format!(
                    "container {:?} mounts the volume {:?}, which is not there",
                    name(container),
                    name(mount)
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxed;

    fn of(config: &str) -> Vec<Finding> {
        lint(&Settings { inject_config: config.to_owned(), ..Settings::default() }, &[])
    }

    #[test]
    fn what_is_in_the_box_is_clean() {
        for boxed in boxed::ALL {
            assert_eq!(lint(&boxed.settings(), &[]), [], "{}", boxed.name);
        }
    }

    #[test]
    fn faults_are_found() {
        let good = "policy: enabled\ntemplate: \"containers: [{name: istio-proxy, image: 'a:1'}] # [[ 1 ]]\"\n";
        assert_eq!(of(good), []);
        for (config, level, says) in [
            ("policy: [", Level::Error, "not YAML"),
            ("policy: enabled\n", Level::Error, "neither `templates`"),
            ("policy: on\ntemplate: '[[ 1 ]]'\n", Level::Error, "policy"),
            ("polcy: enabled\ntemplate: '# [[ 1 ]]'\n", Level::Warning, "polcy"),
            ("policy: enabled\ntemplate: '[[ nosuch ]]'\n", Level::Error, "nosuch"),
            ("policy: enabled\ntemplate: '[[ .ObjectMeta.Nosuch ]]'\n", Level::Error, "Nosuch"),
            ("policy: enabled\ntemplate: 'containers: [[ 1 ]]'\n", Level::Error, "containers"),
            ("policy: enabled\ntemplate: 'containers: [{name: a}] # [[ 1 ]]'\n", Level::Error, "cannot be pulled"),
            (
                "policy: enabled\nneverInjectSelector: [{}, {matchExpressions: [{key: a, operator: Is}]}]\ntemplate: '# [[ 1 ]]'\n",
                Level::Error,
                "neverInjectSelector[1]",
            ),
            (
                "policy: enabled\ndefaultTemplates: [none]\ntemplates: {sidecar: ''}\n",
                Level::Error,
                "defaultTemplates names \"none\"",
            ),
            (
                "policy: enabled\ntemplates: {sidecar: 'metadata: {labels: {a: \"{{ .Values.b }}\"}}'}\n",
                Level::Warning,
                "<no value>",
            ),
        ] {
            let findings = of(config);
            let found = findings.iter().any(|f| f.level == level && f.message.contains(says));
            assert!(found, "{config}: {findings:#?}");
        }
    }
}
