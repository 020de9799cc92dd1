//! matchConstraints, matchResources and parameters.

use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::Value;

use super::super::attributes::Attributes;
use super::super::cluster::Cluster;
use super::super::rejection::Rejection;
use super::super::webhook::{Rule, invocation, namespace_matches, object_matches, selector};
use super::Bound;

/// Selectors and rules; without rules everything matches.
pub(crate) struct Constraints {
    namespaces: Result<Option<Selector>, String>,
    objects: Result<Option<Selector>, String>,
    rules: Vec<(Rule, Vec<String>)>,
    exclude: Vec<(Rule, Vec<String>)>,
    equivalent: bool,
}

impl Constraints {
    pub(crate) fn parse(resources: &Value) -> Self {
        let rules = |key: &str| -> Vec<(Rule, Vec<String>)> {
            let list = resources[key].as_array().into_iter().flatten();
            list.map(|rule| {
                let names = rule["resourceNames"].as_array().into_iter().flatten();
                (Rule::parse(rule), names.filter_map(Value::as_str).map(str::to_owned).collect())
            })
            .collect()
        };
        Self {
            namespaces: selector(&resources["namespaceSelector"]),
            objects: selector(&resources["objectSelector"]),
            rules: rules("resourceRules"),
            exclude: rules("excludeResourceRules"),
            equivalent: resources["matchPolicy"] != "Exact",
        }
    }

    pub(crate) fn match_request(&self, attributes: &Attributes, cluster: &dyn Cluster) -> Result<bool, Rejection> {
        let any = |rules: &[(Rule, Vec<String>)]| {
            rules.iter().any(|(rule, names)| {
                (names.is_empty() || names.contains(&attributes.name))
                    && invocation(std::slice::from_ref(rule), self.equivalent, attributes, cluster).is_some()
            })
        };
        if any(&self.exclude) || !(self.rules.is_empty() || any(&self.rules)) {
            return Ok(false);
        }
        Ok(object_matches(&self.objects, attributes)? && namespace_matches(&self.namespaces, attributes, cluster)?)
    }
}

/// The parameters of a bound policy: one evaluation for each; none where the policy takes none.
///
/// # Errors
/// Why the request has to be refused when there are none and the binding says Deny.
pub(crate) fn params(
    bound: &Bound,
    attributes: &Attributes,
    cluster: &dyn Cluster,
) -> Result<Vec<Option<Arc<Value>>>, String> {
    let Some((api_version, kind)) = &bound.policy.param_kind else { return Ok(vec![None]) };
    let reference = &bound.binding.param_ref;
    if reference.is_null() {
        return Ok(vec![None]);
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    // The plural by English rules; a kind with an odd plural is not found.
    let lower = kind.to_lowercase();
    let resource = match lower.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if lower.ends_with('s') => format!("{lower}es"),
        None => format!("{lower}s"),
    };
    let namespace = reference["namespace"].as_str().unwrap_or(&attributes.namespace);
    let found: Vec<Arc<Value>> = match reference["name"].as_str() {
        Some(name) => {
            let named = cluster.get(group, &resource, namespace, name);
            named.or_else(|| cluster.get(group, &resource, "", name)).into_iter().collect()
        }
        None => {
            let selector = selector(&reference["selector"])?;
            let all = cluster.list(group, &resource, Some(namespace));
            let matches = |object: &&Arc<Value>| match (&selector, object["metadata"]["labels"].as_object()) {
                (None, _) => true,
                (Some(selector), Some(labels)) => selector.matches(labels),
                (Some(selector), None) => selector.matches(&apimachinery::value::Map::new()),
            };
            all.iter().filter(matches).cloned().collect()
        }
    };
    if found.is_empty() && reference["parameterNotFoundAction"] != "Allow" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    Ok(found.into_iter().map(Some).collect())
}
