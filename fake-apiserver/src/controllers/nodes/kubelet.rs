//! All kubelets of the cluster: brings each pod that is on a node of theirs through its life.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::value::{Value, json};

use super::{address, is_up, pod_network};
use crate::controllers::client::{Client, Refusal};
use crate::controllers::context::Context;
use crate::controllers::informer::Change;
use crate::controllers::kinds::{self, Kind};
use crate::controllers::queue::Queue;
use crate::controllers::runner::Controller;
use crate::controllers::view::{name, place, text, uid, with_status};
use crate::node::life::{self, Host};
use crate::store::Object;

/// Steps of one pod in a row; a life is never that busy.
const STEPS: usize = 16;

pub(super) struct Kubelets {
    context: Context,
    client: Box<dyn Fn(&str) -> Client + Send + Sync>,
    addresses: Mutex<Addresses>,
}

/// Which pod has which address of a node: the last byte, by the pod's uid.
#[derive(Default)]
struct Addresses {
    nodes: HashMap<String, BTreeMap<u8, String>>,
}

impl Addresses {
    /// The address that a pod has on a node, a free one if it has none yet.
    fn of(&mut self, node: &str, uid: &str) -> u8 {
        let taken = self.nodes.entry(node.to_owned()).or_default();
        if let Some((byte, _)) = taken.iter().find(|(_, owner)| *owner == uid) {
            return *byte;
        }
        let last = taken.keys().next_back().copied().unwrap_or(1);
        let after = last.checked_add(1).filter(|byte| *byte < 255);
        let free = after.or_else(|| (2..255).find(|byte| !taken.contains_key(byte))).unwrap_or(254);
        taken.insert(free, uid.to_owned());
        free
    }

    fn keep(&mut self, node: &str, byte: u8, uid: &str) {
        self.nodes.entry(node.to_owned()).or_default().insert(byte, uid.to_owned());
    }

    fn release(&mut self, node: &str, uid: &str) {
        if let Some(taken) = self.nodes.get_mut(node) {
            taken.retain(|_, owner| owner != uid);
        }
    }
}

impl Kubelets {
    pub(super) fn new(context: Context, client: Box<dyn Fn(&str) -> Client + Send + Sync>) -> Kubelets {
        Kubelets { context, client, addresses: Mutex::default() }
    }

    /// The address of a pod: the one that its status has, or a new one.
    fn pod_address(&self, pod: &Value, node: &Value) -> String {
        let (high, low) = pod_network(node).unwrap_or((244, 0));
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let known = text(pod, "/status/podIP");
        if let Some(byte) = known.strip_prefix(&format!("10.{high}.{low}.")).and_then(|byte| byte.parse().ok()) {
            addresses.keep(name(node), byte, uid(pod));
            return known.to_owned();
        }
        format!("10.{high}.{low}.{}", addresses.of(name(node), uid(pod)))
    }

    fn tell(&self, pod: &Value, node: &str, happening: life::Happening) {
        let life::Happening { warning, reason, message, field } = happening;
        self.context.events.on_host(pod, &kinds::POD, warning, reason, message, &field, node);
    }

    /// What is left of a deleted pod goes.
    async fn remove(&self, client: &Client, pod: &Value) -> Result<(), Refusal> {
        let options = json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid(pod) } });
        match client.delete(&kinds::POD, place(pod), Some(options)).await {
            Err(refusal) if !refusal.is_not_found() && !refusal.is_conflict() => Err(refusal),
            _ => Ok(()),
        }
    }
}

impl Controller for Kubelets {
    const NAME: &'static str = "kubelet";
    const WORKERS: usize = 64;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::POD, &kinds::NODE]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == &kinds::POD {
            let pod = change.object.value();
            let node = text(pod, "/spec/nodeName");
            if change.deleted {
                let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
                return addresses.release(node, uid(pod));
            }
            if !node.is_empty() {
                queue.add(change.object.key());
            }
            return;
        }
        // A kubelet that is started finds its pods.
        let came_up = |previous: &Arc<Object>| !is_up(previous.value());
        if change.previous.is_some_and(came_up) && is_up(change.object.value()) {
            for pod in self.context.cache.list(&kinds::POD, "") {
                if text(pod.value(), "/spec/nodeName") == change.object.name() {
                    queue.add(pod.key());
                }
            }
        }
    }

    async fn sync(&self, key: Arc<str>, queue: &Queue) -> Result<(), Refusal> {
        for _ in 0..STEPS {
            let Some(pod) = self.context.cache.by_key(&kinds::POD, &key) else { return Ok(()) };
            let pod = pod.value();
            let node_name = text(pod, "/spec/nodeName");
            let Some(node) = self.context.cache.get(&kinds::NODE, "", node_name) else { return Ok(()) };
            if !is_up(node.value()) || pod_network(node.value()).is_none() {
                return Ok(());
            }
            let pod_address = self.pod_address(pod, node.value());
            let host = Host { address: address(node.value()), pod_address: &pod_address, now: self.context.seconds() };
            let step = life::advance(pod, &host);
            let client = (self.client)(node_name);
            let wrote = step.status.is_some();
            if let Some(status) = step.status {
                match client.update_status(&kinds::POD, with_status(pod, status)).await {
                    Err(refusal) if refusal.is_conflict() => continue,
                    Err(refusal) if refusal.is_not_found() => return Ok(()),
                    Err(refusal) => return Err(refusal),
                    Ok(_) => {}
                }
            }
            for happening in step.happenings {
                self.tell(pod, node_name, happening);
            }
            if step.gone {
                return self.remove(&client, pod).await;
            }
            if let Some(wake) = step.wake {
                queue.add_after(key.clone(), wake);
            }
            if !wrote {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_given_out_once_and_again_when_they_are_free() {
        let mut addresses = Addresses::default();
        assert_eq!((addresses.of("n", "a"), addresses.of("n", "b"), addresses.of("n", "a")), (2, 3, 2));
        for number in 0..251 {
            addresses.of("n", &number.to_string());
        }
        addresses.release("n", "b");
        assert_eq!(addresses.of("n", "c"), 3);
    }
}
