//! The cells of each kind's columns.

use apimachinery::clock::Timestamp;
use apimachinery::value::{List, Value, json};

use super::more;
use super::text::{age, human, or_none, pairs, seconds_since, selector};
use crate::kinds::Resource;

/// One cell. Columns that several kinds share come first, then each kind's own.
pub(super) fn cell(resource: &Resource, column: &str, object: &Value, now: Timestamp) -> Value {
    if let Some(path) = resource.column_path(column) {
        return custom(object, path, now);
    }
    let kind = &*resource.gvk.kind;
    let created = object["metadata"]["creationTimestamp"].as_str();
    match (kind, column) {
        ("Event", _) => event(column, object, now),
        ("Namespace", "Status") => object["status"]["phase"].clone(),
        (_, "Name") => more::name(kind, object),
        (_, "Age") => age(created, now).into(),
        (_, "Created At") => created.map_or(Value::Null, Value::from),
        ("Pod", _) => pod(column, object, now),
        ("Node", _) => node(column, object),
        ("Service", _) => service(column, object),
        ("Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "ReplicationController", _) => {
            workload(kind, column, object)
        }
        ("Job", _) => job(column, object, now),
        ("CronJob", _) => cron_job(column, object, now),
        ("ConfigMap" | "Secret", "Data") => {
            let count = |field: &str| object[field].as_object().map_or(0, apimachinery::value::Map::len);
            (count("data") + count("binaryData")).into()
        }
        ("Secret", "Type") => object["type"].clone(),
        ("Lease", "Holder") => object["spec"]["holderIdentity"].as_str().unwrap_or_default().into(),
        ("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration", "Webhooks") => {
            object["webhooks"].as_array().map_or(0, List::len).into()
        }
        ("PriorityClass", _) => match column {
            "Value" => object["value"].clone(),
            "Global-Default" => object["globalDefault"].as_bool().unwrap_or_default().into(),
            _ => object["preemptionPolicy"].clone(),
        },
        ("ClusterRoleBinding" | "RoleBinding", _) => binding(column, object),
        ("PodDisruptionBudget", _) => match column {
            "Allowed Disruptions" => object["status"]["disruptionsAllowed"].as_i64().unwrap_or_default().into(),
            "Min Available" => text_or(&object["spec"]["minAvailable"], "N/A").into(),
            _ => text_or(&object["spec"]["maxUnavailable"], "N/A").into(),
        },
        ("HorizontalPodAutoscaler", _) => autoscaler(column, object),
        ("Ingress", _) => ingress(column, object),
        ("EndpointSlice" | "Endpoints", _) => endpoints(column, object),
        _ => more::cell(kind, column, object),
    }
}

pub(super) fn text_or(value: &Value, absent: &str) -> String {
    match value {
        Value::String(text) => text.clone().into(),
        Value::Null => absent.to_owned(),
        other => other.to_string(),
    }
}

/// A column of a custom resource: `additionalPrinterColumns` with a simple JSON path.
fn custom(object: &Value, column: &crate::kinds::PrinterColumn, now: Timestamp) -> Value {
    let mut at = object;
    for part in column.path.trim_start_matches('.').split('.') {
        at = &at[part];
    }
    match (at, column.date) {
        (Value::String(text), true) => age(Some(text), now).into(),
        (Value::Null, true) => "<unknown>".into(),
        _ => at.clone(),
    }
}

pub(super) fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

pub(super) fn names(list: &Value, field: &str) -> String {
    let texts = list.as_array().into_iter().flatten().filter_map(|entry| entry[field].as_str());
    texts.collect::<Vec<_>>().join(",")
}

