//! Group versions of earlier Kubernetes versions: another `apiVersion`, and other defaults, for the objects of today.
//!
//! They are served when an older version is imitated. What is written in them is stored as today's version holds it; the
//! fields are the same but for their defaults. Sources: the API reference of the versions named, and the deprecation guide.

use std::sync::Arc;

use apimachinery::value::{Value, json};

use super::resource::{Gvk, api_version};
use super::{GroupVersion, Kinds};
use crate::version::KubernetesVersion;

/// A group version that was served once.
struct Old {
    group: &'static str,
    version: &'static str,
    /// Today's group version.
    now: (&'static str, &'static str),
    resources: &'static [&'static str],
    /// The last minor version that served it, and the one that called it deprecated.
    last: u32,
    deprecated: u32,
}

const OLD: [Old; 10] = [
    Old {
        group: "admissionregistration.k8s.io",
        version: "v1beta1",
        now: ("admissionregistration.k8s.io", "v1"),
        resources: &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        last: 21,
        deprecated: 16,
    },
    Old {
        group: "extensions",
        version: "v1beta1",
        now: ("apps", "v1"),
        resources: &["daemonsets", "deployments", "replicasets"],
        last: 15,
        deprecated: 8,
    },
    Old {
        group: "apps",
        version: "v1beta2",
        now: ("apps", "v1"),
        resources: &["daemonsets", "deployments", "replicasets", "statefulsets"],
        last: 15,
        deprecated: 9,
    },
    Old {
        group: "apps",
        version: "v1beta1",
        now: ("apps", "v1"),
        resources: &["deployments", "statefulsets"],
        last: 15,
        deprecated: 8,
    },
    Old {
        group: "batch",
        version: "v1beta1",
        now: ("batch", "v1"),
        resources: &["cronjobs"],
        last: 24,
        deprecated: 21,
    },
    Old {
        group: "policy",
        version: "v1beta1",
        now: ("policy", "v1"),
        resources: &["poddisruptionbudgets"],
        last: 24,
        deprecated: 21,
    },
    Old {
        group: "rbac.authorization.k8s.io",
        version: "v1beta1",
        now: ("rbac.authorization.k8s.io", "v1"),
        resources: &["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
        last: 21,
        deprecated: 17,
    },
    Old {
        group: "storage.k8s.io",
        version: "v1beta1",
        now: ("storage.k8s.io", "v1"),
        resources: &["storageclasses"],
        last: 21,
        deprecated: 19,
    },
    Old {
        group: "scheduling.k8s.io",
        version: "v1beta1",
        now: ("scheduling.k8s.io", "v1"),
        resources: &["priorityclasses"],
        last: 21,
        deprecated: 14,
    },
    Old {
        group: "coordination.k8s.io",
        version: "v1beta1",
        now: ("coordination.k8s.io", "v1"),
        resources: &["leases"],
        last: 21,
        deprecated: 19,
    },
];

/// The first version that says that a version is deprecated, in a `Warning` header.
const WARNS: u32 = 19;
/// The first version with `admissionregistration.k8s.io/v1`.
const WEBHOOKS_V1: u32 = 16;

/// Fields of a webhook, and the first version that knows them; earlier ones drop them.
const WEBHOOK_FIELDS: [(&str, u32); 7] = [
    ("sideEffects", 12),
    ("admissionReviewVersions", 14),
    ("timeoutSeconds", 14),
    ("matchPolicy", 15),
    ("objectSelector", 15),
    ("reinvocationPolicy", 15),
    ("matchConditions", 27),
];

/// Today's group version of an old one; `None` for all others.
pub(crate) fn now(group: &str, version: &str) -> Option<(&'static str, &'static str)> {
    OLD.iter().find(|old| old.group == group && old.version == version).map(|old| old.now)
}

impl Kinds {
    /// Serves what that version of Kubernetes served, as far as a webhook or its author sees it.
    pub(crate) fn go_back(&mut self, version: KubernetesVersion) {
        for old in OLD.iter().filter(|old| !version.is_from(old.last + 1)) {
            for plural in old.resources {
                let Some(now) = self.find(old.now.0, old.now.1, plural) else { continue };
                let mut resource = (*now).clone();
                resource.gvk = Gvk::new(old.group, old.version, &now.gvk.kind);
                for subresource in resource.subresources.iter_mut().filter(|subresource| subresource.gvk == now.gvk) {
                    subresource.gvk = resource.gvk.clone();
                }
                if version.is_from(old.deprecated.max(WARNS)) {
                    resource.deprecation = Some(old.warning(&now.gvk).into());
                }
                self.add(resource);
            }
        }
        let mut gone: Vec<(&str, &str)> = Vec::new();
        if !version.is_from(WEBHOOKS_V1) {
            gone.extend([("v1", "mutatingwebhookconfigurations"), ("v1", "validatingwebhookconfigurations")]);
        }
        for (mutating, plurals) in [
            (false, ["validatingadmissionpolicies", "validatingadmissionpolicybindings"]),
            (true, ["mutatingadmissionpolicies", "mutatingadmissionpolicybindings"]),
        ] {
            if !version.has_policies(mutating) {
                gone.extend(plurals.map(|plural| ("v1", plural)));
            }
        }
        for (version, plural) in gone {
            self.retire("admissionregistration.k8s.io", version, plural);
        }
    }

    /// Removes a resource in one version.
    fn retire(&mut self, group: &str, version: &str, plural: &str) {
        let is_it = |served: &GroupVersion| &*served.group == group && &*served.version == version;
        for served in self.group_versions.iter_mut().filter(|served| is_it(served)) {
            served.resources.retain(|resource| &*resource.plural != plural);
        }
        self.group_versions.retain(|served| !served.resources.is_empty());
        self.index.retain(|_, resource: &mut Arc<_>| {
            (&*resource.gvk.group, &*resource.gvk.version, &*resource.plural) != (group, version, plural)
        });
    }
}

impl Old {
    /// The text of the `Warning` header.
    fn warning(&self, now: &Gvk) -> String {
        let (old, kind) = (api_version(self.group, self.version), &now.kind);
        let (deprecated, gone) = (self.deprecated, self.last + 1);
        format!(
            "{old} {kind} is deprecated in v1.{deprecated}+, unavailable in v1.{gone}+; use {} {kind}",
            now.api_version()
        )
    }
}

/// Drops the fields of webhooks that a version does not know yet.
pub(crate) fn forget_young(gvk: &Gvk, object: &mut Value, version: KubernetesVersion) {
    if &*gvk.group != "admissionregistration.k8s.io" || version == KubernetesVersion::default() {
        return;
    }
    for webhook in webhooks(object).filter_map(Value::as_object_mut) {
        for (field, _) in WEBHOOK_FIELDS.iter().filter(|(_, since)| !version.is_from(*since)) {
            webhook.remove(field);
        }
    }
}

/// The webhooks of a configuration; none of anything else.
fn webhooks(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object.get_mut("webhooks").and_then(Value::as_array_mut).into_iter().flatten()
}

/// Sets the defaults that an old group version has otherwise than today's, so that today's find nothing to set.
pub(crate) fn default(gvk: &Gvk, object: &mut Value) {
    match (&*gvk.group, &*gvk.version) {
        ("admissionregistration.k8s.io", "v1beta1") => {
            for webhook in webhooks(object) {
                set(webhook, "failurePolicy", json!("Ignore"));
                set(webhook, "matchPolicy", json!("Exact"));
                set(webhook, "sideEffects", json!("Unknown"));
                set(webhook, "timeoutSeconds", json!(30));
                set(webhook, "admissionReviewVersions", json!(["v1beta1"]));
            }
        }
        ("extensions" | "apps", "v1beta1") => {
            let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else { return };
            let labels = spec["template"]["metadata"]["labels"].clone();
            if labels.is_object() {
                set(spec, "selector", json!({ "matchLabels": labels }));
            }
            match (&*gvk.group, &*gvk.kind) {
                ("extensions", "Deployment") => {
                    set(spec, "progressDeadlineSeconds", json!(i32::MAX));
                    set(spec, "revisionHistoryLimit", json!(i32::MAX));
                    if let Some(strategy) = part(spec, "strategy").filter(|strategy| strategy["type"] != "Recreate")
                        && let Some(rolling) = part(strategy, "rollingUpdate")
                    {
                        set(rolling, "maxSurge", json!(1));
                        set(rolling, "maxUnavailable", json!(1));
                    }
                }
                ("apps", "Deployment") => set(spec, "revisionHistoryLimit", json!(2)),
                ("extensions", "DaemonSet") | ("apps", "StatefulSet") => {
                    if let Some(strategy) = part(spec, "updateStrategy") {
                        set(strategy, "type", json!("OnDelete"));
                    }
                }
                _ => {}
            }
        }
        _ => {}
    }
}

/// An object within an object, made if it is absent; `None` if something else stands there.
fn part<'a>(object: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    set(object, field, json!({}));
    object.get_mut(field).filter(|part| part.is_object())
}

