use crate::value::json;

use super::{Kind, ListType, Strategy, lookup, named, pod};

#[test]
fn pods_are_known_in_depth() {
    let containers =
        pod().field("spec").and_then(|spec| spec.object()).and_then(|spec| spec.field("containers")).unwrap();
    assert!(containers.required);
    assert_eq!(containers.merge_key, Some("name"));
    assert_eq!(containers.strategy, Strategy::Merge);
    assert_eq!(containers.list_type, Some(ListType::Map));
    assert_eq!(containers.kind.go_name(), "[]v1.Container");
    let container = containers.object().unwrap();
    assert_eq!(container.short_name(), "Container");
    let ports = container.field("ports").unwrap();
    assert_eq!(ports.merge_key, Some("containerPort"));
    assert_eq!(ports.list_map_keys, ["containerPort", "protocol"]);
    let protocol = ports.object().and_then(|port| port.field("protocol")).unwrap();
    assert_eq!(protocol.enum_values, ["SCTP", "TCP", "UDP"]);
    assert_eq!(protocol.default, Some(json!("TCP")));
    assert_eq!(container.field("resources").unwrap().default, Some(json!({})));
    assert!(container.field("nothing").is_none());
    let volumes = pod().field("spec").unwrap().object().unwrap().field("volumes").unwrap();
    assert!(volumes.retain_keys && volumes.strategy == Strategy::Merge);
}

#[test]
fn kinds_and_names_lead_to_types() {
    assert_eq!(lookup("apps", "v1", "Deployment").unwrap().go_name(), "v1.Deployment");
    assert_eq!(lookup("", "v1", "Pod").unwrap().name(), pod().name());
    assert!(lookup("apps", "v1", "Pod").is_none());
    let selector = named("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector").unwrap();
    assert!(selector.atomic());
    assert!(
        lookup("apps", "v1", "Deployment")
            .unwrap()
            .field("spec")
            .unwrap()
            .object()
            .unwrap()
            .field("selector")
            .unwrap()
            .atomic
    );
    assert_eq!(
        named("io.k8s.api.core.v1.ResourceRequirements").unwrap().field("limits").unwrap().kind,
        Kind::Map(Box::new(Kind::Quantity))
    );
}

/// Names are sorted and every reference leads to a type with a name, all through the table.
#[test]
fn the_table_is_whole() {
    let tables = super::tables::tables();
    let mut types = 0;
    let mut previous = "";
    while !tables.get(types).name().is_empty() {
        let entry = tables.get(types);
        assert!(previous < entry.name(), "{previous} {}", entry.name());
        previous = entry.name();
        assert!(entry.fields().is_sorted_by(|one, other| one.name < other.name), "{}", entry.name());
        for field in entry.fields() {
            if let Some(target) = field.object() {
                assert!(!target.name().is_empty(), "{} {}", entry.name(), field.name);
            }
            if field.strategy == Strategy::Merge && field.object().is_some() {
                let key = field.merge_key.unwrap_or_default();
                assert!(field.object().unwrap().field(key).is_some(), "{} {}", entry.name(), field.name);
            }
        }
        types += 1;
    }
    assert!(types > 500);
}