fn pod(column: &str, pod: &Value, now: Timestamp) -> Value {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let containers = || status["containerStatuses"].as_array().into_iter().flatten();
    let sidecars: Vec<&Value> = spec["initContainers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|container| container["restartPolicy"] == "Always")
        .collect();
    let or_empty = |value: &Value| value.as_str().filter(|text| !text.is_empty()).unwrap_or("<none>").to_owned();
    match column {
        "Ready" => {
            let is_sidecar = |entry: &&Value| sidecars.iter().any(|sidecar| sidecar["name"] == entry["name"]);
            let started = status["initContainerStatuses"].as_array().into_iter().flatten().filter(is_sidecar);
            let ready = containers().chain(started).filter(|entry| entry["ready"] == true).count();
            format!("{ready}/{}", spec["containers"].as_array().map_or(0, List::len) + sidecars.len()).into()
        }
        "Status" => pod_status(pod).into(),
        "Restarts" => {
            let total: i64 = containers().map(|entry| int(&entry["restartCount"])).sum();
            let last = containers().filter_map(|entry| entry["lastState"]["terminated"]["finishedAt"].as_str()).max();
            match last.and_then(|last| seconds_since(last, now)) {
                Some(seconds) if total > 0 => format!("{total} ({} ago)", human(seconds)).into(),
                _ => total.to_string().into(),
            }
        }
        "IP" => {
            let first = status["podIPs"].as_array().and_then(|ips| ips.first()).map(|ip| &ip["ip"]);
            or_empty(first.unwrap_or(&status["podIP"])).into()
        }
        "Node" => or_empty(&spec["nodeName"]).into(),
        "Nominated Node" => or_empty(&status["nominatedNodeName"]).into(),
        "Readiness Gates" => {
            let gates = spec["readinessGates"].as_array().map_or(&[][..], List::as_slice);
            if gates.is_empty() {
                return "<none>".into();
            }
            let holds = |gate: &&Value| {
                let mut conditions = status["conditions"].as_array().into_iter().flatten();
                conditions.any(|condition| condition["type"] == gate["conditionType"] && condition["status"] == "True")
            };
            format!("{}/{}", gates.iter().filter(holds).count(), gates.len()).into()
        }
        _ => Value::Null,
    }
}

/// The word that sums up a pod.
fn pod_status(pod: &Value) -> String {
    let status = &pod["status"];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut reason = text(&status["reason"]).or_else(|| text(&status["phase"])).unwrap_or_default();
    let scheduling = status["conditions"].as_array().into_iter().flatten();
    if scheduling
        .clone()
        .any(|condition| condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated")
    {
        reason = "SchedulingGated".to_owned();
    }
    let init_specs = pod["spec"]["initContainers"].as_array().map_or(&[][..], List::as_slice);
    let mut initializing = false;
    for (at, entry) in status["initContainerStatuses"].as_array().into_iter().flatten().enumerate() {
        let state = &entry["state"];
        let sidecar = init_specs.iter().any(|spec| spec["name"] == entry["name"] && spec["restartPolicy"] == "Always");
        if state["terminated"].is_object() && int(&state["terminated"]["exitCode"]) == 0 {
            continue;
        }
        if sidecar && entry["started"] == true {
            continue;
        }
        reason = match (&state["terminated"], &state["waiting"]) {
            (Value::Object(_), _) => match text(&state["terminated"]["reason"]) {
                Some(reason) => format!("Init:{reason}"),
                None => format!("Init:ExitCode:{}", int(&state["terminated"]["exitCode"])),
            },
            (_, waiting) if text(&waiting["reason"]).is_some_and(|reason| reason != "PodInitializing") => {
                format!("Init:{}", text(&waiting["reason"]).unwrap_or_default())
            }
            _ => format!("Init:{at}/{}", init_specs.len()),
        };
        initializing = true;
        break;
    }
    if !initializing {
        let mut running = false;
        for entry in status["containerStatuses"].as_array().into_iter().flatten().rev() {
            let state = &entry["state"];
            if let Some(waiting) = text(&state["waiting"]["reason"]) {
                reason = waiting;
            } else if state["terminated"].is_object() {
                reason = match (text(&state["terminated"]["reason"]), int(&state["terminated"]["signal"])) {
                    (Some(reason), _) => reason,
                    (None, 0) => format!("ExitCode:{}", int(&state["terminated"]["exitCode"])),
                    (None, signal) => format!("Signal:{signal}"),
                };
            } else if entry["ready"] == true && state["running"].is_object() {
                running = true;
            }
        }
        if reason == "Completed" && running {
            let ready =
                scheduling.clone().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }
    if pod["metadata"]["deletionTimestamp"].is_string() {
        if status["reason"] == "NodeLost" {
            return "Unknown".to_owned();
        }
        if !matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")) {
            return "Terminating".to_owned();
        }
    }
    reason
}

fn workload(kind: &str, column: &str, object: &Value) -> Value {
    let (spec, status) = (&object["spec"], &object["status"]);
    let template = &spec["template"]["spec"]["containers"];
    match (kind, column) {
        (_, "Containers") => names(template, "name").into(),
        (_, "Images") => names(template, "image").into(),
        ("ReplicationController", "Selector") => pairs(&spec["selector"]).into(),
        (_, "Selector") => selector(&spec["selector"]).into(),
        ("Deployment", "Ready") => format!("{}/{}", int(&status["readyReplicas"]), int(&spec["replicas"])).into(),
        ("StatefulSet", "Ready") => format!("{}/{}", int(&status["readyReplicas"]), int(&spec["replicas"])).into(),
        ("Deployment", "Up-to-date") => int(&status["updatedReplicas"]).into(),
        ("Deployment", "Available") => int(&status["availableReplicas"]).into(),
        ("DaemonSet", "Desired") => int(&status["desiredNumberScheduled"]).into(),
        ("DaemonSet", "Current") => int(&status["currentNumberScheduled"]).into(),
        ("DaemonSet", "Ready") => int(&status["numberReady"]).into(),
        ("DaemonSet", "Up-to-date") => int(&status["updatedNumberScheduled"]).into(),
        ("DaemonSet", "Available") => int(&status["numberAvailable"]).into(),
        ("DaemonSet", "Node Selector") => pairs(&spec["template"]["spec"]["nodeSelector"]).into(),
        (_, "Desired") => int(&spec["replicas"]).into(),
        (_, "Current") => int(&status["replicas"]).into(),
        (_, "Ready") => int(&status["readyReplicas"]).into(),
        _ => Value::Null,
    }
}

fn job(column: &str, job: &Value, now: Timestamp) -> Value {
    let (spec, status) = (&job["spec"], &job["status"]);
    let template = &spec["template"]["spec"]["containers"];
    let condition = |name: &str| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == name && condition["status"] == "True")
    };
    match column {
        "Status" => {
            let states = [
                ("Complete", "Complete"),
                ("Failed", "Failed"),
                ("Suspended", "Suspended"),
                ("FailureTarget", "FailureTarget"),
                ("SuccessCriteriaMet", "SuccessCriteriaMet"),
            ];
            let found = states.iter().find(|(name, _)| condition(name)).map(|(_, text)| *text);
            let terminating = job["metadata"]["deletionTimestamp"].is_string();
            found.unwrap_or(if terminating { "Terminating" } else { "Running" }).into()
        }
        "Completions" => match (spec["completions"].as_i64(), int(&spec["parallelism"])) {
            (Some(wanted), _) => format!("{}/{wanted}", int(&status["succeeded"])).into(),
            (None, parallelism) if parallelism > 1 => {
                format!("{}/1 of {parallelism}", int(&status["succeeded"])).into()
            }
            _ => format!("{}/1", int(&status["succeeded"])).into(),
        },
        "Duration" => match (status["startTime"].as_str(), status["completionTime"].as_str()) {
            (None, _) => "".into(),
            (Some(start), None) => age(Some(start), now).into(),
            (Some(start), Some(end)) => {
                let seconds = crate::time::parse(end).and_then(|end| seconds_since(start, end));
                seconds.map_or_else(String::new, human).into()
            }
        },
        "Containers" => names(template, "name").into(),
        "Images" => names(template, "image").into(),
        "Selector" => selector(&spec["selector"]).into(),
        _ => Value::Null,
    }
}