/// Sets a field that is absent or null.
fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(version: &str) -> Kinds {
        let mut kinds = Kinds::parse(super::super::KINDS);
        kinds.go_back(version.parse().unwrap());
        kinds
    }

    #[test]
    fn every_row_stands_for_a_resource_of_today() {
        let kinds = served("1.9");
        for old in &OLD {
            for plural in old.resources {
                let resource = kinds.find(old.group, old.version, plural).expect(plural);
                assert_eq!((&*resource.storage.group, &*resource.storage.version), old.now, "{plural}");
            }
        }
    }

    #[test]
    fn what_was_served_when() {
        let has =
            |version: &str, group: &str, of: &str, plural: &str| served(version).find(group, of, plural).is_some();
        let group = "admissionregistration.k8s.io";
        for (version, old, new) in
            [("1.15", true, false), ("1.16", true, true), ("1.21", true, true), ("1.22", false, true)]
        {
            assert_eq!(has(version, group, "v1beta1", "mutatingwebhookconfigurations"), old, "{version}");
            assert_eq!(has(version, group, "v1", "mutatingwebhookconfigurations"), new, "{version}");
        }
        assert!(
            has("1.15", "extensions", "v1beta1", "deployments") && !has("1.16", "extensions", "v1beta1", "deployments")
        );
        assert!(
            !has("1.29", group, "v1", "validatingadmissionpolicies")
                && has("1.30", group, "v1", "validatingadmissionpolicies")
        );
        let today = served("1.36");
        assert!(today.all().all(|resource| now(&resource.gvk.group, &resource.gvk.version).is_none()));
        let warned = served("1.20").find(group, "v1beta1", "mutatingwebhookconfigurations").unwrap();
        assert_eq!(
            warned.deprecation.as_deref(),
            Some(
                "admissionregistration.k8s.io/v1beta1 MutatingWebhookConfiguration is deprecated in v1.16+, unavailable in v1.22+; use admissionregistration.k8s.io/v1 MutatingWebhookConfiguration"
            )
        );
    }

    #[test]
    fn a_webhook_of_the_old_days() {
        let gvk = Gvk::new("admissionregistration.k8s.io", "v1beta1", "MutatingWebhookConfiguration");
        let mut object = json!({ "webhooks": [{ "name": "a", "sideEffects": "None", "timeoutSeconds": 3, "failurePolicy": "Fail" }] });
        forget_young(&gvk, &mut object, "1.11".parse().unwrap());
        default(&gvk, &mut object);
        let webhook = &object["webhooks"][0];
        assert_eq!((&webhook["timeoutSeconds"], &webhook["sideEffects"]), (&json!(30), &json!("Unknown")));
        assert_eq!((&webhook["failurePolicy"], &webhook["matchPolicy"]), (&json!("Fail"), &json!("Exact")));
        assert_eq!(webhook["admissionReviewVersions"], json!(["v1beta1"]));
    }

    #[test]
    fn a_deployment_of_the_old_days() {
        let gvk = Gvk::new("extensions", "v1beta1", "Deployment");
        let mut object = json!({ "spec": { "template": { "metadata": { "labels": { "app": "sleep" } } } } });
        default(&gvk, &mut object);
        assert_eq!(object["spec"]["selector"], json!({ "matchLabels": { "app": "sleep" } }));
        assert_eq!(object["spec"]["strategy"], json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 1 } }));
    }

    #[test]
    fn what_is_no_object_of_the_old_days_stays_as_it_is() {
        let version = "1.11".parse().unwrap();
        for (group, kind) in [
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
            ("extensions", "Deployment"),
            ("extensions", "DaemonSet"),
        ] {
            let gvk = Gvk::new(group, "v1beta1", kind);
            for odd in [json!([]), json!("x"), json!(null), json!({ "webhooks": 1 }), json!({ "spec": [] })] {
                let mut object = odd.clone();
                forget_young(&gvk, &mut object, version);
                default(&gvk, &mut object);
                assert_eq!(object, odd, "{kind}");
            }
            for strategy in [json!("x"), json!({ "rollingUpdate": 7 })] {
                default(&gvk, &mut json!({ "spec": { "strategy": strategy, "updateStrategy": "x" } }));
            }
        }
    }
}
