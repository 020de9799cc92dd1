//! From a template's output to the operations that put it into a pod.

use apimachinery::quantity::Quantity;
use apimachinery::value::{Map, Value, json};

use super::data::Workload;
use super::rendered::Rendered;
use super::status::{self, Previous, Status};
use super::{Generation, Legacy, PROXY, annotations_of, defaults, list, name, probes};
use crate::engine::Error;
use crate::patch::{Operation, escape};

/// What the patch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A webhook's answer.
    Webhook,
    /// A manifest that will be sent to an apiserver later.
    File,
}

/// The operations, and what the user should hear.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) operations: Vec<Operation>,
    pub(crate) warnings: Vec<String>,
}

/// One of the pod's lists that templates add to.
struct List {
    key: &'static str,
    what: &'static str,
    named: fn(&Status) -> &Option<Vec<String>>,
    items: fn(&Rendered) -> &[Value],
}

const LISTS: [List; 4] = [
    List {
        key: "initContainers",
        what: "init container",
        named: |s| &s.init_containers,
        items: |r| &r.init_containers,
    },
    List { key: "containers", what: "container", named: |s| &s.containers, items: |r| &r.containers },
    List { key: "volumes", what: "volume", named: |s| &s.volumes, items: |r| &r.volumes },
    List {
        key: "imagePullSecrets",
        what: "image pull secret",
        named: |s| &s.image_pull_secrets,
        items: |r| &r.image_pull_secrets,
    },
];

pub(super) fn plan(legacy: &Legacy, pod: &Value, workload: &Workload, purpose: Purpose) -> Result<Plan, Error> {
    let previous = Previous::of(pod);
    if let (Some(version), Some(status)) = (previous.version(), previous.status())
        && version == legacy.version
        && already_injected(legacy, pod, workload, purpose, status)?
    {
        return Ok(Plan::default());
    }
    let rendered = prepared(legacy, pod, workload, purpose)?;
    build(legacy, pod, rendered, &previous, purpose)
}

/// The template's output with what the injector itself adds to it.
fn prepared(legacy: &Legacy, pod: &Value, workload: &Workload, purpose: Purpose) -> Result<Rendered, Error> {
    let mut rendered = legacy.render(pod, workload)?;
    if legacy.generation == Generation::V1_0 {
        if purpose == Purpose::Webhook {
            rendered.init_containers.iter_mut().chain(&mut rendered.containers).for_each(defaults::container);
            rendered.volumes.iter_mut().for_each(defaults::volume);
        }
    } else {
        rendered.containers.iter_mut().filter(|c| name(c) == PROXY).for_each(concurrency);
        if let Some(mount) = service_account_mount(pod) {
            for proxy in rendered.containers.iter_mut().filter(|c| name(c) == PROXY) {
                add_mount(proxy, mount);
            }
        }
    }
    Ok(rendered)
}