fn cron_job(column: &str, job: &Value, now: Timestamp) -> Value {
    let spec = &job["spec"];
    let template = &spec["jobTemplate"]["spec"]["template"]["spec"]["containers"];
    match column {
        "Schedule" => spec["schedule"].clone(),
        "Timezone" => text_or(&spec["timeZone"], "<none>").into(),
        "Suspend" => match spec["suspend"].as_bool() {
            Some(true) => "True".into(),
            Some(false) => "False".into(),
            None => "<unset>".into(),
        },
        "Active" => job["status"]["active"].as_array().map_or(0, List::len).into(),
        "Last Schedule" => match job["status"]["lastScheduleTime"].as_str() {
            Some(time) => age(Some(time), now).into(),
            None => "<none>".into(),
        },
        "Containers" => names(template, "name").into(),
        "Images" => names(template, "image").into(),
        "Selector" => selector(&spec["jobTemplate"]["spec"]["selector"]).into(),
        _ => Value::Null,
    }
}

fn service(column: &str, service: &Value) -> Value {
    let spec = &service["spec"];
    match column {
        "Type" => spec["type"].clone(),
        "Cluster-IP" => text_or(&spec["clusterIP"], "<none>").into(),
        "External-IP" => {
            let own: Vec<String> = spec["externalIPs"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            match spec["type"].as_str() {
                Some("ExternalName") => spec["externalName"].clone(),
                Some("LoadBalancer") => {
                    let given = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
                    let mut all: Vec<String> = given
                        .filter_map(|entry| entry["ip"].as_str().or(entry["hostname"].as_str()))
                        .map(str::to_owned)
                        .collect();
                    all.extend(own);
                    if all.is_empty() { "<pending>".into() } else { all.join(",").into() }
                }
                _ => or_none(own).into(),
            }
        }
        "Port(s)" => {
            let ports = spec["ports"].as_array().into_iter().flatten().map(|port| {
                let protocol = port["protocol"].as_str().unwrap_or("TCP");
                match port["nodePort"].as_i64() {
                    Some(node) if node > 0 => format!("{}:{node}/{protocol}", int(&port["port"])),
                    _ => format!("{}/{protocol}", int(&port["port"])),
                }
            });
            or_none(ports.collect()).into()
        }
        "Selector" => pairs(&spec["selector"]).into(),
        _ => Value::Null,
    }
}

fn node(column: &str, node: &Value) -> Value {
    let info = &node["status"]["nodeInfo"];
    let unknown = |value: &Value| value.as_str().filter(|text| !text.is_empty()).unwrap_or("<unknown>").to_owned();
    let address = |wanted: &str| {
        let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
        let found = addresses.find(|address| address["type"] == wanted).and_then(|address| address["address"].as_str());
        found.unwrap_or("<none>").to_owned()
    };
    match column {
        "Status" => {
            let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
            let ready = conditions.find(|condition| condition["type"] == "Ready");
            let mut text = match ready.map(|condition| condition["status"] == "True") {
                Some(true) => "Ready",
                Some(false) => "NotReady",
                None => "Unknown",
            }
            .to_owned();
            if node["spec"]["unschedulable"] == true {
                text.push_str(",SchedulingDisabled");
            }
            text.into()
        }
        "Roles" => {
            let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
            let roles = labels.filter_map(|(name, value)| match name.strip_prefix("node-role.kubernetes.io/") {
                Some(role) if !role.is_empty() => Some(role.to_owned()),
                _ => (name == "kubernetes.io/role").then(|| value.as_str().unwrap_or_default().to_owned()),
            });
            or_none(roles.collect()).into()
        }
        "Version" => info["kubeletVersion"].as_str().unwrap_or_default().into(),
        "Internal-IP" => address("InternalIP").into(),
        "External-IP" => address("ExternalIP").into(),
        "OS-Image" => unknown(&info["osImage"]).into(),
        "Kernel-Version" => unknown(&info["kernelVersion"]).into(),
        "Container-Runtime" => unknown(&info["containerRuntimeVersion"]).into(),
        _ => Value::Null,
    }
}

/// Events are printed from their core fields, whichever group they are asked for in.
fn event(column: &str, event: &Value, now: Timestamp) -> Value {
    let field =
        |core: &str, other: &str| if event[core].is_null() { event[other].clone() } else { event[core].clone() };
    let about = field("involvedObject", "regarding");
    let source = field("source", "deprecatedSource");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match column {
        "Last Seen" | "First Seen" => {
            let own = if column == "Last Seen" {
                let series = event["series"]["lastObservedTime"].as_str().map(Value::from);
                series.unwrap_or_else(|| field("lastTimestamp", "deprecatedLastTimestamp"))
            } else {
                field("firstTimestamp", "deprecatedFirstTimestamp")
            };
            let time = own.as_str().or(event["eventTime"].as_str());
            age(time, now).into()
        }
        "Type" => event["type"].clone(),
        "Reason" => event["reason"].clone(),
        "Object" => match text(&about["name"]) {
            name if name.is_empty() => text(&about["kind"]).to_lowercase().into(),
            name => format!("{}/{name}", text(&about["kind"]).to_lowercase()).into(),
        },
        "Subobject" => about["fieldPath"].as_str().unwrap_or_default().into(),
        "Source" => match (text(&source["component"]), text(&source["host"])) {
            (component, host) if component.is_empty() && host.is_empty() => {
                let reporting = field("reportingComponent", "reportingController");
                let instance = text(&event["reportingInstance"]);
                let component = text(&reporting);
                if instance.is_empty() { component.into() } else { format!("{component}, {instance}").into() }
            }
            (component, host) if host.is_empty() => component.into(),
            (component, host) => format!("{component}, {host}").into(),
        },
        "Message" => text(&field("message", "note")).trim().into(),
        "Count" => {
            let series = event["series"]["count"].as_i64();
            let count = series.or(field("count", "deprecatedCount").as_i64()).filter(|count| *count > 0).unwrap_or(1);
            count.into()
        }
        "Name" => event["metadata"]["name"].clone(),
        _ => Value::Null,
    }
}

fn binding(column: &str, binding: &Value) -> Value {
    let subjects = |kind: &str| {
        let subjects = binding["subjects"].as_array().into_iter().flatten().filter(|subject| subject["kind"] == kind);
        let names = subjects.map(|subject| {
            let name = subject["name"].as_str().unwrap_or_default();
            match subject["namespace"].as_str() {
                Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{name}"),
                _ => name.to_owned(),
            }
        });
        Value::from(names.collect::<Vec<_>>().join(", "))
    };
    match column {
        "Role" => {
            let text = |field: &str| binding["roleRef"][field].as_str().unwrap_or_default();
            format!("{}/{}", text("kind"), text("name")).into()
        }
        "Users" => subjects("User"),
        "Groups" => subjects("Group"),
        "ServiceAccounts" => subjects("ServiceAccount"),
        _ => Value::Null,
    }
}

fn autoscaler(column: &str, object: &Value) -> Value {
    let (spec, status) = (&object["spec"], &object["status"]);
    match column {
        "Reference" => {
            let text = |field: &str| spec["scaleTargetRef"][field].as_str().unwrap_or_default();
            format!("{}/{}", text("kind"), text("name")).into()
        }
        "MinPods" => text_or(&spec["minReplicas"], "<unset>").into(),
        "MaxPods" => int(&spec["maxReplicas"]).into(),
        "Replicas" => int(&status["currentReplicas"]).into(),
        "Targets" => {
            let metrics = spec["metrics"].as_array().map_or(&[][..], List::as_slice);
            let shown = metrics.iter().take(2).map(|metric| {
                let target = &metric["resource"]["target"];
                let name = metric["resource"]["name"].as_str().unwrap_or_default();
                match target["averageUtilization"].as_i64() {
                    Some(percent) => format!("{name}: <unknown>/{percent}%"),
                    None => format!("{name}: <unknown>/{}", text_or(&target["averageValue"], "<auto>")),
                }
            });
            let mut text = or_none(shown.collect()).replace(',', ", ");
            if metrics.len() > 2 {
                text.push_str(&format!(" + {} more...", metrics.len() - 2));
            }
            text.into()
        }
        _ => Value::Null,
    }
}

fn ingress(column: &str, object: &Value) -> Value {
    let rules = || object["spec"]["rules"].as_array().into_iter().flatten();
    match column {
        "Class" => text_or(&object["spec"]["ingressClassName"], "<none>").into(),
        "Hosts" => {
            // The hosts of the first three rules, and how many rules more there are.
            let hosts: Vec<&str> =
                rules().take(3).filter_map(|rule| rule["host"].as_str().filter(|host| !host.is_empty())).collect();
            match (hosts.is_empty(), rules().count()) {
                (true, _) => "*".into(),
                (false, 0..=3) => hosts.join(",").into(),
                (false, more) => format!("{} + {} more...", hosts.join(","), more - 3).into(),
            }
        }
        "Address" => {
            let given = object["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
            let addresses: std::collections::BTreeSet<&str> =
                given.filter_map(|entry| entry["ip"].as_str().or(entry["hostname"].as_str())).collect();
            addresses.into_iter().collect::<Vec<_>>().join(",").into()
        }
        "Ports" => {
            if object["spec"]["tls"].as_array().is_some_and(|tls| !tls.is_empty()) { "80, 443" } else { "80" }.into()
        }
        _ => json!(null),
    }
}

fn endpoints(column: &str, object: &Value) -> Value {
    match column {
        "AddressType" => object["addressType"].clone(),
        "Ports" => {
            let ports = object["ports"].as_array().into_iter().flatten();
            let ports: Vec<String> =
                ports.map(|port| text_or(&port["port"], port["name"].as_str().unwrap_or("*"))).collect();
            if ports.is_empty() { "<unset>".into() } else { shortened(&ports).into() }
        }
        "Endpoints" if object["endpoints"].is_array() || object["addressType"].is_string() => {
            let all = object["endpoints"].as_array().into_iter().flatten();
            let addresses: Vec<String> = all
                .flat_map(|entry| entry["addresses"].as_array().into_iter().flatten())
                .map(|address| text_or(address, ""))
                .collect();
            if addresses.is_empty() { "<unset>".into() } else { shortened(&addresses).into() }
        }
        "Endpoints" => {
            let mut shown: Vec<String> = Vec::new();
            for subset in object["subsets"].as_array().into_iter().flatten() {
                let addresses = subset["addresses"].as_array().map_or(&[][..], List::as_slice);
                let ports = subset["ports"].as_array().map_or(&[][..], List::as_slice);
                let addresses = || addresses.iter().filter_map(|address| address["ip"].as_str());
                if ports.is_empty() {
                    shown.extend(addresses().map(str::to_owned));
                }
                for port in ports.iter().map(|port| int(&port["port"])) {
                    shown.extend(addresses().map(|address| match address.contains(':') {
                        true => format!("[{address}]:{port}"),
                        false => format!("{address}:{port}"),
                    }));
                }
            }
            if object["subsets"].as_array().is_some_and(|subsets| !subsets.is_empty()) {
                return shortened(&shown).into();
            }
            if shown.is_empty() { "<none>".into() } else { shortened(&shown).into() }
        }
        _ => Value::Null,
    }
}

/// The first three, and how many more.
fn shortened(texts: &[String]) -> String {
    match texts.len() {
        0..=3 => texts.join(","),
        more => format!("{} + {} more...", texts[..3].join(","), more - 3),
    }
}
