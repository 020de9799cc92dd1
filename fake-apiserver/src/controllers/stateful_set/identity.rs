//! A StatefulSet's pods have names and volumes that stay.

use apimachinery::value::{Value, json};

use crate::controllers::kinds;
use crate::controllers::template::pod_from_template;
use crate::controllers::view::{int, items, map_mut, name, namespace, set_label, text};

pub(super) const NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
pub(super) const INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";
pub(super) const REVISION_LABEL: &str = "controller-revision-hash";

/// The first ordinal.
pub(super) fn first_ordinal(set: &Value) -> i64 {
    int(set, "/spec/ordinals/start").unwrap_or(0)
}

/// The ordinal of a pod of this set, none if the pod's name is not of it.
pub(super) fn ordinal(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn claim_name(template: &Value, set: &Value, ordinal: i64) -> String {
    format!("{}-{}-{ordinal}", name(template), name(set))
}

/// The claims of one pod.
pub(super) fn claims(set: &Value, ordinal: i64) -> Vec<Value> {
    items(set, "/spec/volumeClaimTemplates")
        .iter()
        .map(|template| {
            let mut claim = template.clone();
            claim["metadata"]["name"] = claim_name(template, set, ordinal).into();
            claim["metadata"]["namespace"] = namespace(set).into();
            if let Some(fields) = claim.as_object_mut() {
                fields.remove("status");
            }
            let selected = set.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
            for (key, value) in selected.into_iter().flatten() {
                set_label(&mut claim, key, value.as_str().unwrap_or_default());
            }
            claim
        })
        .collect()
}

/// The pod of an ordinal, as it is created: `revision` is the name of the revision that `set`'s template is of.
pub(super) fn pod(set: &Value, ordinal: i64, revision: &str) -> Value {
    let template = set.pointer("/spec/template").unwrap_or(&Value::Null);
    let mut pod = pod_from_template(template, set, &kinds::STATEFUL_SET);
    let pod_name = format!("{}-{ordinal}", name(set));
    pod["metadata"]["name"] = pod_name.as_str().into();
    pod["metadata"]["namespace"] = namespace(set).into();
    set_label(&mut pod, NAME_LABEL, &pod_name);
    set_label(&mut pod, INDEX_LABEL, &ordinal.to_string());
    set_label(&mut pod, REVISION_LABEL, revision);
    if let Some(spec) = map_mut(&mut pod, "spec") {
        spec.insert("hostname".to_owned(), pod_name.into());
        let service = text(set, "/spec/serviceName");
        if !service.is_empty() {
            spec.insert("subdomain".to_owned(), service.into());
        }
        let templates = items(set, "/spec/volumeClaimTemplates");
        if !templates.is_empty() {
            let own = spec.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
            let claimed = templates.iter().map(|template| {
                let claim = claim_name(template, set, ordinal);
                json!({ "name": name(template), "persistentVolumeClaim": { "claimName": claim } })
            });
            let others = own.iter().filter(|volume| !templates.iter().any(|template| volume["name"] == name(template)));
            let volumes: Vec<Value> = claimed.chain(others.cloned()).collect();
            spec.insert("volumes".to_owned(), volumes.into());
        }
    }
    pod
}

/// Whether a stored pod still has the labels that make it this ordinal's.
pub(super) fn keeps_identity(pod: &Value) -> bool {
    let label = |key: &str| pod.pointer("/metadata/labels").and_then(|labels| labels[key].as_str());
    label(NAME_LABEL) == Some(name(pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Value {
        json!({
            "metadata": { "name": "web", "namespace": "n", "uid": "u" },
            "spec": {
                "serviceName": "svc", "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "volumes": [{ "name": "data", "emptyDir": {} }, { "name": "other", "emptyDir": {} }] },
                },
                "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": {}, "status": {} }],
            },
        })
    }

    #[test]
    fn a_pod_knows_its_ordinal() {
        let pod = pod(&set(), 2, "web-66474cb9cc");
        assert_eq!(name(&pod), "web-2");
        assert_eq!(text(&pod, "/metadata/generateName"), "web-");
        assert_eq!(
            pod["metadata"]["labels"],
            json!({
                "app": "web", "apps.kubernetes.io/pod-index": "2", "controller-revision-hash": "web-66474cb9cc",
                "statefulset.kubernetes.io/pod-name": "web-2",
            })
        );
        assert_eq!((text(&pod, "/spec/hostname"), text(&pod, "/spec/subdomain")), ("web-2", "svc"));
        assert_eq!(
            pod["spec"]["volumes"],
            json!([
                { "name": "data", "persistentVolumeClaim": { "claimName": "data-web-2" } },
                { "name": "other", "emptyDir": {} },
            ])
        );
        assert!(keeps_identity(&pod));
    }

    #[test]
    fn claims_carry_the_selected_labels() {
        let claim = &claims(&set(), 2)[0];
        assert_eq!(claim["metadata"], json!({ "name": "data-web-2", "namespace": "n", "labels": { "app": "web" } }));
        assert!(claim.get("status").is_none());
    }

    #[test]
    fn names_of_other_sets_are_not_ours() {
        assert_eq!(ordinal("web", "web-12"), Some(12));
        assert_eq!(ordinal("web", "web-a-1"), None);
        assert_eq!(ordinal("web", "web"), None);
        assert_eq!(ordinal("web", "web-99999999999999999999"), None);
    }
}