/// Whether the pod holds all that this very template would put into it: then a second call changes nothing.
fn already_injected(
    legacy: &Legacy,
    pod: &Value,
    workload: &Workload,
    purpose: Purpose,
    status: &Status,
) -> Result<bool, Error> {
    let without = |annotations: &Map| {
        let mut before = pod.clone();
        if let Some(own) = before["metadata"]["annotations"].as_object_mut() {
            own.retain(|key, value| key != status::KEY && annotations.get(key) != Some(value));
        }
        if before["metadata"]["annotations"].as_object().is_some_and(Map::is_empty)
            && let Some(metadata) = before["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
        for kind in &LISTS {
            let names = (kind.named)(status);
            if let Some(items) = before["spec"][kind.key].as_array_mut() {
                items.retain(|item| !names.as_ref().is_some_and(|names| names.iter().any(|n| n == name(item))));
            }
        }
        before
    };
    // The probes point to the sidecar already, so what they were is known to its variable alone.
    let proxy = list(pod, "containers").iter().find(|c| name(c) == PROXY);
    let probers = proxy.and_then(|proxy| proxy["env"].as_array()?.iter().find(|v| name(v) == PROBERS));
    let again = |before: &Value| -> Result<Rendered, Error> {
        let mut rendered = prepared(legacy, before, workload, purpose)?;
        for proxy in rendered.containers.iter_mut().filter(|c| name(c) == PROXY) {
            probers.into_iter().for_each(|variable| push(proxy, "env", variable.clone()));
        }
        Ok(rendered)
    };
    let rendered = again(&without(&Map::new()))?;
    if is_there(pod, &rendered) {
        return Ok(true);
    }
    // Annotations that an injector added look like the user's; but the sidecar was told those that were there before.
    let told = proxy.and_then(|proxy| {
        let variable = proxy["env"].as_array()?.iter().find(|v| name(v) == "ISTIO_METAJSON_ANNOTATIONS")?;
        serde_json::from_str::<Map>(variable["value"].as_str()?).ok()
    });
    let mut added = rendered.annotations;
    added.extend(legacy.annotations.clone());
    added.retain(|key, _| !told.as_ref().is_some_and(|told| told.contains_key(key)));
    Ok(!added.is_empty() && is_there(pod, &again(&without(&added))?))
}

/// Whether a pod holds all that a template printed.
fn is_there(pod: &Value, rendered: &Rendered) -> bool {
    LISTS.iter().all(|kind| {
        let here = list(pod, kind.key);
        (kind.items)(rendered).iter().all(|item| here.iter().any(|h| name(h) == name(item) && holds(h, item)))
    })
}

/// Whether everything in `wanted` is in `found`, where the apiserver and other webhooks may have added to it.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().all(|(key, value)| match found.get(key) {
            Some(found) => holds(found, value),
            None => is_nothing(value),
        }),
        (Value::Array(found), Value::Array(wanted)) => {
            let key =
                ["name", "mountPath", "containerPort"].into_iter().find(|k| wanted.iter().all(|w| w.get(k).is_some()));
            match key {
                Some(key) => wanted.iter().all(|w| found.iter().any(|f| f.get(key) == w.get(key) && holds(f, w))),
                None => found == wanted,
            }
        }
        _ => found == wanted,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_nothing),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(yes) => !yes,
        Value::Number(n) => n.as_i64() == Some(0),
    }
}

const PROBERS: &str = "ISTIO_KUBE_APP_PROBERS";

fn build(
    legacy: &Legacy,
    pod: &Value,
    mut rendered: Rendered,
    previous: &Previous,
    purpose: Purpose,
) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let removed = removals(pod, &rendered, previous, &mut plan);
    keep_what_is_the_users(pod, &mut rendered, &removed)?;

    let rewrite = match rewrite_wanted(legacy, pod, &rendered) {
        true => probe_rewrite(pod, &removed, &mut rendered),
        false => probes::Rewrite::default(),
    };
    let status = Status {
        version: Some(legacy.version.clone()),
        init_containers: Status::names(&rendered.init_containers),
        containers: Status::names(&rendered.containers),
        volumes: Status::names(&rendered.volumes),
        image_pull_secrets: Status::names(&rendered.image_pull_secrets),
    };
    // The annotations tell a CNI plugin what to redirect; a webhook's pods have them where `istio-init` does not do it.
    let redirect = purpose == Purpose::File || !rendered.init_containers.iter().any(|c| name(c) == "istio-init");
    let mut annotations = if redirect { std::mem::take(&mut rendered.annotations) } else { Map::new() };
    let Rendered { init_containers, mut containers, volumes, image_pull_secrets, dns_config, security_context, .. } =
        rendered;
    let left = list(pod, "containers").len() - removed.iter().filter(|(key, _)| *key == "containers").count();
    let first = containers.iter().position(|c| name(c) == PROXY).filter(|_| rendered.proxy_first && left > 0);
    let first = first.map(|at| containers.remove(at));
    let operations = &mut plan.operations;
    for (kind, items) in LISTS.iter().zip([init_containers, containers, volumes, image_pull_secrets]) {
        add_all(pod, kind.key, items, operations);
    }
    let ahead = usize::from(first.is_some());
    if let Some(value) = first {
        operations.push(Operation::Add { path: "/spec/containers/0".to_owned(), value });
    }
    if let Some(value) = dns_config {
        operations.push(Operation::Add { path: "/spec/dnsConfig".to_owned(), value });
    }
    if legacy.generation != Generation::V1_0 {
        operations.extend(pod_security_context(legacy, pod, security_context));
    }
    annotations.extend(legacy.annotations.clone());
    annotate(pod, &status, annotations, operations);
    for (index, probe, value) in rewrite.replaced {
        let index = index + ahead;
        operations.push(Operation::Replace { path: format!("/spec/containers/{index}/{probe}/httpGet"), value });
    }
    Ok(plan)
}

