//! Watches over nodes: one whose kubelet is stopped becomes unreachable, and its pods are evicted when their patience ends.

use std::sync::Arc;

use apimachinery::value::{Value, json};
use tokio::time::Duration;

use super::is_up;
use crate::controllers::client::{Refusal, Verb};
use crate::controllers::context::Context;
use crate::controllers::informer::Change;
use crate::controllers::kinds::{self, Kind};
use crate::controllers::queue::Queue;
use crate::controllers::runner::Controller;
use crate::controllers::time;
use crate::controllers::view::{condition, items, name, namespace, place, text};
use crate::node::life;

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// A node that says nothing for so long is not known to be well.
const GRACE: i64 = 40;

pub(super) struct Watchdog {
    context: Context,
}

impl Watchdog {
    pub(super) fn new(context: Context) -> Watchdog {
        Watchdog { context }
    }

    /// Writes a node's conditions; all of them are unknown, or well.
    async fn report(&self, node: &Value, well: bool) -> Result<(), Refusal> {
        let now = self.context.now();
        let mut status = node["status"].clone();
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            let is_ready = condition["type"] == "Ready";
            let (truth, reason, message) = match (well, is_ready) {
                (false, _) => ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
                (true, true) => ("True", "KubeletReady", "kubelet is posting ready status"),
                (true, false) => ("False", "KubeletIsWell", "the node has enough of everything"),
            };
            if condition["status"] != truth {
                condition["lastTransitionTime"] = now.as_str().into();
            }
            condition["status"] = truth.into();
            condition["reason"] = reason.into();
            condition["message"] = message.into();
            condition["lastHeartbeatTime"] = now.as_str().into();
        }
        self.context.write_status(&kinds::NODE, node, status).await?;
        let (reason, word) = if well { ("NodeReady", "NodeReady") } else { ("NodeNotReady", "NodeNotReady") };
        self.context.events.normal(node, &kinds::NODE, reason, format!("Node {} status is now: {word}", name(node)));
        Ok(())
    }

    /// Brings a node's taints to what its state demands.
    async fn taint(&self, node: &Value, unreachable: bool) -> Result<(), Refusal> {
        let unschedulable = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
        let now = self.context.now();
        let have = items(node, "/spec/taints");
        let mut taints: Vec<Value> =
            have.iter().filter(|taint| taint["key"] != UNREACHABLE && taint["key"] != UNSCHEDULABLE).cloned().collect();
        let mut want = |key: &str, effect: &str| {
            let known = have.iter().find(|taint| taint["key"] == key && taint["effect"] == effect).cloned();
            taints.push(known.unwrap_or_else(|| json!({ "key": key, "effect": effect, "timeAdded": now })));
        };
        if unschedulable {
            want(UNSCHEDULABLE, "NoSchedule");
        }
        if unreachable {
            want(UNREACHABLE, "NoSchedule");
            want(UNREACHABLE, "NoExecute");
        }
        if taints == have {
            return Ok(());
        }
        let taints = if taints.is_empty() { Value::Null } else { taints.into() };
        let patch = json!({ "spec": { "taints": taints } });
        self.context.client.patch(Verb::MergePatch, &kinds::NODE, ("", name(node)), "", patch).await.map(drop)
    }

    /// The pods of an unreachable node: not ready, and evicted when their tolerations end. Gives the time of the next one.
    async fn empty(&self, node: &Value) -> Result<Option<i64>, Refusal> {
        let now = self.context.seconds();
        let taint = items(node, "/spec/taints")
            .iter()
            .find(|taint| taint["key"] == UNREACHABLE && taint["effect"] == "NoExecute");
        let since = taint.and_then(|taint| time::parse(text(taint, "/timeAdded"))).unwrap_or(now);
        let mut next: Option<i64> = None;
        for pod in self.context.cache.list(&kinds::POD, "") {
            let pod = pod.value();
            if text(pod, "/spec/nodeName") != name(node) || crate::controllers::view::is_deleting(pod) {
                continue;
            }
            if let Some(status) = life::lost(pod, &self.context.now()) {
                self.context.write_status(&kinds::POD, pod, status).await.map(drop).or_else(gone_is_fine)?;
            }
            let Some(patience) = patience(pod) else { continue };
            let end = since.saturating_add(patience);
            if end > now {
                next = Some(next.map_or(end, |known| known.min(end)));
                continue;
            }
            let message = format!("Marking for deletion Pod {}/{}", namespace(pod), name(pod));
            self.context.events.normal(pod, &kinds::POD, "TaintManagerEviction", message);
            self.context.client.delete(&kinds::POD, place(pod), None).await.map(drop).or_else(gone_is_fine)?;
        }
        Ok(next)
    }
}

fn gone_is_fine(refusal: Refusal) -> Result<(), Refusal> {
    if refusal.is_not_found() { Ok(()) } else { Err(refusal) }
}

/// How many seconds a pod bears its node being unreachable; none: for ever.
fn patience(pod: &Value) -> Option<i64> {
    let mut seconds = Some(0);
    for toleration in items(pod, "/spec/tolerations") {
        let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
        let applies = (key.is_empty() || key == UNREACHABLE) && (effect.is_empty() || effect == "NoExecute");
        if applies {
            let limit = toleration["tolerationSeconds"].as_i64()?;
            seconds = Some(seconds.unwrap_or(0).max(limit));
        }
    }
    seconds
}

impl Controller for Watchdog {
    const NAME: &'static str = "node-controller";
    const WORKERS: usize = 4;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::NODE]
    }

    fn observe(&self, _kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if change.deleted {
            return;
        }
        let stopped_now =
            !is_up(change.object.value()) && change.previous.is_none_or(|previous| is_up(previous.value()));
        if stopped_now {
            queue.add_after(change.object.key(), Duration::from_secs(GRACE.unsigned_abs()));
        } else if is_up(change.object.value()) || ready(change.object.value()) == "Unknown" {
            queue.add(change.object.key());
        }
    }

    async fn sync(&self, key: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        let Some(node) = self.context.cache.by_key(&kinds::NODE, &key) else { return Ok(()) };
        let node = node.value();
        if super::pod_network(node).is_none() {
            // Somebody else's node: whoever made it looks after it.
            return Ok(());
        }
        let (up, ready) = (is_up(node), ready(node));
        if up != (ready == "True") {
            self.report(node, up).await?;
        }
        let Some(node) = self.context.cache.by_key(&kinds::NODE, &key) else { return Ok(()) };
        self.taint(node.value(), !up).await?;
        if !up {
            let Some(node) = self.context.cache.by_key(&kinds::NODE, &key) else { return Ok(()) };
            if let Some(next) = self.empty(node.value()).await? {
                let wait = next.saturating_sub(self.context.seconds()).max(1);
                queue.add_after(key, Duration::from_secs(wait.unsigned_abs()));
            }
        }
        Ok(())
    }
}

fn ready(node: &Value) -> &str {
    condition(&node["status"], "Ready").map_or("", |ready| text(ready, "/status"))
}
