//! A pod's status as a kubelet writes it.

use apimachinery::value::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::program::image_name;
use super::super::{items, text};
use super::Life;
use super::containers::{Box_, Role, State};
use apimachinery::clock::Timestamp;

fn stamp(seconds: i64) -> String {
    Timestamp::from_unix_micros(seconds.saturating_mul(1_000_000)).rfc3339()
}

fn hex(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The image as the container runtime names it.
fn full_image(image: &str) -> String {
    let registry = image.split('/').next().unwrap_or_default();
    let named = image.contains('/') && (registry.contains(['.', ':']) || registry == "localhost");
    let full = match (named, image.contains('/')) {
        (true, _) => image.to_owned(),
        (false, true) => format!("docker.io/{image}"),
        (false, false) => format!("docker.io/library/{image}"),
    };
    let tagged = full.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    if tagged { full } else { format!("{full}:latest") }
}

fn image_id(image: &str) -> String {
    let full = full_image(image);
    let name = image_name(image);
    let end = full.rfind(name).map_or(full.len(), |at| at + name.len());
    format!("{}@sha256:{}", &full[..end], hex(&[&full]))
}

/// What the status says of one container.
fn container(life: &Life<'_>, one: &Box_<'_>, sandbox: bool, initialized: bool) -> Value {
    let uid = text(life.pod, "/metadata/uid");
    let id = |restarts: i64| format!("containerd://{}", hex(&[uid, one.name(), &restarts.to_string()]));
    let state = |state: &State, restarts: i64| match state {
        State::Running { since } => json!({ "running": { "startedAt": stamp(*since) } }),
        State::Terminated { since, at, code } => json!({ "terminated": {
            "exitCode": code, "reason": if *code == 0 { "Completed" } else { "Error" },
            "startedAt": stamp(*since), "finishedAt": stamp(*at), "containerID": id(restarts),
        } }),
        State::Waiting { until: Some(until) } => {
            let delay = match &one.last {
                Some(State::Terminated { at, .. }) => until - at,
                _ => 0,
            };
            let delay = if delay < 60 { format!("{delay}s") } else { format!("{}m{}s", delay / 60, delay % 60) };
            let place =
                format!("{}_{}({uid})", text(life.pod, "/metadata/name"), text(life.pod, "/metadata/namespace"));
            let message = format!("back-off {delay} restarting failed container={} pod={place}", one.name());
            json!({ "waiting": { "reason": "CrashLoopBackOff", "message": message } })
        }
        State::Waiting { until: None } => {
            let has_init = life.boxes.first().is_some_and(|first| matches!(first.role, Role::Init | Role::Sidecar));
            let reason = if has_init && !initialized { "PodInitializing" } else { "ContainerCreating" };
            let reason = if has_init && one.role == Role::Main { "PodInitializing" } else { reason };
            json!({ "waiting": { "reason": reason } })
        }
    };
    let now = life.host.now;
    let started = one.started_at().is_some_and(|at| at <= now);
    let ready = match (one.role, &one.state) {
        (Role::Init, State::Terminated { code: 0, .. }) => true,
        (Role::Init | Role::Ephemeral, _) => false,
        _ => started && one.ready_at().is_some_and(|at| at <= now),
    };
    let spec_image = text(one.spec, "/image");
    let has_run = !matches!(one.state, State::Waiting { until: None }) && sandbox;
    let mut status = json!({
        "name": one.name(), "ready": ready, "restartCount": one.restarts, "started": started,
        "image": if has_run { full_image(spec_image) } else { spec_image.to_owned() },
        "imageID": if has_run { image_id(spec_image) } else { String::new() },
        "state": state(&one.state, one.restarts),
        "lastState": one.last.as_ref().map_or_else(|| json!({}), |last| state(last, one.restarts - 1)),
    });
    if has_run {
        let waits = matches!(one.state, State::Waiting { .. });
        status["containerID"] = id(if waits { one.restarts - 1 } else { one.restarts }).into();
    }
    if let Some(resources) =
        one.spec.get("resources").filter(|resources| resources.as_object().is_some_and(|r| !r.is_empty()))
    {
        status["resources"] = resources.clone();
        if let Some(requests) = resources.get("requests").filter(|requests| requests.is_object()) {
            status["allocatedResources"] = requests.clone();
        }
    }
    let mounts: Vec<Value> = items(one.spec, "/volumeMounts").iter().map(mount).collect();
    if !mounts.is_empty() {
        status["volumeMounts"] = mounts.into();
    }
    status
}

fn mount(mount: &Value) -> Value {
    let mut shown = json!({ "name": mount["name"], "mountPath": mount["mountPath"] });
    if mount["readOnly"] == true {
        shown["readOnly"] = true.into();
        shown["recursiveReadOnly"] = "Disabled".into();
    }
    shown
}

/// The whole status. Fields and conditions that are others' business stay.
pub(super) fn status(life: &Life<'_>, phase: &str, sandbox: bool) -> Value {
    let (pod, now) = (life.pod, stamp(life.host.now));
    let mut status = pod.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}));
    let inits: Vec<&Box_<'_>> =
        life.boxes.iter().filter(|one| matches!(one.role, Role::Init | Role::Sidecar)).collect();
    let is_through = |one: &&&Box_<'_>| match (one.role, &one.state) {
        (Role::Sidecar, State::Running { .. }) => one.started_at().is_some_and(|at| at <= life.host.now),
        (_, State::Terminated { code: 0, .. }) => true,
        _ => false,
    };
    let mains_began =
        life.boxes.iter().any(|one| one.role == Role::Main && !matches!(one.state, State::Waiting { until: None }));
    let initialized = mains_began || inits.iter().all(|one| is_through(&one));
    let list = |wanted: &[Role]| -> Vec<Value> {
        let of_list = life.boxes.iter().filter(|one| wanted.contains(&one.role));
        of_list.map(|one| container(life, one, sandbox, initialized)).collect()
    };
    let (mains, init_statuses) = (list(&[Role::Main]), list(&[Role::Init, Role::Sidecar]));
    let ephemeral = list(&[Role::Ephemeral]);
    let over = matches!(phase, "Succeeded" | "Failed");
    let unready: Vec<&str> = mains
        .iter()
        .chain(init_statuses.iter().zip(&inits).filter(|(_, one)| one.role == Role::Sidecar).map(|(status, _)| status))
        .filter(|status| status["ready"] != true)
        .map(|status| text(status, "/name"))
        .collect();
    let incomplete: Vec<&str> = inits.iter().filter(|one| !is_through(one)).map(|one| one.name()).collect();
    let gates_open = items(pod, "/spec/readinessGates").iter().all(|gate| {
        let condition =
            items(&status, "/conditions").iter().find(|condition| condition["type"] == gate["conditionType"]);
        condition.is_some_and(|condition| condition["status"] == "True")
    });
    let containers_ready = match (over, unready.is_empty()) {
        (true, _) => (false, if phase == "Succeeded" { "PodCompleted" } else { "PodFailed" }, String::new()),
        (false, true) => (true, "", String::new()),
        (false, false) => {
            (false, "ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))
        }
    };
    let ready = match (containers_ready.0, gates_open) {
        (true, false) => {
            (false, "ReadinessGatesNotReady", "the status of pod readiness gates is not \"True\"".to_owned())
        }
        _ => containers_ready.clone(),
    };
    let init = match initialized {
        true => (true, if phase == "Succeeded" { "PodCompleted" } else { "" }, String::new()),
        false => (
            false,
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{}]", incomplete.join(" ")),
        ),
    };
    let mut conditions = items(&status, "/conditions").to_vec();
    let generation = pod.pointer("/metadata/generation").cloned();
    let mut set = |kind: &str, (is_true, reason, message): (bool, &str, String)| {
        let truth = if is_true { "True" } else { "False" };
        let known = conditions.iter().position(|condition| condition["type"] == kind);
        let since = known
            .map(|at| &conditions[at])
            .filter(|condition| condition["status"] == truth)
            .map_or_else(|| Value::from(now.as_str()), |condition| condition["lastTransitionTime"].clone());
        let mut condition =
            json!({ "type": kind, "status": truth, "lastProbeTime": null, "lastTransitionTime": since });
        if !reason.is_empty() {
            condition["reason"] = reason.into();
        }
        if !message.is_empty() {
            condition["message"] = message.into();
        }
        if let Some(generation) = &generation {
            condition["observedGeneration"] = generation.clone();
        }
        match known {
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
    };
    set("PodReadyToStartContainers", (sandbox && !over, "", String::new()));
    set("Initialized", init);
    set("Ready", ready);
    set("ContainersReady", containers_ready);
    set("PodScheduled", (true, "", String::new()));
    let fields = fields(life, phase, sandbox, &now);
    if let Some(status) = status.as_object_mut() {
        status.extend(fields);
        status.insert("conditions".to_owned(), conditions.into());
        status.insert("containerStatuses".to_owned(), mains.into());
        if !inits.is_empty() {
            status.insert("initContainerStatuses".to_owned(), init_statuses.into());
        }
        if !ephemeral.is_empty() {
            status.insert("ephemeralContainerStatuses".to_owned(), ephemeral.into());
        }
        if let Some(generation) = generation {
            status.insert("observedGeneration".to_owned(), generation);
        }
    }
    status
}

fn fields(life: &Life<'_>, phase: &str, sandbox: bool, now: &str) -> Map {
    let pod = life.pod;
    let host = life.host.address;
    let mut fields = Map::new();
    fields.insert("phase".to_owned(), phase.into());
    fields.insert("hostIP".to_owned(), host.into());
    fields.insert("hostIPs".to_owned(), json!([{ "ip": host }]));
    if text(pod, "/status/startTime").is_empty() {
        fields.insert("startTime".to_owned(), now.into());
    }
    if sandbox {
        let address =
            if pod.pointer("/spec/hostNetwork") == Some(&Value::Bool(true)) { host } else { life.host.pod_address };
        fields.insert("podIP".to_owned(), address.into());
        fields.insert("podIPs".to_owned(), json!([{ "ip": address }]));
    }
    fields
}
