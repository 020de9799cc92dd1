//! The cluster roles and bindings of a new cluster, read from a table.

use std::collections::BTreeMap;

use apimachinery::value::{Map, Value, json};

use super::managed;
use crate::core::Shared;
use crate::registry::create::put_in_place;

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const TABLE: &str = include_str!("roles.txt");
/// The label that marks a role for a role that collects others' rules.
const AGGREGATE: &str = "rbac.authorization.k8s.io/aggregate-to-";
/// What binds the role of a controller begins with this.
const CONTROLLER: &str = "system:controller:";

/// Who has which role, besides the controllers' service accounts: subject kinds as in `kind:name`.
const BOUND: [(&str, &[&str]); 12] = [
    ("cluster-admin", &["Group:system:masters"]),
    ("system:basic-user", &["Group:system:authenticated"]),
    ("system:discovery", &["Group:system:authenticated"]),
    ("system:kube-controller-manager", &["User:system:kube-controller-manager"]),
    ("system:kube-dns", &["ServiceAccount:kube-dns"]),
    ("system:kube-scheduler", &["User:system:kube-scheduler"]),
    ("system:monitoring", &["Group:system:monitoring"]),
    ("system:node", &[]),
    ("system:node-proxier", &["User:system:kube-proxy"]),
    ("system:public-info-viewer", &["Group:system:authenticated", "Group:system:unauthenticated"]),
    ("system:service-account-issuer-discovery", &["Group:system:serviceaccounts"]),
    ("system:volume-scheduler", &["User:system:kube-scheduler"]),
];

/// A role of the table.
#[derive(Debug, Default)]
struct Role {
    name: &'static str,
    collects: &'static str,
    into: &'static str,
    rules: Vec<Value>,
}

/// Puts the roles and their bindings in place.
pub(super) fn fill(core: &Shared) {
    let mut roles = parse();
    aggregate(&mut roles);
    for role in &roles {
        put_in_place(core, "clusterroles.rbac.authorization.k8s.io", cluster_role(core, role));
    }
    for (role, subjects) in BOUND {
        bind(core, role, subjects.iter().filter_map(|text| subject(text)).collect());
    }
    for role in &roles {
        if let Some(account) = role.name.strip_prefix(CONTROLLER) {
            bind(core, role.name, vec![json!({"kind": "ServiceAccount", "name": account, "namespace": "kube-system"})]);
        }
    }
}

fn parse() -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(text) = line.strip_prefix("  ") {
            if let Some((role, rule)) = roles.last_mut().zip(rule(text)) {
                role.rules.push(rule);
            }
            continue;
        }
        let mut words = line.split(' ');
        let mut role = Role { name: words.next().unwrap_or_default(), ..Role::default() };
        for (what, label) in words.filter_map(|word| word.split_once('=')) {
            match what {
                "collects" => role.collects = label,
                _ => role.into = label,
            }
        }
        roles.push(role);
    }
    roles
}

fn list(text: &str) -> Vec<&str> {
    text.split(',').map(|word| if word == "core" { "" } else { word }).collect()
}

fn verbs(text: &str) -> Vec<&str> {
    match text {
        "read" => list("get,list,watch"),
        "write" => list("create,delete,deletecollection,patch,update"),
        "all" => list("create,delete,deletecollection,get,list,patch,update,watch"),
        words => list(words),
    }
}

fn rule(text: &str) -> Option<Value> {
    if text == "events" {
        return rule("core,events.k8s.io events create,patch,update");
    }
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        [urls, words] => Some(json!({"verbs": verbs(words), "nonResourceURLs": list(urls.strip_prefix("url:")?)})),
        [groups, resources, words, names @ ..] => {
            let mut rule = json!({"verbs": verbs(words), "apiGroups": list(groups), "resources": list(resources)});
            if let [names] = names {
                rule["resourceNames"] = list(names).into();
            }
            Some(rule)
        }
        _ => None,
    }
}

