use super::*;
use crate::version::KubernetesVersion;

#[test]
fn every_row_of_the_table_is_served() {
    let registry = Registry::new(KubernetesVersion::default());
    let kinds = registry.kinds();
    let rows = KINDS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let served: usize = kinds.all().map(|resource| 1 + resource.subresources.len()).sum();
    assert_eq!(served, rows);
}

#[test]
fn the_pod_row_says_what_discovery_says() {
    let pods = Registry::new(KubernetesVersion::default()).find("", "v1", "pods").unwrap();
    assert!(pods.namespaced && pods.is_stored());
    assert_eq!(pods.verbs.len(), 8);
    let eviction = pods.subresource("eviction").unwrap();
    assert_eq!((eviction.gvk.api_version().as_str(), &*eviction.gvk.kind), ("policy/v1", "Eviction"));
    assert!(Registry::new(KubernetesVersion::default()).find("", "v1", "nope").is_none());
}

#[test]
fn versions_of_one_resource_share_their_objects() {
    let kinds = Registry::new(KubernetesVersion::default()).kinds();
    let events: Vec<_> = kinds.same_storage("events").map(|resource| resource.gvk.api_version()).collect();
    assert_eq!(events, ["v1", "events.k8s.io/v1"]);
    assert_eq!(kinds.same_storage("horizontalpodautoscalers.autoscaling").count(), 2);
}
