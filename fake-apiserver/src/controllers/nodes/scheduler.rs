//! Which node a pod goes to: one that it may go to and that has room, the emptier the better.
//!
//! Looked at are nodeSelector, required node affinity, taints, `unschedulable`, requests and the number of pods. Affinity
//! between pods, topology spread, volumes and preemption are not: such pods go where there is room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apimachinery::quantity::Quantity;
use apimachinery::value::{Value, json};

use crate::controllers::client::Refusal;
use crate::controllers::context::Context;
use crate::controllers::daemon_set::placement;
use crate::controllers::informer::Change;
use crate::controllers::kinds::{self, Kind};
use crate::controllers::queue::Queue;
use crate::controllers::runner::Controller;
use crate::controllers::view::{flag, is_deleting, items, name, namespace, place, text, uid};
use crate::store::Object;

const NAME: &str = "default-scheduler";

/// How many nodes with room are compared, in a large cluster: the best of these gets the pod.
const COMPARED: usize = 64;

/// What pods ask for: thousandths of a CPU, bytes, pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Room {
    cpu: i128,
    memory: i128,
    pods: i128,
}

impl Room {
    fn add(&mut self, other: Room) {
        self.cpu += other.cpu;
        self.memory += other.memory;
        self.pods += other.pods;
    }

    fn take(&mut self, other: Room) {
        self.cpu -= other.cpu;
        self.memory -= other.memory;
        self.pods -= other.pods;
    }
}

fn milli(quantity: &Value) -> i128 {
    let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
    // A thousandth of a thousandth is no room; thousandths are what the scheduler counts CPU in.
    let scaled = text.strip_suffix('m').map(str::to_owned);
    match scaled {
        Some(thousandths) => thousandths.parse().unwrap_or(0),
        None if text.contains('.') => {
            let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
            let part: String = part.chars().chain("000".chars()).take(3).collect();
            whole.parse::<i128>().unwrap_or(0).saturating_mul(1000).saturating_add(part.parse().unwrap_or(0))
        }
        None => Quantity::parse(&text).map_or(0, |quantity| quantity.ceil().saturating_mul(1000)),
    }
}

fn bytes(quantity: &Value) -> i128 {
    quantity.as_str().and_then(Quantity::parse).map_or(0, |quantity| quantity.ceil())
}

fn requests(container: &Value) -> Room {
    let asked = &container["resources"]["requests"];
    let of = |field: &str, read: fn(&Value) -> i128| asked.get(field).map_or(0, read);
    Room { cpu: of("cpu", milli), memory: of("memory", bytes), pods: 0 }
}

/// What a pod asks for: its containers and sidecars together, or its hungriest init container, and the overhead.
fn room_of(pod: &Value) -> Room {
    let mut total = Room::default();
    let mut peak = Room::default();
    for container in items(pod, "/spec/initContainers") {
        let asked = requests(container);
        if container["restartPolicy"] == "Always" {
            total.add(asked);
        } else {
            peak.cpu = peak.cpu.max(asked.cpu + total.cpu);
            peak.memory = peak.memory.max(asked.memory + total.memory);
        }
    }
    items(pod, "/spec/containers").iter().for_each(|container| total.add(requests(container)));
    total = Room { cpu: total.cpu.max(peak.cpu), memory: total.memory.max(peak.memory), pods: 1 };
    if let Some(overhead) = pod.pointer("/spec/overhead") {
        total.add(requests(&json!({ "resources": { "requests": overhead } })));
    }
    total
}

struct NodeRoom {
    node: Arc<Object>,
    free: Room,
}

/// The nodes and what is free on them.
#[derive(Default)]
struct Rooms {
    nodes: BTreeMap<Arc<str>, NodeRoom>,
    /// By uid of the pod: where it is and what it takes.
    placed: HashMap<String, (Arc<str>, Room)>,
    /// By node: what the pods there take together.
    taken: HashMap<Arc<str>, Room>,
    /// The node at which to begin to look, so that large clusters fill evenly.
    start: Arc<str>,
    /// Keys of pods for which there was no room.
    waiting: BTreeSet<Arc<str>>,
}

