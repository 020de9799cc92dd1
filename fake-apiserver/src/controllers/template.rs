//! From a workload's pod template to the pod that is created.

use apimachinery::value::{Map, Value, json};

use super::kinds::Kind;
use super::view::{controller_reference, name, text};

/// What a controller takes from a template's metadata; everything else of it (names, namespaces) is dropped, as upstream does.
const TEMPLATE_METADATA: [&str; 3] = ["annotations", "finalizers", "labels"];

/// The pod of a template: its labels, annotations and finalizers, `generateName` from the owner, the owner as controller,
/// and the template's spec.
pub(crate) fn pod_from_template(template: &Value, owner: &Value, kind: &Kind) -> Value {
    let mut metadata = Map::new();
    for field in TEMPLATE_METADATA {
        if let Some(value) = template.get("metadata").and_then(|metadata| metadata.get(field))
            && !value.is_null()
        {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("generateName".to_owned(), generate_name(name(owner)).into());
    metadata.insert("ownerReferences".to_owned(), json!([controller_reference(owner, kind)]));
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_else(|| json!({})),
    })
}

/// `NAME-`; without the dash if that would not be a valid prefix any more (names of 253 characters).
fn generate_name(owner: &str) -> String {
    if owner.len() < 253 { format!("{owner}-") } else { owner.to_owned() }
}

/// Two templates are the same if they differ in nothing but the hash label.
pub(crate) fn same_template(a: &Value, b: &Value) -> bool {
    without_hash(a) == without_hash(b)
}

fn without_hash(template: &Value) -> std::borrow::Cow<'_, Value> {
    if text(template, "/metadata/labels/pod-template-hash").is_empty() {
        return std::borrow::Cow::Borrowed(template);
    }
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    std::borrow::Cow::Owned(template)
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;

    #[test]
    fn a_pod_has_the_template_and_its_owner() {
        let template = json!({
            "metadata": { "labels": { "app": "web" }, "annotations": { "a": "b" }, "name": "dropped" },
            "spec": { "containers": [{ "name": "app" }], "unknownField": 1 },
        });
        let owner = json!({ "metadata": { "name": "web", "uid": "u1" } });
        let pod = pod_from_template(&template, &owner, &kinds::REPLICA_SET);
        assert_eq!(
            pod,
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "annotations": { "a": "b" }, "labels": { "app": "web" }, "generateName": "web-",
                    "ownerReferences": [{
                        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u1",
                        "controller": true, "blockOwnerDeletion": true,
                    }],
                },
                "spec": { "containers": [{ "name": "app" }], "unknownField": 1 },
            })
        );
    }

    #[test]
    fn the_hash_label_does_not_count() {
        let plain = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 1}});
        let hashed = json!({"metadata": {"labels": {"app": "web", "pod-template-hash": "x"}}, "spec": {"a": 1}});
        assert!(same_template(&plain, &hashed) && same_template(&hashed, &hashed));
        assert!(!same_template(&plain, &json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": 2}})));
    }
}