/// Removes what an earlier injection put in, from the highest index down. Returns what went, as (list, index).
fn removals(pod: &Value, rendered: &Rendered, previous: &Previous, plan: &mut Plan) -> Vec<(&'static str, usize)> {
    let mut removed = Vec::new();
    for kind in &LISTS {
        let again = (kind.items)(rendered);
        for (index, item) in list(pod, kind.key).iter().enumerate().rev() {
            let name = name(item);
            if previous.removes(name, kind.named, again.iter().any(|a| self::name(a) == name)) {
                plan.operations.push(Operation::Remove { path: format!("/spec/{}/{index}", kind.key) });
                removed.push((kind.key, index));
            } else if let Previous::Unknown(status) = previous
                && (kind.named)(status).as_ref().is_some_and(|names| names.iter().any(|n| n == name))
            {
                plan.warnings.push(format!(
                    "annotation {} names the {} {name:?}, which no injector put there: it stays",
                    status::KEY,
                    kind.what
                ));
            }
        }
    }
    removed
}

/// An item of an injected name that no earlier injection put there is the user's own: what is the same anyway is not
/// added again, anything else is refused.
fn keep_what_is_the_users(pod: &Value, rendered: &mut Rendered, removed: &[(&str, usize)]) -> Result<(), Error> {
    let own = |key: &'static str, item: &Value| {
        let here = list(pod, key).iter().enumerate().filter(|(index, _)| !removed.contains(&(key, *index)));
        here.map(|(_, here)| here).find(|here| name(here) == name(item)).cloned()
    };
    let mut clashes = Vec::new();
    for kind in &LISTS[..2] {
        for item in (kind.items)(rendered) {
            if own(kind.key, item).is_some() {
                clashes.push(format!("{} {:?}", kind.what, name(item)));
            }
        }
    }
    rendered.volumes.retain(|volume| match own("volumes", volume) {
        None => true,
        Some(here) => {
            if !holds(&here, volume) {
                clashes.push(format!("volume {:?}", name(volume)));
            }
            false
        }
    });
    rendered.image_pull_secrets.retain(|secret| own("imagePullSecrets", secret).is_none());
    if clashes.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the pod has the {} already, and no annotation {} says that an injector put it there; rename it, or set the \
         annotation sidecar.istio.io/inject to \"false\"",
        clashes.join(" and the "),
        status::KEY
    )))
}

fn rewrite_wanted(legacy: &Legacy, pod: &Value, rendered: &Rendered) -> bool {
    if legacy.generation == Generation::V1_0 {
        return false;
    }
    let text =
        annotations_of(pod).and_then(|a| a.get("sidecar.istio.io/rewriteAppHTTPProbers")).and_then(Value::as_str);
    text.and_then(super::annotations::go_bool).unwrap_or(rendered.rewrite_probes)
}

/// Puts the pod's own probes into the sidecar's variable. Indices are those after the removals.
fn probe_rewrite(pod: &Value, removed: &[(&str, usize)], rendered: &mut Rendered) -> probes::Rewrite {
    let Some(proxy) = rendered.containers.iter_mut().find(|c| name(c) == PROXY) else {
        return probes::Rewrite::default();
    };
    let Some(port) = probes::status_port(proxy) else { return probes::Rewrite::default() };
    let here = list(pod, "containers").iter().enumerate();
    let left: Vec<Value> =
        here.filter(|(index, _)| !removed.contains(&("containers", *index))).map(|(_, c)| c.clone()).collect();
    let rewrite = probes::rewrite(&left, port);
    if let Some(text) = &rewrite.probers {
        push(proxy, "env", json!({"name": PROBERS, "value": text}));
    }
    rewrite
}