impl Rooms {
    fn place(&mut self, uid: &str, node: &str, room: Room) {
        if self.placed.contains_key(uid) {
            return;
        }
        let node: Arc<str> = node.into();
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.free.take(room);
        }
        self.taken.entry(node.clone()).or_default().add(room);
        self.placed.insert(uid.to_owned(), (node, room));
    }

    fn remove(&mut self, uid: &str) {
        let Some((node, room)) = self.placed.remove(uid) else { return };
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.free.add(room);
        }
        if let Some(taken) = self.taken.get_mut(&node) {
            taken.take(room);
            if *taken == Room::default() {
                self.taken.remove(&node);
            }
        }
    }

    fn know(&mut self, node: &Arc<Object>) {
        let allocatable = &node.value()["status"]["allocatable"];
        let of = |field: &str, read: fn(&Value) -> i128| allocatable.get(field).map_or(0, read);
        let mut free = Room { cpu: of("cpu", milli), memory: of("memory", bytes), pods: of("pods", bytes) };
        if free.pods == 0 {
            free.pods = i128::from(super::PODS);
        }
        free.take(self.taken.get(node.name()).copied().unwrap_or_default());
        self.nodes.insert(node.name().into(), NodeRoom { node: node.clone(), free });
    }

    /// The best node for a pod, or how many nodes will not do for which reason.
    fn choose(&mut self, pod: &Value, asked: Room) -> Result<Arc<str>, BTreeMap<String, usize>> {
        let spec = &pod["spec"];
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        let mut best: Option<(i128, Arc<str>)> = None;
        let mut found = 0;
        let count = self.nodes.len();
        // Daemon pods name their node.
        if let Some(bound) = placement::node_of(pod) {
            let Some(entry) = self.nodes.get(bound) else {
                return Err([("node(s) didn't match Pod's node affinity/selector".to_owned(), count)].into());
            };
            return match refusal(spec, entry, asked) {
                None => Ok(bound.into()),
                Some(reason) => {
                    let others = "node(s) didn't match Pod's node affinity/selector".to_owned();
                    let mut reasons: BTreeMap<String, usize> = [(others, count - 1)].into();
                    reasons.retain(|_, count| *count > 0);
                    *reasons.entry(reason).or_default() += 1;
                    Err(reasons)
                }
            };
        }
        let from: &str = &self.start;
        let (after, before) = ((Included(from), Unbounded), (Unbounded, Excluded(from)));
        let order = self.nodes.range::<str, _>(after).chain(self.nodes.range::<str, _>(before));
        let next = order.clone().nth(COMPARED).map(|(name, _)| name.clone());
        for (name, entry) in order {
            match refusal(spec, entry, asked) {
                Some(reason) => *reasons.entry(reason).or_default() += 1,
                None => {
                    found += 1;
                    let score = entry.free.pods * 1_000_000 + entry.free.cpu;
                    if best.as_ref().is_none_or(|(known, _)| score > *known) {
                        best = Some((score, name.clone()));
                    }
                    if found == COMPARED {
                        break;
                    }
                }
            }
        }
        if let Some(next) = next {
            self.start = next;
        }
        best.map(|(_, name)| name).ok_or(reasons)
    }
}

/// Why a pod may not go to a node.
fn refusal(spec: &Value, entry: &NodeRoom, asked: Room) -> Option<String> {
    let node = entry.node.value();
    if flag(node, "/spec/unschedulable") && !tolerates_unschedulable(spec) {
        return Some("node(s) were unschedulable".to_owned());
    }
    if !placement::fits(spec, node).0 {
        let mut without_taints = node.clone();
        without_taints["spec"]["taints"] = Value::Null;
        return Some(if placement::fits(spec, &without_taints).0 {
            "node(s) had untolerated taint(s)".to_owned()
        } else {
            "node(s) didn't match Pod's node affinity/selector".to_owned()
        });
    }
    if entry.free.pods < 1 {
        return Some("Too many pods".to_owned());
    }
    if asked.cpu > 0 && asked.cpu > entry.free.cpu {
        return Some("Insufficient cpu".to_owned());
    }
    (asked.memory > 0 && asked.memory > entry.free.memory).then(|| "Insufficient memory".to_owned())
}

fn tolerates_unschedulable(spec: &Value) -> bool {
    items(spec, "/tolerations").iter().any(|toleration| {
        let key = text(toleration, "/key");
        let effect = text(toleration, "/effect");
        toleration["operator"] == "Exists"
            && (key.is_empty() || key == "node.kubernetes.io/unschedulable")
            && (effect.is_empty() || effect == "NoSchedule")
    })
}

pub(super) struct Scheduler {
    context: Context,
    rooms: Mutex<Rooms>,
}

