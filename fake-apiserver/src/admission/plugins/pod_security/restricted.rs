//! What the restricted standard adds.

use apimachinery::value::Value;

use super::baseline::{seccomp_1_19 as bad_seccomp, seccomp_profile};
use super::{Violation, containers, join, named, offenders, plural, setters, third_person, unique};

/// Sources that may be used.
const ALLOWED: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// Sources that may not; the first that is set names the volume's type.
const FORBIDDEN: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

/// Pods for Windows are left alone since 1.25.
fn on_linux(pod: &Value, check: fn(&Value) -> Option<Violation>) -> Option<Violation> {
    if pod["spec"]["os"]["name"] == "windows" { None } else { check(pod) }
}

/// Pods in a user namespace of their own may be root in it since 1.35.
fn on_host_users(pod: &Value, check: fn(&Value) -> Option<Violation>) -> Option<Violation> {
    if pod["spec"]["hostUsers"] == false { None } else { check(pod) }
}

pub(super) fn privilege_escalation_1_8(pod: &Value) -> Option<Violation> {
    let names = offenders(pod, |container| container["securityContext"]["allowPrivilegeEscalation"] != false);
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", named(&names));
    (!names.is_empty()).then_some(Violation { reason: "allowPrivilegeEscalation != false", detail })
}

pub(super) fn privilege_escalation_1_25(pod: &Value) -> Option<Violation> {
    on_linux(pod, privilege_escalation_1_8)
}

pub(super) fn capabilities_1_22(pod: &Value) -> Option<Violation> {
    let list = |container: &Value, key: &str| -> Vec<String> {
        let given = container["securityContext"]["capabilities"][key].as_array().into_iter().flatten();
        given.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extra = |container: &Value| -> Vec<String> {
        list(container, "add").into_iter().filter(|added| added != "NET_BIND_SERVICE").collect()
    };
    let keeping = offenders(pod, |container| !list(container, "drop").iter().any(|dropped| dropped == "ALL"));
    let adding = offenders(pod, |container| !extra(container).is_empty());
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", named(&keeping)));
    }
    if !adding.is_empty() {
        let all = unique(containers(pod).into_iter().flat_map(|(_, container)| extra(container)).collect());
        let what = join(&all);
        details.push(format!("{} must not include {what} in securityContext.capabilities.add", named(&adding)));
    }
    (!details.is_empty()).then(|| Violation { reason: "unrestricted capabilities", detail: details.join("; ") })
}

pub(super) fn capabilities_1_25(pod: &Value) -> Option<Violation> {
    on_linux(pod, capabilities_1_22)
}

pub(super) fn volumes(pod: &Value) -> Option<Violation> {
    let all = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let bad: Vec<&Value> = all.filter(|volume| ALLOWED.iter().all(|source| volume[*source].is_null())).collect();
    if bad.is_empty() {
        return None;
    }
    let names: Vec<_> = bad.iter().map(|volume| volume["name"].as_str().unwrap_or_default()).collect();
    let kind = |volume: &&Value| FORBIDDEN.into_iter().find(|source| !volume[*source].is_null()).unwrap_or("unknown");
    let kinds = unique(bad.iter().map(kind).collect());
    let (many, uses, of_kinds) = (plural(names.len()), third_person(names.len()), plural(kinds.len()));
    let detail = format!("volume{many} {} use{uses} restricted volume type{of_kinds} {}", join(&names), join(&kinds));
    Some(Violation { reason: "restricted volume types", detail })
}

pub(super) fn non_root_1_0(pod: &Value) -> Option<Violation> {
    let own = |holder: &Value| holder["securityContext"]["runAsNonRoot"].as_bool();
    let of_pod = own(&pod["spec"]);
    let explicit = offenders(pod, |container| own(container) == Some(false));
    let implicit = offenders(pod, |container| own(container).is_none() && of_pod != Some(true));
    let detail = match setters(of_pod == Some(false), &explicit) {
        Some(who) => format!("{who} must not set securityContext.runAsNonRoot=false"),
        None if implicit.is_empty() => return None,
        None => format!("pod or {} must set securityContext.runAsNonRoot=true", named(&implicit)),
    };
    Some(Violation { reason: "runAsNonRoot != true", detail })
}

pub(super) fn non_root_1_35(pod: &Value) -> Option<Violation> {
    on_host_users(pod, non_root_1_0)
}

pub(super) fn user_1_23(pod: &Value) -> Option<Violation> {
    let root = |holder: &Value| holder["securityContext"]["runAsUser"] == 0;
    let who = setters(root(&pod["spec"]), &offenders(pod, root))?;
    Some(Violation { reason: "runAsUser=0", detail: format!("{who} must not set runAsUser=0") })
}

pub(super) fn user_1_35(pod: &Value) -> Option<Violation> {
    on_host_users(pod, user_1_23)
}

pub(super) fn seccomp_1_19(pod: &Value) -> Option<Violation> {
    if let Some(violation) = bad_seccomp(pod) {
        return Some(violation);
    }
    if seccomp_profile(&pod["spec"]).0 {
        return None;
    }
    let implicit = offenders(pod, |container| !seccomp_profile(container).0);
    let names = named(&implicit);
    let detail =
        format!("pod or {names} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"");
    (!implicit.is_empty()).then_some(Violation { reason: "seccompProfile", detail })
}

pub(super) fn seccomp_1_25(pod: &Value) -> Option<Violation> {
    on_linux(pod, seccomp_1_19)
}
