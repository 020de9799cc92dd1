//! What the restricted standard adds.

use serde_json::Value;

use super::{Violation, containers, is_windows, join, named, offenders};

const VOLUMES: [&str; 9] = [
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

pub(crate) fn check(object: &Value, found: &mut Vec<Violation>) {
    let linux = !is_windows(object);
    if linux {
        let escalating =
            offenders(object, |container| container["securityContext"]["allowPrivilegeEscalation"] != false);
        if !escalating.is_empty() {
            let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", named(&escalating));
            found.push(Violation { reason: "allowPrivilegeEscalation != false", detail });
        }
        capabilities(object, found);
    }
    volumes(object, found);
    run_as_non_root(object, found);
    let root = |holder: &Value| holder["securityContext"]["runAsUser"] == 0;
    let mut setters = Vec::new();
    if root(&object["spec"]) {
        setters.push("pod".to_owned());
    }
    let names = offenders(object, root);
    if !names.is_empty() {
        setters.push(named(&names));
    }
    if !setters.is_empty() {
        let detail = format!("{} must not set runAsUser=0", setters.join(" and "));
        found.push(Violation { reason: "runAsUser=0", detail });
    }
    if linux {
        seccomp(object, found);
    }
}

fn capabilities(object: &Value, found: &mut Vec<Violation>) {
    let list = |container: &Value, key: &str| -> Vec<String> {
        let given = container["securityContext"]["capabilities"][key].as_array().into_iter().flatten();
        given.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let keeping = offenders(object, |container| !list(container, "drop").iter().any(|dropped| dropped == "ALL"));
    let adding: Vec<_> = containers(object)
        .into_iter()
        .filter(|(_, container)| list(container, "add").iter().any(|added| added != "NET_BIND_SERVICE"))
        .collect();
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", named(&keeping)));
    }
    if !adding.is_empty() {
        let names: Vec<_> = adding.iter().map(|(name, _)| *name).collect();
        let mut extra: Vec<String> = adding.iter().flat_map(|(_, container)| list(container, "add")).collect();
        extra.retain(|added| added != "NET_BIND_SERVICE");
        extra.sort();
        extra.dedup();
        let extra: Vec<_> = extra.iter().map(String::as_str).collect();
        let what = join(&extra);
        details.push(format!("{} must not include {what} in securityContext.capabilities.add", named(&names)));
    }
    if !details.is_empty() {
        found.push(Violation { reason: "unrestricted capabilities", detail: details.join("; ") });
    }
}

fn volumes(object: &Value, found: &mut Vec<Violation>) {
    let mut names = Vec::new();
    let mut kinds = Vec::new();
    for volume in object["spec"]["volumes"].as_array().into_iter().flatten() {
        let Some(fields) = volume.as_object() else { continue };
        let kind = fields.keys().find(|key| *key != "name").map(String::as_str).unwrap_or_default();
        if !kind.is_empty() && !VOLUMES.contains(&kind) {
            names.push(volume["name"].as_str().unwrap_or_default());
            kinds.push(kind);
        }
    }
    if !names.is_empty() {
        kinds.sort_unstable();
        kinds.dedup();
        let (many_names, many_kinds) = (plural(names.len()), plural(kinds.len()));
        let verb = if names.len() == 1 { "uses" } else { "use" };
        let detail =
            format!("volume{many_names} {} {verb} restricted volume type{many_kinds} {}", join(&names), join(&kinds));
        found.push(Violation { reason: "restricted volume types", detail });
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn run_as_non_root(object: &Value, found: &mut Vec<Violation>) {
    let of_pod = &object["spec"]["securityContext"]["runAsNonRoot"];
    let explicit = offenders(object, |container| container["securityContext"]["runAsNonRoot"] == false);
    let implicit =
        offenders(object, |container| container["securityContext"]["runAsNonRoot"].is_null() && *of_pod != true);
    let mut setters = Vec::new();
    if *of_pod == false {
        setters.push("pod".to_owned());
    }
    if !explicit.is_empty() {
        setters.push(named(&explicit));
    }
    let detail = if !setters.is_empty() {
        format!("{} must not set securityContext.runAsNonRoot=false", setters.join(" and "))
    } else if !implicit.is_empty() {
        format!("pod or {} must set securityContext.runAsNonRoot=true", named(&implicit))
    } else {
        return;
    };
    found.push(Violation { reason: "runAsNonRoot != true", detail });
}

fn seccomp(object: &Value, found: &mut Vec<Violation>) {
    let kind = |holder: &Value| holder["securityContext"]["seccompProfile"]["type"].as_str().map(str::to_owned);
    let fine = |kind: &str| kind == "RuntimeDefault" || kind == "Localhost";
    let of_pod = kind(&object["spec"]);
    let mut setters = Vec::new();
    let mut bad = Vec::new();
    if let Some(kind) = of_pod.as_deref().filter(|kind| !fine(kind)) {
        setters.push("pod".to_owned());
        bad.push(kind.to_owned());
    }
    let explicit = offenders(object, |container| kind(container).is_some_and(|kind| !fine(&kind)));
    if !explicit.is_empty() {
        setters.push(named(&explicit));
        bad.push("Unconfined".to_owned());
    }
    let implicit = offenders(object, |container| kind(container).is_none() && !of_pod.as_deref().is_some_and(fine));
    let detail = if !setters.is_empty() {
        bad.sort();
        bad.dedup();
        let bad: Vec<_> = bad.iter().map(String::as_str).collect();
        format!("{} must not set securityContext.seccompProfile.type to {}", setters.join(" and "), join(&bad))
    } else if !implicit.is_empty() {
        let names = named(&implicit);
        format!("pod or {names} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"")
    } else {
        return;
    };
    found.push(Violation { reason: "seccompProfile", detail });
}
