//! The cells of kinds that are seldom listed.

use apimachinery::value::{List, Value, json};

use super::cells::{int, names, text_or};
use super::text::{human, pairs, selector};

/// The name, which says of some kinds which one is the default.
pub(super) fn name(kind: &str, object: &Value) -> Value {
    let annotation = match kind {
        "StorageClass" => "storageclass.kubernetes.io/is-default-class",
        "IngressClass" => "ingressclass.kubernetes.io/is-default-class",
        _ => return object["metadata"]["name"].clone(),
    };
    let annotations = &object["metadata"]["annotations"];
    let beta = kind == "StorageClass" && annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true";
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if beta || annotations[annotation] == "true" { format!("{name} (default)").into() } else { name.into() }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn flag(value: &Value, absent: bool) -> Value {
    value.as_bool().unwrap_or(absent).into()
}

/// One cell.
pub(super) fn cell(kind: &str, column: &str, object: &Value) -> Value {
    let (spec, status) = (&object["spec"], &object["status"]);
    match (kind, column) {
        ("PersistentVolume" | "PersistentVolumeClaim", _) => volume(kind, column, object),
        ("ResourceQuota", _) => quota(column, status).into(),
        ("NetworkPolicy", _) => selector(&spec["podSelector"]).into(),
        ("StorageClass", "Provisioner") => object["provisioner"].clone(),
        ("StorageClass", "ReclaimPolicy") => text_or(&object["reclaimPolicy"], "Delete").into(),
        ("StorageClass", "VolumeBindingMode") => text_or(&object["volumeBindingMode"], "Immediate").into(),
        ("StorageClass", _) => flag(&object["allowVolumeExpansion"], false),
        ("ControllerRevision", "Revision") => int(&object["revision"]).into(),
        ("ControllerRevision", _) => controller(&object["metadata"]).into(),
        ("RuntimeClass", _) => object["handler"].clone(),
        ("PodTemplate", "Pod Labels") => pairs(&object["template"]["metadata"]["labels"]).into(),
        ("PodTemplate", "Containers") => names(&object["template"]["spec"]["containers"], "name").into(),
        ("PodTemplate", _) => names(&object["template"]["spec"]["containers"], "image").into(),
        ("CertificateSigningRequest", _) => signing_request(column, spec, status),
        ("IngressClass", "Controller") => spec["controller"].clone(),
        ("IngressClass", _) => {
            let parameters = &spec["parameters"];
            if !parameters.is_object() {
                return "<none>".into();
            }
            let group = parameters["apiGroup"].as_str().map_or_else(String::new, |group| format!(".{group}"));
            format!("{}{group}/{}", text(&parameters["kind"]), text(&parameters["name"])).into()
        }
        ("APIService", "Service") => match &spec["service"] {
            Value::Object(_) => format!("{}/{}", text(&spec["service"]["namespace"]), text(&spec["service"]["name"])),
            _ => "Local".to_owned(),
        }
        .into(),
        ("APIService", _) => {
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            let available = conditions.find(|condition| condition["type"] == "Available");
            match available {
                Some(found) if found["status"] == "True" => "True".into(),
                Some(found) if text(&found["reason"]).is_empty() => text(&found["status"]).into(),
                Some(found) => format!("{} ({})", text(&found["status"]), text(&found["reason"])).into(),
                None => "Unknown".into(),
            }
        }
        ("VolumeAttachment", "Attacher") => spec["attacher"].clone(),
        ("VolumeAttachment", "PV") => text(&spec["source"]["persistentVolumeName"]).into(),
        ("VolumeAttachment", "Node") => spec["nodeName"].clone(),
        ("VolumeAttachment", _) => flag(&status["attached"], false),
        ("CSIDriver", _) => csi_driver(column, spec),
        ("CSINode", _) => spec["drivers"].as_array().map_or(0, List::len).into(),
        ("ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy", "ParamKind") => match &spec["paramKind"] {
            Value::Object(_) => {
                format!("{}/{}", text(&spec["paramKind"]["apiVersion"]), text(&spec["paramKind"]["kind"]))
            }
            _ => "<unset>".to_owned(),
        }
        .into(),
        ("ValidatingAdmissionPolicy", _) => spec["validations"].as_array().map_or(0, List::len).into(),
        ("MutatingAdmissionPolicy", _) => spec["mutations"].as_array().map_or(0, List::len).into(),
        ("ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding", "PolicyName") => {
            spec["policyName"].clone()
        }
        ("ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding", _) => param(&spec["paramRef"]).into(),
        ("ServiceCIDR", _) => {
            let ranges = spec["cidrs"].as_array().into_iter().flatten().filter_map(Value::as_str);
            ranges.collect::<Vec<_>>().join(",").into()
        }
        ("IPAddress", _) => parent(&spec["parentRef"]).into(),
        ("FlowSchema", "PriorityLevel") => spec["priorityLevelConfiguration"]["name"].clone(),
        ("FlowSchema", "MatchingPrecedence") => int(&spec["matchingPrecedence"]).into(),
        ("FlowSchema", "DistinguisherMethod") => text_or(&spec["distinguisherMethod"]["type"], "<none>").into(),
        ("FlowSchema", _) => {
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            let dangling = conditions.find(|condition| condition["type"] == "Dangling");
            dangling.map_or_else(|| "?".into(), |condition| condition["status"].clone())
        }
        ("PriorityLevelConfiguration", "Type") => spec["type"].clone(),
        ("PriorityLevelConfiguration", _) => {
            let limited = &spec["limited"];
            let queuing = &limited["limitResponse"]["queuing"];
            let found = match column {
                "NominalConcurrencyShares" => &limited["nominalConcurrencyShares"],
                "Queues" => &queuing["queues"],
                "HandSize" => &queuing["handSize"],
                _ => &queuing["queueLengthLimit"],
            };
            if found.is_null() { "<none>".into() } else { found.clone() }
        }
        ("VolumeAttributesClass", _) => object["driverName"].clone(),
        ("ResourceClaim", _) => json!("pending"),
        _ => Value::from("<unknown>".to_owned()),
    }
}

/// Access modes as they are always ordered.
fn access_modes(modes: &Value) -> String {
    let short =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let given = modes.as_array().map_or(&[][..], List::as_slice);
    let found = short.iter().filter(|(mode, _)| given.iter().any(|given| given == mode)).map(|(_, short)| *short);
    found.collect::<Vec<_>>().join(",")
}

fn volume(kind: &str, column: &str, object: &Value) -> Value {
    let (spec, status) = (&object["spec"], &object["status"]);
    let old_class = object["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str();
    let bound = !text(&spec["volumeName"]).is_empty();
    match (column, kind) {
        ("Status", _) if object["metadata"]["deletionTimestamp"].is_string() => "Terminating".into(),
        ("Status", _) => text(&status["phase"]).into(),
        ("VolumeMode", _) => text_or(&spec["volumeMode"], "<unset>").into(),
        ("VolumeAttributesClass", _) => text_or(&spec["volumeAttributesClassName"], "<unset>").into(),
        ("StorageClass", _) => old_class.unwrap_or_else(|| text(&spec["storageClassName"])).into(),
        ("Capacity", "PersistentVolume") => text_or(&spec["capacity"]["storage"], "0").into(),
        ("Access Modes", "PersistentVolume") => access_modes(&spec["accessModes"]).into(),
        ("Reclaim Policy", _) => text(&spec["persistentVolumeReclaimPolicy"]).into(),
        ("Claim", _) => match &spec["claimRef"] {
            Value::Object(_) => format!("{}/{}", text(&spec["claimRef"]["namespace"]), text(&spec["claimRef"]["name"])),
            _ => String::new(),
        }
        .into(),
        ("Reason", _) => text(&status["reason"]).into(),
        ("Volume", _) => text(&spec["volumeName"]).into(),
        ("Capacity", _) if bound => text_or(&status["capacity"]["storage"], "0").into(),
        ("Access Modes", _) if bound => access_modes(&status["accessModes"]).into(),
        _ => "".into(),
    }
}

/// `pods: 1/10, …`: what is used of what; limits have a column of their own.
fn quota(column: &str, status: &Value) -> String {
    let hard = status["hard"].as_object().into_iter().flatten();
    let wanted = hard.filter(|(name, _)| (name.split('.').next() == Some("limits")) == (column == "Limit"));
    let mut shown: Vec<String> =
        wanted.map(|(name, hard)| format!("{name}: {}/{}", text_or(&status["used"][name], "0"), text(hard))).collect();
    shown.sort_unstable();
    shown.join(", ")
}

fn controller(metadata: &Value) -> String {
    let mut owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    let Some(owner) = owners.find(|owner| owner["controller"] == true) else { return "<none>".to_owned() };
    let group = text(&owner["apiVersion"]).split_once('/').map_or_else(String::new, |(group, _)| format!(".{group}"));
    format!("{}{}/{}", text(&owner["kind"]).to_lowercase(), group.to_lowercase(), text(&owner["name"]))
}

fn signing_request(column: &str, spec: &Value, status: &Value) -> Value {
    match column {
        "SignerName" => text_or(&spec["signerName"], "<none>").into(),
        "Requestor" => text(&spec["username"]).into(),
        "RequestedDuration" => match spec["expirationSeconds"].as_i64() {
            Some(seconds) => human(seconds).into(),
            None => "<none>".into(),
        },
        _ => {
            let has = |kind: &str| {
                let mut conditions = status["conditions"].as_array().into_iter().flatten();
                conditions.any(|condition| condition["type"] == kind)
            };
            let mut shown = match (has("Denied"), has("Approved")) {
                (true, _) => "Denied",
                (false, true) => "Approved",
                (false, false) => "Pending",
            }
            .to_owned();
            if has("Failed") {
                shown.push_str(",Failed");
            }
            if !text(&status["certificate"]).is_empty() {
                shown.push_str(",Issued");
            }
            shown.into()
        }
    }
}

fn csi_driver(column: &str, spec: &Value) -> Value {
    let list = |list: &Value, field: Option<&str>| {
        let all = list.as_array().into_iter().flatten();
        all.map(|entry| text(field.map_or(entry, |field| &entry[field]))).collect::<Vec<_>>().join(",")
    };
    match column {
        "AttachRequired" => flag(&spec["attachRequired"], true),
        "PodInfoOnMount" => flag(&spec["podInfoOnMount"], false),
        "StorageCapacity" => flag(&spec["storageCapacity"], false),
        "RequiresRepublish" => flag(&spec["requiresRepublish"], false),
        "TokenRequests" if spec["tokenRequests"].is_array() => list(&spec["tokenRequests"], Some("audience")).into(),
        "TokenRequests" => "<unset>".into(),
        _ => match list(&spec["volumeLifecycleModes"], None) {
            modes if modes.is_empty() => "<none>".into(),
            modes => modes.into(),
        },
    }
}

fn param(reference: &Value) -> String {
    match (text(&reference["name"]), text(&reference["namespace"])) {
        ("", _) if reference["selector"].is_object() => selector(&reference["selector"]),
        ("", _) => "<unset>".to_owned(),
        (name, "") => format!("*/{name}"),
        (name, namespace) => format!("{namespace}/{name}"),
    }
}

fn parent(reference: &Value) -> String {
    if !reference.is_object() {
        return "<none>".to_owned();
    }
    let mut shown = text(&reference["resource"]).to_lowercase();
    for (before, part) in [(".", "group"), ("/", "namespace"), ("/", "name")] {
        let part = text(&reference[part]);
        if !part.is_empty() {
            shown.push_str(before);
            shown.push_str(part);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_and_claims() {
        let claim = json!({
            "spec": {"volumeName": "v", "storageClassName": "fast", "volumeMode": "Block"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany", "ReadWriteOnce"]},
        });
        let row = |columns: &[&str]| -> Vec<Value> {
            columns.iter().map(|column| cell("PersistentVolumeClaim", column, &claim)).collect()
        };
        assert_eq!(
            row(&[
                "Status",
                "Volume",
                "Capacity",
                "Access Modes",
                "StorageClass",
                "VolumeAttributesClass",
                "VolumeMode"
            ]),
            ["Bound", "v", "1Gi", "RWO,ROX", "fast", "<unset>", "Block"].map(Value::from)
        );
    }

    #[test]
    fn quotas_policies_and_services() {
        let quota = json!({"status": {"hard": {"pods": "2", "limits.cpu": "1", "cpu": "4"}, "used": {"pods": "1"}}});
        assert_eq!(cell("ResourceQuota", "Request", &quota), "cpu: 0/4, pods: 1/2");
        assert_eq!(cell("ResourceQuota", "Limit", &quota), "limits.cpu: 0/1");
        let binding = json!({"spec": {"policyName": "p", "paramRef": {"name": "n"}}});
        assert_eq!(cell("ValidatingAdmissionPolicyBinding", "ParamRef", &binding), "*/n");
        assert_eq!(cell("APIService", "Service", &json!({})), "Local");
        let class =
            json!({"metadata": {"name": "c", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
        assert_eq!(name("StorageClass", &class), "c (default)");
    }
}
