//! The garbage collector: what has no owner left goes, or stays behind, as the owner's deletion asked.

mod graph;

use std::collections::HashSet;
use std::sync::Arc;

use apimachinery::value::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Duration;

use self::graph::{Graph, Node, blocks, owner_uids};
use super::client::{Refusal, Verb, delete_options};
use super::context::Context;
use super::discovery::{Discovery, Served};
use super::informer::{Change, Informer};
use super::queue::{BackOff, Queue};
use super::view::{is_deleting, items, text};
use crate::objects::get::at;
use crate::store::{Object, Store};

/// How many objects are worked on at a time.
const WORKERS: usize = 20;
/// How often newly served kinds are looked for after a custom resource definition changed.
const SETTLE: Duration = Duration::from_millis(100);

const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The garbage collector.
pub(crate) struct GarbageCollector {
    context: Context,
    discovery: Discovery,
    graph: Graph,
    queue: Queue,
}

/// A queue's key of an object: table and key, which has no blanks.
fn queue_key((table, key): &Node) -> String {
    format!("{table} {key}")
}

fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    items(object, "/metadata/finalizers").iter().any(|one| one == finalizer)
}

/// Whether two states of an object differ in nothing that matters here.
fn same_for_us(a: &Value, b: &Value) -> bool {
    ["/metadata/ownerReferences", "/metadata/finalizers", "/metadata/deletionTimestamp"]
        .iter()
        .all(|field| at(a, field) == at(b, field))
}

impl GarbageCollector {
    pub(crate) fn new(context: Context, discovery: Discovery) -> GarbageCollector {
        let graph = Graph::new(context.cache.store().clone(), discovery.clone());
        GarbageCollector { context, discovery, graph, queue: Queue::new(BackOff::STANDARD) }
    }

    /// Runs until it is dropped: follows every table that there is, and those that come.
    pub(crate) async fn run(self) {
        let this = Arc::new(self);
        let store = this.context.cache.store().clone();
        tokio::join!(this.clone().work(), this.follow(store));
    }

    async fn follow(self: Arc<Self>, store: Arc<Store>) {
        let mut informers = JoinSet::new();
        let mut followed: HashSet<Arc<str>> = HashSet::new();
        let mut definitions = store.subscribe(DEFINITIONS);
        loop {
            for table in self.graph.tables() {
                if followed.insert(table.clone()) {
                    let (observer, name) = (self.clone(), table.clone());
                    let informer = Informer {
                        table: table.clone(),
                        handlers: vec![Box::new(move |change| observer.observe(&name, change))],
                    };
                    informers.spawn(informer.run(store.clone()));
                }
            }
            if definitions.changed().await.is_err() {
                return;
            }
            // The definition is stored before its kind is served.
            tokio::time::sleep(SETTLE).await;
        }
    }

    fn observe(&self, table: &Arc<str>, change: &Change<'_>) {
        let object = change.object;
        if change.deleted {
            for dependent in self.graph.dependents(object.meta("uid")) {
                self.queue.add(queue_key(&dependent));
            }
        } else if (is_deleting(object.value()) || owner_uids(object).next().is_some())
            && change.previous.is_none_or(|previous| !same_for_us(previous.value(), object.value()))
        {
            self.queue.add(queue_key(&(table.clone(), object.key())));
        }
        // An owner that waits for its dependents may have waited for this one.
        if change.deleted || change.previous.is_some_and(|old| owner_uids(old).ne(owner_uids(object))) {
            for state in change.states() {
                self.look_at_waiting_owners(state);
            }
        }
    }

    fn look_at_waiting_owners(&self, object: &Object) {
        for reference in items(object.value(), "/metadata/ownerReferences") {
            if let Some(owner) = self.owner(object, reference)
                && is_deleting(owner.1.value())
            {
                self.queue.add(queue_key(&owner.0));
            }
        }
    }

