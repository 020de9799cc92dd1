//! exec, attach, portforward, proxy: admitted as CONNECT, then a way into a pod on a simulated node.

use std::sync::Arc;

use apimachinery::value::{List, Value, json};

use super::admit::Admission;
use super::call::{Call, Content, Reply};
use super::meta::text;
use crate::admission::{Operation, Rejection};
use crate::core::Shared;
use crate::node::{self, life};
use crate::store::Object;

/// What is to be connected.
pub(crate) enum Purpose {
    Exec { command: Vec<String> },
    Attach,
    PortForward,
}

/// A connection that was admitted: which streams, into what.
pub(crate) struct Connect {
    pub(crate) core: Shared,
    pub(crate) pod: Arc<Object>,
    /// The container's name; empty for port-forward.
    pub(crate) container: String,
    pub(crate) purpose: Purpose,
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
    pub(crate) tty: bool,
    /// Those of port-forward that are named in the query.
    pub(crate) ports: Vec<u16>,
}

/// Admits the connection, and finds what it leads to.
pub(super) async fn connect(core: &Shared, call: &mut Call) -> Result<Reply, Rejection> {
    let mut admission = Admission::new(core, call, Operation::Connect, None);
    let options = connect_options(call);
    admission.attributes.object = Some(options.clone());
    let outcome = async {
        admission.mutate(core).await?;
        admission.validate(core).await
    }
    .await;
    super::create::adopt_warnings(call, &mut admission);
    admission.record(core, outcome.as_ref().err());
    outcome?;
    let table = &call.resource.table;
    let object = core.store.get(table, &call.namespace, &call.name).ok_or_else(|| call.not_found())?;
    let node = text(&object.value()["spec"], "nodeName");
    if &*call.resource.plural == "pods" && node.is_empty() {
        return Err(Rejection::bad_request(&format!("pod {} does not have a host assigned", call.name)));
    }
    let kind = call.subresource.as_ref().map(|subresource| subresource.name.to_string()).unwrap_or_default();
    if &*call.resource.plural != "pods" || kind == "proxy" || !is_simulated(core, node) {
        let message = format!("error dialing backend: no kubelet serves node {node:?} of this cluster");
        return Err(Rejection::internal(&message));
    }
    let mut container = String::new();
    if kind != "portforward" {
        container = container_of(&object, call.query.get("container"))?;
        let status = node::container(object.value(), &container).and_then(|(_, status)| status);
        if !life::is_running(status) {
            let message = format!("unable to upgrade connection: container not found ({container:?})");
            return Err(Rejection::internal(&message));
        }
    }
    let purpose = match &*kind {
        "exec" => Purpose::Exec { command: call.query.all("command").map(str::to_owned).collect() },
        "attach" => Purpose::Attach,
        _ => Purpose::PortForward,
    };
    if matches!(&purpose, Purpose::Exec { command } if command.is_empty()) {
        return Err(Rejection::bad_request("you must specify at least one command for the container"));
    }
    let asked = |field: &str| options[field] == true;
    let connect = Connect {
        core: core.clone(),
        pod: object,
        container,
        purpose,
        stdin: asked("stdin"),
        stdout: asked("stdout"),
        stderr: asked("stderr"),
        tty: asked("tty"),
        ports: call
            .query
            .all("ports")
            .flat_map(|ports| ports.split(','))
            .filter_map(|port| port.parse().ok())
            .collect(),
    };
    Ok(Reply::ok(Content::Connect(Box::new(connect))))
}

/// Whether a node is one of the simulated ones, and up.
pub(super) fn is_simulated(core: &Shared, node: &str) -> bool {
    core.store.get("nodes", "", node).is_some_and(|node| {
        let provider = text(&node.value()["spec"], "providerID");
        let stopped = node.value().pointer("/metadata/annotations/towtank.dev~1stopped");
        core.nodes > 0 && provider.starts_with("towtank://") && stopped.is_none_or(|stopped| stopped != "true")
    })
}

/// The container that a request means: the one it names, or the only one.
pub(super) fn container_of(pod: &Object, asked: &str) -> Result<String, Rejection> {
    let names = |field: &str| -> Vec<String> {
        let list = pod.value()["spec"][field].as_array().map_or(&[][..], List::as_slice);
        list.iter().map(|container| text(container, "name").to_owned()).collect()
    };
    let (containers, inits) = (names("containers"), names("initContainers"));
    let pod_name = pod.name();
    match (asked, containers.as_slice()) {
        ("", [only]) => Ok(only.clone()),
        ("", _) => {
            let mut message = format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                containers.join(" ")
            );
            if !inits.is_empty() {
                message.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
            }
            Err(Rejection::bad_request(&message))
        }
        (asked, _) if node::container(pod.value(), asked).is_some() => Ok(asked.to_owned()),
        (asked, _) => Err(Rejection::bad_request(&format!("container {asked} is not valid for pod {pod_name}"))),
    }
}

/// What a client gets that asks for a connection without asking for an upgrade.
pub(crate) fn upgrade_required() -> Rejection {
    let message = "Upgrade request required".to_owned();
    Rejection::bad_request(&message)
}

/// The options object of a connecting subresource, from the query.
fn connect_options(call: &Call) -> Value {
    let gvk = call.subresource.as_ref().map_or(&call.resource.gvk, |subresource| &subresource.gvk);
    let mut options = json!({"kind": &*gvk.kind, "apiVersion": gvk.api_version()});
    let mut text_field = |field: &str| {
        if !call.query.get(field).is_empty() {
            options[field] = call.query.get(field).into();
        }
    };
    match &*gvk.kind {
        "PodExecOptions" | "PodAttachOptions" => text_field("container"),
        "PodProxyOptions" | "ServiceProxyOptions" | "NodeProxyOptions" => text_field("path"),
        _ => {}
    }
    if matches!(&*gvk.kind, "PodExecOptions" | "PodAttachOptions") {
        for field in ["stdin", "stdout", "stderr", "tty"] {
            if call.query.flag(field) {
                options[field] = true.into();
            }
        }
        if &*gvk.kind == "PodExecOptions" {
            options["command"] = call.query.all("command").collect::<Vec<_>>().into();
        }
    }
    if &*gvk.kind == "PodPortForwardOptions" {
        let ports: Vec<i64> = call.query.all("ports").filter_map(|port| port.parse().ok()).collect();
        if !ports.is_empty() {
            options["ports"] = ports.into();
        }
    }
    options
}