/// Appends to a list. An empty list is replaced by a list of the first item, which also makes an absent one.
fn add_all(pod: &Value, key: &str, items: Vec<Value>, operations: &mut Vec<Operation>) {
    let mut absent = list(pod, key).is_empty();
    for value in items {
        let path = format!("/spec/{key}");
        operations.push(if absent {
            Operation::Add { path, value: Value::from(vec![value]) }
        } else {
            Operation::Add { path: path + "/-", value }
        });
        absent = false;
    }
}

/// What the template asks for, and where the mesh serves secrets over a Unix socket the group that may read the token.
/// What the pod says itself stays.
fn pod_security_context(legacy: &Legacy, pod: &Value, rendered: Option<Value>) -> Option<Operation> {
    const GROUP: i64 = 1337;
    let own = pod["spec"]["securityContext"].as_object().cloned().unwrap_or_default();
    let mut wanted = match rendered {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    if legacy.mesh["sdsUdsPath"].as_str().is_some_and(|path| !path.is_empty()) {
        wanted.entry("fsGroup").or_insert_with(|| json!(GROUP));
    }
    let mut context = own.clone();
    for (key, value) in wanted {
        let slot = context.entry(key).or_insert(Value::Null);
        if slot.is_null() {
            *slot = value;
        }
    }
    let path = "/spec/securityContext".to_owned();
    (context != own).then_some(Operation::Add { path, value: Value::Object(context) })
}

fn annotate(pod: &Value, status: &Status, mut more: Map, operations: &mut Vec<Operation>) {
    more.insert(status::KEY.to_owned(), Value::from(status.text()));
    if !pod["metadata"].is_object() {
        operations.push(Operation::Add { path: "/metadata".to_owned(), value: json!({"annotations": more}) });
        return;
    }
    let Some(annotations) = annotations_of(pod) else {
        operations.push(Operation::Add { path: "/metadata/annotations".to_owned(), value: Value::Object(more) });
        return;
    };
    for (key, value) in more {
        let path = format!("/metadata/annotations/{}", escape(&key));
        operations.push(if annotations.contains_key(&key) {
            Operation::Replace { path, value }
        } else {
            Operation::Add { path, value }
        });
    }
}

/// The sidecar gets as many threads as processors, unless the template says how many.
fn concurrency(proxy: &mut Value) {
    const FLAG: &str = "--concurrency";
    let given = proxy["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if given.into_iter().any(|a| a == FLAG || a.starts_with("--concurrency=")) {
        return;
    }
    let resources = &proxy["resources"];
    let cpu = ["limits", "requests"].iter().find_map(|kind| resources[*kind]["cpu"].as_str());
    let count = cpu.and_then(Quantity::parse).map_or(0, |q| q.ceil());
    if count > 0 {
        push(proxy, "args", json!(FLAG));
        push(proxy, "args", json!(count.to_string()));
    }
}

/// The service account's token as the apiserver mounts it into the pod's own containers.
fn service_account_mount(pod: &Value) -> Option<&Value> {
    const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let containers = list(pod, "containers").iter();
    containers.flat_map(|c| c["volumeMounts"].as_array().into_iter().flatten()).find(|m| m["mountPath"] == PATH)
}

fn add_mount(container: &mut Value, mount: &Value) {
    let has = container["volumeMounts"].as_array().into_iter().flatten().any(|m| m["mountPath"] == mount["mountPath"]);
    if !has {
        push(container, "volumeMounts", mount.clone());
    }
}

/// Appends to a list of an object, making it if need be.
fn push(object: &mut Value, key: &str, item: Value) {
    let Some(object) = object.as_object_mut() else { return };
    let list = object.entry(key).or_insert(Value::Null);
    match list {
        Value::Array(items) => items.push(item),
        other => *other = Value::from(vec![item]),
    }
}
