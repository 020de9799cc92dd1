use apimachinery::value::{Value, json};

use super::scopes::{match_pod, of};
use super::usage;

fn is_in(quota: &Value, spec: &Value) -> bool {
    match_pod(&of(&json!({"spec": quota})), &json!({"spec": spec}))
}

#[test]
fn scopes_tell_pods_apart() {
    let scope = |name: &str| json!({"scopes": [name]});
    let plain = json!({"containers": [{"name": "a"}]});
    let ends =
        json!({"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}], "activeDeadlineSeconds": 60});
    for (name, of_plain, of_ends) in [
        ("Terminating", false, true),
        ("NotTerminating", true, false),
        ("BestEffort", true, false),
        ("NotBestEffort", false, true),
        ("Unheard", false, false),
    ] {
        assert_eq!((is_in(&scope(name), &plain), is_in(&scope(name), &ends)), (of_plain, of_ends), "{name}");
    }
    assert!(is_in(&json!({}), &plain), "without scopes every pod counts");
    assert!(!is_in(&json!({"scopes": ["BestEffort", "Terminating"]}), &plain), "all of them have to match");
    let term = json!({"topologyKey": "zone", "namespaces": ["other"]});
    let affinity = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
    assert!(is_in(&scope("CrossNamespacePodAffinity"), &json!({"affinity": affinity})));
}

#[test]
fn classes_are_selected() {
    let selector = |operator: &str| {
        let expression = json!({"scopeName": "PriorityClass", "operator": operator, "values": ["high", "top"]});
        json!({"scopeSelector": {"matchExpressions": [expression]}})
    };
    for (operator, high, low, none) in [
        ("In", true, false, false),
        ("NotIn", false, true, true),
        ("Exists", true, true, false),
        ("DoesNotExist", false, false, true),
    ] {
        let class = |name: &str| is_in(&selector(operator), &json!({"priorityClassName": name}));
        assert_eq!((class("high"), class("low"), class("")), (high, low, none), "{operator}");
    }
}

#[test]
fn claims_use_storage_of_their_class() {
    let claim = json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}});
    let usage = usage("", "persistentvolumeclaims", &claim);
    let of = |key: &str| usage.get(key).map(|amount| amount / 1_000_000_000);
    assert_eq!(of("requests.storage"), Some(2 << 30));
    assert_eq!(of("fast.storageclass.storage.k8s.io/requests.storage"), Some(2 << 30));
    assert_eq!(of("fast.storageclass.storage.k8s.io/persistentvolumeclaims"), Some(1));
    assert_eq!((of("persistentvolumeclaims"), of("count/persistentvolumeclaims")), (Some(1), Some(1)));
}
