//! Does a rule cover a request: operations, groups, versions, resources with subresources, scope.

use apimachinery::value::Value;

use super::super::attributes::{Attributes, GroupVersionKind, GroupVersionResource};
use super::super::cluster::Cluster;

/// One entry of `rules`.
#[derive(Debug)]
pub(crate) struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<(String, String)>,
    scope: Scope,
}

#[derive(Debug, PartialEq, Eq)]
enum Scope {
    All,
    Cluster,
    Namespaced,
}

/// How a webhook is to be addressed: the resource and kind that its rule named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) resource: GroupVersionResource,
    pub(crate) kind: GroupVersionKind,
}

impl Rule {
    pub(crate) fn parse(rule: &Value) -> Self {
        let texts = |key: &str| -> Vec<String> {
            rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources")
                .iter()
                .map(|resource| match resource.split_once('/') {
                    Some((resource, sub)) => (resource.to_owned(), sub.to_owned()),
                    None => (resource.clone(), String::new()),
                })
                .collect(),
            scope: match rule["scope"].as_str() {
                Some("Cluster") => Scope::Cluster,
                Some("Namespaced") => Scope::Namespaced,
                _ => Scope::All,
            },
        }
    }

    pub(crate) fn matches(&self, attributes: &Attributes, resource: &GroupVersionResource) -> bool {
        self.scope_matches(attributes, resource)
            && has(&self.operations, attributes.operation.as_str())
            && has(&self.groups, &resource.group)
            && has(&self.versions, &resource.version)
            && self.resources.iter().any(|(name, sub)| {
                (name == "*" || *name == resource.resource) && (sub == "*" || *sub == attributes.subresource)
            })
    }

    /// A Namespace object counts as cluster-scoped although its request carries a namespace.
    fn scope_matches(&self, attributes: &Attributes, resource: &GroupVersionResource) -> bool {
        let is_namespace = resource.group.is_empty() && resource.version == "v1" && resource.resource == "namespaces";
        let in_namespace = !attributes.namespace.is_empty() && !is_namespace;
        match self.scope {
            Scope::All => true,
            Scope::Cluster => !in_namespace,
            Scope::Namespaced => in_namespace,
        }
    }
}

fn has(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern == "*" || pattern == text)
}

/// Which resource and kind a set of rules matches: the one asked for, or with matchPolicy Equivalent the first
/// rule's equivalent (vectors `matchpolicy/*`).
pub(crate) fn invocation(
    rules: &[Rule],
    equivalent: bool,
    attributes: &Attributes,
    cluster: &dyn Cluster,
) -> Option<Invocation> {
    if rules.iter().any(|rule| rule.matches(attributes, &attributes.resource)) {
        return Some(Invocation { resource: attributes.resource.clone(), kind: attributes.kind.clone() });
    }
    if !equivalent || rules.is_empty() {
        return None;
    }
    let others = cluster.equivalents(&attributes.resource, &attributes.subresource);
    rules.iter().find_map(|rule| {
        others
            .iter()
            .filter(|other| other.resource != attributes.resource)
            .find(|other| rule.matches(attributes, &other.resource))
            .map(|other| Invocation { resource: other.resource.clone(), kind: other.kind.clone() })
    })
}

/// Webhooks and policies never see the objects that configure them.
pub(crate) fn exempt(kind: &GroupVersionKind) -> bool {
    kind.group == "admissionregistration.k8s.io"
        && matches!(
            kind.kind.as_str(),
            "MutatingWebhookConfiguration"
                | "ValidatingWebhookConfiguration"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
        )
}
