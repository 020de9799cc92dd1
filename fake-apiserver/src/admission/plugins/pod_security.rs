//! PodSecurity: the standards `baseline` and `restricted`, enforced, warned about or audited by namespace labels.

use apimachinery::value::Value;

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::golang::quote;
use super::super::rejection::Rejection;

mod baseline;
mod checks;
mod namespace;
mod policy;
mod restricted;
#[cfg(test)]
mod tests;

use policy::{Level, Policies, Standard};

/// A check that failed: what is forbidden, and where.
struct Violation {
    reason: &'static str,
    detail: String,
}

/// What is wrong, with details in brackets.
fn details(found: &[Violation]) -> String {
    let one = |violation: &Violation| match violation.detail.as_str() {
        "" => violation.reason.to_owned(),
        detail => format!("{} ({detail})", violation.reason),
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Subresources of pods that change nothing of what is checked.
const IGNORED: [&str; 8] = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];

pub(crate) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    if !matches!(attributes.operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    if attributes.is_for("", "namespaces") {
        return namespace::validate(cluster, attributes);
    }
    let is_pod = attributes.resource.group.is_empty() && attributes.resource.resource == "pods";
    let ignored = if is_pod { IGNORED.contains(&&*attributes.subresource) } else { !attributes.subresource.is_empty() };
    if ignored || attributes.namespace.is_empty() || template(attributes).is_none() {
        return Ok(());
    }
    let Some(namespace) = cluster.get("", "namespaces", "", &attributes.namespace) else { return Ok(()) };
    let policies = Policies::of(&namespace["metadata"]["labels"]);
    let modes = [&policies.enforce, &policies.audit, &policies.warn];
    let strict = modes.iter().skip(usize::from(!is_pod)).any(|standard| standard.level > Level::Privileged);
    if policies.errors.is_empty() && !strict {
        if is_pod {
            attributes.annotate("pod-security.kubernetes.io/enforce-policy", &policies.enforce.to_string());
        }
        return Ok(());
    }
    if is_pod && attributes.operation == Operation::Update && !is_significant(attributes) {
        return Ok(());
    }
    let Some(pod) = template(attributes) else { return Ok(()) };
    let check = |standard: &Standard| checks::evaluate(standard, pod);
    let enforced = if is_pod { check(&policies.enforce) } else { Vec::new() };
    let (audited, warned) = (check(&policies.audit), check(&policies.warn));
    let would = |standard: &Standard, found: &[Violation]| {
        format!("would violate PodSecurity {}: {}", quote(&standard.to_string()), details(found))
    };
    if !policies.errors.is_empty() {
        let text = format!("Failed to parse policy: {}", policies.error_text());
        attributes.annotate("pod-security.kubernetes.io/error", &text);
    }
    if is_pod {
        attributes.annotate("pod-security.kubernetes.io/enforce-policy", &policies.enforce.to_string());
    }
    if !audited.is_empty() {
        attributes.annotate("pod-security.kubernetes.io/audit-violations", &would(&policies.audit, &audited));
    }
    if !enforced.is_empty() {
        let standard = quote(&policies.enforce.to_string());
        let why = format!("violates PodSecurity {standard}: {}", details(&enforced));
        return Err(Rejection::forbidden("", "pods", &attributes.name, &why));
    }
    if !warned.is_empty() {
        attributes.warn(&would(&policies.warn, &warned));
    }
    Ok(())
}

/// The pod, or the pod template of a workload.
fn template(attributes: &Attributes) -> Option<&Value> {
    let object = attributes.object.as_ref()?;
    let spec = &object["spec"];
    let template = match (attributes.resource.group.as_str(), attributes.resource.resource.as_str()) {
        ("", "pods") => object,
        ("", "podtemplates") => &object["template"],
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => &spec["template"],
        ("batch", "cronjobs") => &spec["jobTemplate"]["spec"]["template"],
        _ => return None,
    };
    template.is_object().then_some(template)
}

/// Whether an update changes something that a check looks at: images, the number of containers, seccomp annotations.
fn is_significant(attributes: &Attributes) -> bool {
    let (Some(new), Some(old)) = (&attributes.object, &attributes.old_object) else { return true };
    let annotation = |of: &Value, key: &str| of["metadata"]["annotations"][key].clone();
    let differs = |key: &str| annotation(new, key) != annotation(old, key);
    if differs("seccomp.security.alpha.kubernetes.io/pod") {
        return true;
    }
    let changed = |new: &Value, old: &Value| {
        let key =
            format!("container.seccomp.security.alpha.kubernetes.io/{}", new["name"].as_str().unwrap_or_default());
        new["image"] != old["image"] || differs(&key)
    };
    let list = |of: &Value, key: &str| of["spec"][key].as_array().cloned().unwrap_or_default();
    for key in ["containers", "initContainers"] {
        let (new, old) = (list(new, key), list(old, key));
        if new.len() != old.len() || new.iter().zip(&old).any(|(new, old)| changed(new, old)) {
            return true;
        }
    }
    let before = list(old, "ephemeralContainers");
    list(new, "ephemeralContainers").iter().any(|container| {
        let same = before.iter().find(|other| other["name"] == container["name"]);
        same.is_none_or(|old| changed(container, old))
    })
}

/// All containers with their names: init containers first, as the checks visit them.
fn containers(object: &Value) -> Vec<(&str, &Value)> {
    let spec = &object["spec"];
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let all = lists.into_iter().flat_map(|list| spec[list].as_array().into_iter().flatten());
    all.map(|container| (container["name"].as_str().unwrap_or_default(), container)).collect()
}

/// `container "a"` or `containers "a", "b"`.
fn named(names: &[&str]) -> String {
    format!("container{} {}", plural(names.len()), join(names))
}

/// The ending of a noun.
fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The ending of a verb.
fn third_person(count: usize) -> &'static str {
    if count == 1 { "s" } else { "" }
}

/// Each in double quotes as it is, separated by commas.
fn join<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(|text| format!("\"{}\"", text.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Sorted, each once.
fn unique<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all.dedup();
    all
}

/// The names of containers that a test finds fault with.
fn offenders(object: &Value, test: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(object).into_iter().filter(|(_, container)| test(container)).map(|(name, _)| name).collect()
}

/// The pod itself and containers, as those who set something: `pod and container "a"`; none when nobody does.
fn setters(pod: bool, containers: &[&str]) -> Option<String> {
    let mut all = Vec::new();
    if pod {
        all.push("pod".to_owned());
    }
    if !containers.is_empty() {
        all.push(named(containers));
    }
    (!all.is_empty()).then(|| all.join(" and "))
}
