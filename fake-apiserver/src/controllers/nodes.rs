//! Simulated nodes: a scheduler, kubelets, and what watches over nodes.
//!
//! ```text
//! scheduler ──► pods/binding       which node
//! kubelet ────► pods/status        `crate::node::life`, step by step; the end of a deletion
//! watchdog ───► nodes, pods        nodes whose kubelet is stopped: unreachable, tainted, emptied
//! ```
//!
//! A node's kubelet is stopped by the annotation [`STOPPED`], as a person pulls a plug:
//! `kubectl annotate node node-1 towtank.dev/stopped=true`; it comes back when the annotation goes.

mod kubelet;
mod scheduler;
#[cfg(test)]
mod tests;
mod watchdog;

use apimachinery::value::{Value, json};

use super::Maker;
use super::view::{annotation, text};
use crate::admission::UserInfo;
use crate::controllers::client::Client;
use crate::controllers::{kinds, server};
use crate::registry::create::put_in_place;

/// On a node: its kubelet does not run.
pub(crate) const STOPPED: &str = "towtank.dev/stopped";

const KUBELET_AGENT: &str = "kubelet/v1.36.2 (linux/amd64) kubernetes/98b3519";
const SCHEDULER_AGENT: &str = "kube-scheduler/v1.36.2 (linux/amd64) kubernetes/98b3519/scheduler";

/// Pods that one node takes.
const PODS: i64 = 110;

/// Whether a node's kubelet runs.
fn is_up(node: &Value) -> bool {
    annotation(node, STOPPED) != Some("true")
}

/// The network of a node: its number as two bytes of an address.
fn network(number: u32) -> (u8, u8) {
    // 10.244.0.0 upwards first, as kubeadm has it; beyond 3072 nodes from 10.128 upwards.
    let (high, low) = (number / 256, number % 256);
    let high = if high < 12 { 244 + high } else { 128 + (high - 12) % 116 };
    (u8::try_from(high).unwrap_or(u8::MAX), u8::try_from(low).unwrap_or(u8::MAX))
}

/// The number in a node's `podCIDR`.
fn pod_network(node: &Value) -> Option<(u8, u8)> {
    let mut bytes = text(node, "/spec/podCIDR").split('.').skip(1);
    Some((bytes.next()?.parse().ok()?, bytes.next()?.parse().ok()?))
}

fn address(node: &Value) -> &str {
    let addresses = super::view::items(node, "/status/addresses").iter();
    addresses.into_iter().find(|one| one["type"] == "InternalIP").map_or("", |one| text(one, "/address"))
}

/// A node as its kubelet registers it.
fn node(number: u32, now: &str) -> Value {
    let name = format!("node-{}", number + 1);
    let (high, low) = network(number);
    let cidr = format!("10.{high}.{low}.0/24");
    let own = number + 2;
    let address = format!("172.{}.{}.{}", 18 + own / 65536, (own / 256) % 256, own % 256);
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "lastHeartbeatTime": now, "lastTransitionTime": now,
            "reason": reason, "message": message,
        })
    };
    let capacity = json!({
        "cpu": "8", "memory": "32Gi", "pods": PODS.to_string(), "ephemeral-storage": "100Gi", "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    });
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": { "podCIDR": cidr, "podCIDRs": [cidr], "providerID": format!("towtank://{name}") },
        "status": {
            "addresses": [{ "type": "InternalIP", "address": address }, { "type": "Hostname", "address": name }],
            "capacity": capacity, "allocatable": capacity,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "osImage": "Towtank (simulated)",
                "kernelVersion": "6.12.0", "containerRuntimeVersion": "containerd://2.1.0",
                "kubeletVersion": "v1.36.2", "kubeProxyVersion": "", "bootID": "", "machineID": name, "systemUUID": name,
            },
        },
    })
}

/// Adds so many nodes, their scheduler and their kubelets.
pub(super) fn add(maker: &mut Maker<'_>, count: u32) {
    let now = maker.core.clock.now().rfc3339();
    for number in 0..count {
        put_in_place(maker.core, kinds::NODE.table, node(number, &now));
    }
    let context = maker.context_as(scheduler_user(), SCHEDULER_AGENT, "default-scheduler");
    maker.runner.add(scheduler::Scheduler::new(context));
    let api = server::Server::new(maker.core.clone(), KUBELET_AGENT);
    let context = maker.context_as(kubelet_user("node"), KUBELET_AGENT, "kubelet");
    let client = move |node: &str| Client::new(api.clone(), kubelet_user(node));
    maker.runner.add(kubelet::Kubelets::new(context, Box::new(client)));
    let context = maker.context("node-controller", "node-controller");
    maker.runner.add(watchdog::Watchdog::new(context));
}

fn user(name: String, group: &str) -> UserInfo {
    let groups = vec![group.to_owned(), "system:authenticated".to_owned()];
    UserInfo { username: name, groups, ..UserInfo::default() }
}

fn scheduler_user() -> UserInfo {
    UserInfo { groups: vec!["system:authenticated".to_owned()], ..user("system:kube-scheduler".to_owned(), "") }
}

fn kubelet_user(node: &str) -> UserInfo {
    user(format!("system:node:{node}"), "system:nodes")
}