/// A role that collects has the rules of those that are labelled for it, by name, each rule once.
fn aggregate(roles: &mut [Role]) {
    for collector in ["view", "edit", "admin"] {
        let mut sources: BTreeMap<&str, &[Value]> = BTreeMap::new();
        for role in roles.iter().filter(|role| role.into == collector) {
            sources.insert(role.name, &role.rules);
        }
        let mut rules: Vec<Value> = Vec::new();
        for rule in sources.values().copied().flatten() {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
        if let Some(role) = roles.iter_mut().find(|role| role.collects == collector) {
            role.rules = rules;
        }
    }
}

fn cluster_role(core: &Shared, role: &Role) -> Value {
    let mut labels = Map::new();
    labels.insert("kubernetes.io/bootstrapping".to_owned(), Value::from("rbac-defaults"));
    if !role.into.is_empty() {
        labels.insert(format!("{AGGREGATE}{}", role.into), "true".into());
    }
    let mut fields = tracked(&labels);
    let mut object = json!({
        "apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata(role.name, &labels), "rules": role.rules,
    });
    let mut entries = Vec::new();
    if role.collects.is_empty() {
        fields["f:rules"] = json!({});
    } else {
        fields["f:aggregationRule"] = json!({".": {}, "f:clusterRoleSelectors": {}});
        let label = format!("{AGGREGATE}{}", role.collects);
        object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
        let mut entry = managed(core, "clusterrole-aggregation-controller", RBAC, &json!({"f:rules": {}}));
        entry["operation"] = "Apply".into();
        entries.push(entry);
    }
    entries.push(managed(core, "kube-apiserver", RBAC, &fields));
    object["metadata"]["managedFields"] = entries.into();
    object
}

fn metadata(name: &str, labels: &Map) -> Value {
    json!({"name": name, "labels": labels, "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}})
}

fn tracked(labels: &Map) -> Value {
    let mut own = json!({".": {}});
    for label in labels.keys() {
        own[format!("f:{label}")] = json!({});
    }
    json!({"f:metadata": {
        "f:annotations": {".": {}, "f:rbac.authorization.kubernetes.io/autoupdate": {}}, "f:labels": own,
    }})
}

fn subject(text: &str) -> Option<Value> {
    let (kind, name) = text.split_once(':')?;
    Some(match kind {
        "ServiceAccount" => json!({"kind": kind, "name": name, "namespace": "kube-system"}),
        _ => json!({"kind": kind, "apiGroup": "rbac.authorization.k8s.io", "name": name}),
    })
}

fn bind(core: &Shared, role: &str, subjects: Vec<Value>) {
    let labels = Map::from_iter([("kubernetes.io/bootstrapping".to_owned(), Value::from("rbac-defaults"))]);
    let mut fields = tracked(&labels);
    fields["f:roleRef"] = json!({});
    let mut object = json!({
        "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": metadata(role, &labels),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
    });
    if !subjects.is_empty() {
        fields["f:subjects"] = json!({});
        object["subjects"] = subjects.into();
    }
    object["metadata"]["managedFields"] = json!([managed(core, "kube-apiserver", RBAC, &fields)]);
    put_in_place(core, "clusterrolebindings.rbac.authorization.k8s.io", object);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let mut roles = parse();
        // `api-basics/table-clusterroles`: three shown, 68 remain.
        assert_eq!(roles.len(), 71);
        assert!(TABLE.lines().filter_map(|line| line.strip_prefix("  ")).all(|line| rule(line).is_some()));
        assert!(BOUND.iter().all(|(name, _)| roles.iter().any(|role| role.name == *name)));
        aggregate(&mut roles);
        let has = |name: &str, resource: &str, verb: &str| {
            let role = roles.iter().find(|role| role.name == name).unwrap();
            let any = |rule: &Value, field: &str, word: &str| {
                rule[field].as_array().is_some_and(|all| all.iter().any(|one| one == word))
            };
            role.rules.iter().any(|rule| any(rule, "resources", resource) && any(rule, "verbs", verb))
        };
        assert!(has("view", "pods", "get") && !has("view", "secrets", "get") && !has("view", "pods", "create"));
        assert!(has("edit", "pods", "create") && has("edit", "endpoints", "get") && !has("edit", "roles", "create"));
        assert!(has("admin", "roles", "create") && has("admin", "pods", "create") && has("admin", "pods/log", "get"));
    }
}