    /// The object that a reference means, if it is there.
    fn owner(&self, dependent: &Object, reference: &Value) -> Option<(Node, Arc<Object>)> {
        let (group, version) = match text(reference, "/apiVersion").split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", text(reference, "/apiVersion")),
        };
        let kind = text(reference, "/kind");
        let all = self.discovery.all();
        let same_kind = |served: &&Served| *served.group == *group && *served.kind == *kind;
        let served = all.iter().filter(same_kind).find(|served| *served.version == *version);
        let served = served.or_else(|| all.iter().find(same_kind))?;
        let namespace = if served.namespaced { dependent.namespace() } else { "" };
        let owner = self.context.cache.store().get(&served.table, namespace, text(reference, "/name"))?;
        (owner.meta("uid") == text(reference, "/uid")).then(|| ((served.table.clone(), owner.key()), owner))
    }

    async fn work(self: Arc<Self>) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = running.join_next(), if !running.is_empty() => {}
                key = self.queue.next(), if running.len() < WORKERS => {
                    let this = self.clone();
                    running.spawn(async move {
                        match this.sync(&key).await {
                            Ok(()) => this.queue.forget(&key),
                            Err(refusal) => {
                                tracing::debug!(%key, %refusal, "will try again");
                                this.queue.add_rate_limited(key.clone());
                            }
                        }
                        this.queue.done(&key);
                    });
                }
            }
        }
    }

    async fn sync(&self, key: &str) -> Result<(), Refusal> {
        let Some((table, key)) = key.split_once(' ') else { return Ok(()) };
        let node: Node = (table.into(), key.into());
        let Some(object) = self.graph.object(&node) else { return Ok(()) };
        let Some(served) = self.discovery.of_table(table) else {
            return Ok(());
        };
        let result = if is_deleting(object.value()) {
            if has_finalizer(object.value(), ORPHAN) {
                self.orphan_dependents(&served, &object).await
            } else if has_finalizer(object.value(), FOREGROUND) {
                self.wait_for_dependents(&served, &object).await
            } else {
                Ok(())
            }
        } else {
            self.check_owners(&served, &object).await
        };
        match result {
            Err(refusal) if refusal.is_not_found() => Ok(()),
            result => result,
        }
    }

    async fn patch(&self, served: &Served, object: &Object, metadata: Value) -> Result<(), Refusal> {
        let mut metadata = metadata;
        metadata["uid"] = object.meta("uid").into();
        metadata["resourceVersion"] = object.meta("resourceVersion").into();
        let resource = (&*served.group, &*served.version, &*served.resource);
        let place = (object.namespace(), object.name());
        let patch = json!({ "metadata": metadata });
        self.context.client.call(Verb::MergePatch, resource, place, Some(patch)).await.map(|_| ())
    }

    async fn remove_finalizer(&self, served: &Served, object: &Object, finalizer: &str) -> Result<(), Refusal> {
        let rest: Vec<_> =
            items(object.value(), "/metadata/finalizers").iter().filter(|one| *one != finalizer).collect();
        self.patch(served, object, json!({ "finalizers": rest })).await
    }

    /// Takes these owners out of an object's references.
    async fn remove_owners(&self, served: &Served, object: &Object, owners: &[&str]) -> Result<(), Refusal> {
        let references = items(object.value(), "/metadata/ownerReferences").iter();
        let rest: Vec<_> = references.filter(|reference| !owners.iter().any(|uid| reference["uid"] == *uid)).collect();
        self.patch(served, object, json!({ "ownerReferences": rest })).await
    }

    /// Lets the dependents go, then the object.
    async fn orphan_dependents(&self, served: &Served, object: &Object) -> Result<(), Refusal> {
        let uid = object.meta("uid");
        for node in self.graph.dependents(uid) {
            let Some(dependent) = self.graph.object(&node) else { continue };
            let Some(kind) = self.discovery.of_table(&node.0) else { continue };
            match self.remove_owners(&kind, &dependent, &[uid]).await {
                Err(refusal) if !refusal.is_not_found() => return Err(refusal),
                _ => {}
            }
        }
        self.remove_finalizer(served, object, ORPHAN).await
    }

    /// Deletes the dependents; the object goes when none is left that blocks it.
    async fn wait_for_dependents(&self, served: &Served, object: &Object) -> Result<(), Refusal> {
        let uid = object.meta("uid");
        let mut waits = false;
        for node in self.graph.dependents(uid) {
            let Some(dependent) = self.graph.object(&node) else { continue };
            waits |= blocks(dependent.value(), uid);
            if !is_deleting(dependent.value()) {
                self.queue.add(queue_key(&node));
            }
        }
        if waits { Ok(()) } else { self.remove_finalizer(served, object, FOREGROUND).await }
    }

    /// An object stays while it has an owner that stays; else it goes the way that its owners go.
    async fn check_owners(&self, served: &Served, object: &Object) -> Result<(), Refusal> {
        let present = self.graph.present(owner_uids(object));
        let (mut solid, mut waiting, mut dangling) = (false, Vec::new(), Vec::new());
        for reference in items(object.value(), "/metadata/ownerReferences") {
            let uid = text(reference, "/uid");
            match self.owner(object, reference) {
                Some((_, owner)) if is_deleting(owner.value()) && has_finalizer(owner.value(), FOREGROUND) => {
                    waiting.push(uid);
                }
                Some(_) => solid = true,
                // It is there under another name or kind, or its kind is not known: nothing is done to what it owns.
                None if present.contains(uid) => solid = true,
                None => dangling.push(uid),
            }
        }
        if !solid && waiting.is_empty() && dangling.is_empty() {
            return Ok(());
        }
        if solid {
            let gone: Vec<&str> = dangling.into_iter().chain(waiting).collect();
            return if gone.is_empty() { Ok(()) } else { self.remove_owners(served, object, &gone).await };
        }
        let has_dependents = !self.graph.dependents(object.meta("uid")).is_empty();
        let policy = if has_finalizer(object.value(), ORPHAN) {
            "Orphan"
        } else if has_finalizer(object.value(), FOREGROUND) || (!waiting.is_empty() && has_dependents) {
            "Foreground"
        } else {
            "Background"
        };
        let options = delete_options(json!({
            "preconditions": { "uid": object.meta("uid"), "resourceVersion": object.meta("resourceVersion") },
            "propagationPolicy": policy,
        }));
        let resource = (&*served.group, &*served.version, &*served.resource);
        let place = (object.namespace(), object.name());
        self.context.client.call(Verb::Delete, resource, place, Some(options)).await.map(|_| ())
    }
}