impl Scheduler {
    pub(super) fn new(context: Context) -> Scheduler {
        Scheduler { context, rooms: Mutex::default() }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refuse(&self, pod: &Value, key: Arc<str>, reasons: BTreeMap<String, usize>) -> Result<(), Refusal> {
        let nodes = {
            let mut rooms = self.rooms();
            rooms.waiting.insert(key);
            rooms.nodes.len()
        };
        let reasons: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let message = match nodes {
            0 => "no nodes available to schedule pods".to_owned(),
            _ => format!(
                "0/{nodes} nodes are available: {}. preemption: 0/{nodes} nodes are available: {nodes} Preemption is not helpful for scheduling.",
                reasons.join(", ")
            ),
        };
        let known = super::super::view::condition(&pod["status"], "PodScheduled");
        if known.is_some_and(|known| known["message"] == message.as_str()) {
            return Ok(());
        }
        self.context.events.warning(pod, &kinds::POD, "FailedScheduling", message.clone());
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "lastTransitionTime": self.context.now(),
        });
        let patch = json!({ "status": { "conditions": [condition] } });
        let verb = crate::controllers::client::Verb::StrategicPatch;
        match self.context.client.patch(verb, &kinds::POD, place(pod), "status", patch).await {
            Err(refusal) if !refusal.is_not_found() => Err(refusal),
            _ => Ok(()),
        }
    }
}

fn is_mine(pod: &Value) -> bool {
    let scheduler = text(pod, "/spec/schedulerName");
    text(pod, "/spec/nodeName").is_empty()
        && !is_deleting(pod)
        && matches!(scheduler, "" | NAME)
        && items(pod, "/spec/schedulingGates").is_empty()
}

impl Controller for Scheduler {
    const NAME: &'static str = NAME;
    const WORKERS: usize = 16;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::POD, &kinds::NODE]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        let mut rooms = self.rooms();
        let mut more_room = false;
        if kind == &kinds::NODE {
            if change.deleted {
                rooms.nodes.remove(change.object.name());
            } else {
                rooms.know(change.object);
                more_room = true;
            }
        } else {
            let pod = change.object.value();
            let finished = crate::controllers::pods::is_finished(pod);
            if change.deleted || finished {
                rooms.remove(uid(pod));
                more_room = true;
            } else if is_mine(pod) {
                queue.add(change.object.key());
            } else if !text(pod, "/spec/nodeName").is_empty() {
                let room = room_of(pod);
                rooms.place(uid(pod), text(pod, "/spec/nodeName"), room);
            }
        }
        if more_room {
            std::mem::take(&mut rooms.waiting).into_iter().for_each(|key| queue.add(key));
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let Some(pod) = self.context.cache.by_key(&kinds::POD, &key) else { return Ok(()) };
        let pod = pod.value();
        if !is_mine(pod) {
            return Ok(());
        }
        let asked = room_of(pod);
        let chosen = {
            let mut rooms = self.rooms();
            let chosen = rooms.choose(pod, asked);
            if let Ok(node) = &chosen {
                rooms.place(uid(pod), node, asked);
            }
            chosen
        };
        let node = match chosen {
            Ok(node) => node,
            Err(reasons) => return self.refuse(pod, key, reasons).await,
        };
        let binding = json!({
            "metadata": { "name": name(pod), "namespace": namespace(pod), "uid": uid(pod) },
            "target": { "kind": "Node", "name": &*node },
        });
        match self.context.client.post(&kinds::POD, "binding", "v1", "Binding", binding).await {
            Ok(_) => {
                let message = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
                self.context.events.normal(pod, &kinds::POD, "Scheduled", message);
                Ok(())
            }
            Err(refusal) => {
                self.rooms().remove(uid(pod));
                if refusal.is_not_found() || refusal.is_conflict() { Ok(()) } else { Err(refusal) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_cpu_are_thousandths() {
        for (text, expected) in [("100m", 100), ("1", 1000), ("0.5", 500), ("1.25", 1250), ("2k", 2_000_000)] {
            assert_eq!(milli(&text.into()), expected, "{text}");
        }
        assert_eq!(milli(&json!(2)), 2000);
    }

    #[test]
    fn an_init_container_asks_once_a_sidecar_all_the_time() {
        let asks = |cpu: &str| json!({ "requests": { "cpu": cpu } });
        let mut sidecar = json!({ "resources": asks("100m") });
        sidecar["restartPolicy"] = "Always".into();
        let pod = json!({ "spec": {
            "initContainers": [{ "resources": asks("900m") }, sidecar],
            "containers": [{ "resources": asks("500m") }],
        } });
        assert_eq!(room_of(&pod).cpu, 900);
    }
}
