//! RBAC, evaluated over the Role, ClusterRole and binding objects that are stored.

use apimachinery::value::{List, Value};

use crate::admission::UserInfo;
use crate::store::Store;

/// Who decides what users may do. Members of `system:masters`, and so the user of the generated kubeconfig, may do
/// everything in either mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authorization {
    /// Roles and bindings, as in a real cluster: a user without a binding may do next to nothing.
    #[default]
    Rbac,
    /// Everybody may do everything, anonymous requests included.
    AlwaysAllow,
}

/// What a user wants to do: a verb on a resource, or on a path if `path` is set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) path: &'a str,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Yes, with the reason that a SubjectAccessReview shows.
    Allowed(String),
    /// Nobody said yes.
    NoOpinion,
}

const GROUP: &str = "rbac.authorization.k8s.io";

/// Looks for a binding of the user to a role with a rule for the query.
pub(crate) fn decide(store: &Store, user: &UserInfo, query: &Query<'_>) -> Decision {
    for binding in store.list("clusterrolebindings.rbac.authorization.k8s.io", "").0 {
        if let Some(subject) = subject(binding.value(), user, "") {
            let role = &binding.value()["roleRef"]["name"];
            if grants(store, "ClusterRole", role.as_str().unwrap_or_default(), "", query) {
                let role = role.as_str().unwrap_or_default();
                return Decision::Allowed(format!(
                    "RBAC: allowed by ClusterRoleBinding {:?} of ClusterRole {role:?} to {subject}",
                    binding.name()
                ));
            }
        }
    }
    if query.namespace.is_empty() {
        return Decision::NoOpinion;
    }
    for binding in store.list("rolebindings.rbac.authorization.k8s.io", query.namespace).0 {
        if let Some(subject) = subject(binding.value(), user, query.namespace) {
            let reference = &binding.value()["roleRef"];
            let text = |field: &str| reference[field].as_str().unwrap_or_default();
            if grants(store, text("kind"), text("name"), query.namespace, query) {
                return Decision::Allowed(format!(
                    "RBAC: allowed by RoleBinding \"{}/{}\" of {} {:?} to {subject}",
                    binding.name(),
                    query.namespace,
                    text("kind"),
                    text("name")
                ));
            }
        }
    }
    Decision::NoOpinion
}

/// The binding's subject that is the user, as texts name it.
fn subject(binding: &Value, user: &UserInfo, namespace: &str) -> Option<String> {
    binding["subjects"].as_array()?.iter().find_map(|subject| {
        let text = |field: &str| subject[field].as_str().unwrap_or_default();
        let name = text("name");
        match text("kind") {
            "User" if user.username == name => Some(format!("User {name:?}")),
            "Group" if user.groups.iter().any(|group| group == name) => Some(format!("Group {name:?}")),
            "ServiceAccount" => {
                let of = if text("namespace").is_empty() { namespace } else { text("namespace") };
                let account = format!("system:serviceaccount:{of}:{name}");
                (user.username == account).then(|| format!("ServiceAccount \"{name}/{of}\""))
            }
            _ => None,
        }
    })
}

fn grants(store: &Store, kind: &str, name: &str, namespace: &str, query: &Query<'_>) -> bool {
    let role = match kind {
        "ClusterRole" => store.get(&format!("clusterroles.{GROUP}"), "", name),
        _ => store.get(&format!("roles.{GROUP}"), namespace, name),
    };
    let rules = role.as_ref().and_then(|role| role.value()["rules"].as_array());
    rules.is_some_and(|rules| rules.iter().any(|rule| covers(rule, query)))
}

/// Whether a rule covers a query.
fn covers(rule: &Value, query: &Query<'_>) -> bool {
    let any = |field: &str, test: &dyn Fn(&str) -> bool| {
        rule[field].as_array().is_some_and(|values| values.iter().filter_map(Value::as_str).any(test))
    };
    if !any("verbs", &|verb| verb == "*" || verb == query.verb) {
        return false;
    }
    if !query.path.is_empty() {
        return any("nonResourceURLs", &|url| match url.strip_suffix('*') {
            Some(prefix) => query.path.starts_with(prefix),
            None => url == query.path,
        });
    }
    let wanted = match query.subresource {
        "" => query.resource.to_owned(),
        subresource => format!("{}/{subresource}", query.resource),
    };
    let of_any = format!("*/{}", query.subresource);
    any("apiGroups", &|group| group == "*" || group == query.group)
        && any("resources", &|resource| {
            resource == "*" || resource == wanted || (!query.subresource.is_empty() && resource == of_any)
        })
        && (rule["resourceNames"].as_array().is_none_or(List::is_empty)
            || any("resourceNames", &|name| name == query.name))
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn rules_cover_what_they_say() {
        let rule =
            json!({"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "pods/log", "*/scale"]});
        let query =
            |verb, group, resource, subresource| Query { verb, group, resource, subresource, ..Query::default() };
        assert!(covers(&rule, &query("get", "", "pods", "")));
        assert!(covers(&rule, &query("get", "", "pods", "log")));
        assert!(covers(&rule, &query("get", "apps", "deployments", "scale")));
        assert!(!covers(&rule, &query("get", "", "pods", "exec")));
        assert!(!covers(&rule, &query("create", "", "pods", "")));
        assert!(!covers(&rule, &query("get", "batch", "pods", "")));
        let named = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"]});
        assert!(!covers(&named, &query("get", "", "pods", "")));
        assert!(covers(&named, &Query { name: "a", ..query("get", "", "pods", "") }));
        let paths = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]});
        assert!(covers(&paths, &Query { verb: "get", path: "/api/v1", ..Query::default() }));
        assert!(!covers(&paths, &Query { verb: "get", path: "/metrics", ..Query::default() }));
    }
}
