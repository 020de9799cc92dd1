//! PodSecurity: the standards `baseline` and `restricted`, enforced, warned about or audited by namespace labels.

use serde_json::Value;

use super::super::attributes::{Attributes, Operation};
use super::super::cluster::Cluster;
use super::super::golang::quote;
use super::super::rejection::Rejection;

mod baseline;
mod restricted;

/// A standard, from the loosest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// A check that failed: what is forbidden, and where.
struct Violation {
    reason: &'static str,
    detail: String,
}

/// Level and version of one mode, as the labels say; the text is `restricted:latest`.
fn policy(namespace: &Value, mode: &str) -> (Level, String) {
    let labels = &namespace["metadata"]["labels"];
    let text = |key: String| labels[key.as_str()].as_str();
    let name = text(format!("pod-security.kubernetes.io/{mode}"));
    let version = text(format!("pod-security.kubernetes.io/{mode}-version")).unwrap_or("latest");
    let level = match name {
        Some("baseline") => Level::Baseline,
        None | Some("privileged") => Level::Privileged,
        // A level that does not exist is the strictest.
        Some(_) => Level::Restricted,
    };
    let word = match level {
        Level::Privileged => "privileged",
        Level::Baseline => "baseline",
        Level::Restricted => "restricted",
    };
    (level, format!("{word}:{version}"))
}

fn violations(level: Level, object: &Value) -> Option<String> {
    let mut found = Vec::new();
    if level >= Level::Baseline {
        baseline::check(object, level == Level::Restricted, &mut found);
    }
    if level >= Level::Restricted {
        restricted::check(object, &mut found);
    }
    let texts: Vec<_> = found.iter().map(|violation| format!("{} ({})", violation.reason, violation.detail)).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

pub(crate) fn validate(cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
    let written = matches!(attributes.operation, Operation::Create | Operation::Update);
    if !written || !attributes.subresource.is_empty() || attributes.namespace.is_empty() {
        return Ok(());
    }
    let Some(judgement) = judge(cluster, attributes) else { return Ok(()) };
    if let Some(policy) = judgement.enforced {
        attributes.annotate("pod-security.kubernetes.io/enforce-policy", &policy);
    }
    if let Some(text) = judgement.audit {
        attributes.annotate("pod-security.kubernetes.io/audit-violations", &text);
    }
    if let Some(why) = judgement.refusal {
        return Err(Rejection::forbidden("", "pods", &attributes.name, &why));
    }
    if let Some(text) = judgement.warning {
        attributes.warn(&text);
    }
    Ok(())
}

/// What the standards say of one object.
struct Judgement {
    /// The policy that is enforced, for pods.
    enforced: Option<String>,
    refusal: Option<String>,
    audit: Option<String>,
    warning: Option<String>,
}

fn judge(cluster: &dyn Cluster, attributes: &Attributes) -> Option<Judgement> {
    let is_pod = attributes.is_for("", "pods");
    let template = template(attributes)?;
    if attributes.operation == Operation::Update
        && is_pod
        && attributes.old_object.as_ref().is_some_and(|old| old["spec"] == template["spec"])
    {
        return None;
    }
    let namespace = cluster.get("", "namespaces", "", &attributes.namespace)?;
    let (enforce, audit, warn) =
        (policy(&namespace, "enforce"), policy(&namespace, "audit"), policy(&namespace, "warn"));
    let refusal = violations(enforce.0, template).filter(|_| is_pod);
    let would = |policy: &(Level, String)| {
        violations(policy.0, template).map(|text| format!("would violate PodSecurity {}: {text}", quote(&policy.1)))
    };
    Some(Judgement {
        refusal: refusal.map(|text| format!("violates PodSecurity {}: {text}", quote(&enforce.1))),
        audit: would(&audit),
        warning: would(&warn),
        enforced: is_pod.then_some(enforce.1),
    })
}

/// The pod, or the pod template of a workload.
fn template(attributes: &Attributes) -> Option<&Value> {
    let object = attributes.object.as_ref()?;
    let spec = &object["spec"];
    match (attributes.resource.group.as_str(), attributes.resource.resource.as_str()) {
        ("", "pods") => Some(object),
        ("", "podtemplates") => Some(&object["template"]),
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "replicasets" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => Some(&spec["template"]),
        ("batch", "cronjobs") => Some(&spec["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
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
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("container{plural} {}", join(names))
}

/// Quoted and separated by commas.
fn join(texts: &[&str]) -> String {
    texts.iter().map(|text| quote(text)).collect::<Vec<_>>().join(", ")
}

/// The names of containers that a test finds fault with.
fn offenders(object: &Value, test: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(object).into_iter().filter(|(_, container)| test(container)).map(|(name, _)| name).collect()
}

/// Whether the pod is for Windows, which some checks leave alone.
fn is_windows(object: &Value) -> bool {
    object["spec"]["os"]["name"] == "windows"
}
