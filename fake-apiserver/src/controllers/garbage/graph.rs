//! Who owns whom, over all kinds.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apimachinery::value::Value;

use crate::controllers::discovery::Discovery;
use crate::controllers::view::items;
use crate::store::{EventType, Object, Store};

/// Tables whose objects neither own nor are owned.
const IGNORED: [&str; 1] = ["events"];

/// An object: its table, and its key there.
pub(super) type Node = (Arc<str>, Arc<str>);

/// The graph, brought up to date whenever it is asked.
pub(super) struct Graph {
    store: Arc<Store>,
    discovery: Discovery,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Up to which revision a table was read.
    read: HashMap<Arc<str>, u64>,
    uids: HashSet<Box<str>>,
    /// By the uid of an owner.
    dependents: HashMap<Box<str>, BTreeSet<Node>>,
}

pub(super) fn owner_uids(object: &Object) -> impl Iterator<Item = &str> {
    let references = items(object.value(), "/metadata/ownerReferences").iter();
    references.filter_map(|reference| reference["uid"].as_str())
}

impl Inner {
    fn insert(&mut self, table: &Arc<str>, object: &Object) {
        self.uids.insert(object.meta("uid").into());
        for owner in owner_uids(object) {
            self.dependents.entry(owner.into()).or_default().insert((table.clone(), object.key()));
        }
    }

    fn remove(&mut self, table: &Arc<str>, object: &Object) {
        self.uids.remove(object.meta("uid"));
        for owner in owner_uids(object) {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(&(table.clone(), object.key()));
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    /// False if the history of a table is too short: then everything has to be read anew.
    fn catch_up(&mut self, store: &Store, table: &Arc<str>) -> bool {
        let Some(revision) = self.read.get(table).copied() else {
            let (objects, revision) = store.list(table, "");
            objects.iter().for_each(|object| self.insert(table, object));
            self.read.insert(table.clone(), revision);
            return true;
        };
        let Ok(events) = store.events_after(table, revision) else { return false };
        for event in events {
            if let Some(previous) = &event.previous {
                self.remove(table, previous);
            }
            if event.event_type != EventType::Deleted {
                self.insert(table, &event.object);
            }
            self.read.insert(table.clone(), event.revision);
        }
        true
    }
}

impl Graph {
    pub(super) fn new(store: Arc<Store>, discovery: Discovery) -> Graph {
        Graph { store, discovery, inner: Mutex::default() }
    }

    /// The tables that matter.
    pub(super) fn tables(&self) -> Vec<Arc<str>> {
        let all = self.discovery.all();
        all.iter().map(|served| served.table.clone()).filter(|table| !IGNORED.contains(&&**table)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = self.tables();
        if !tables.iter().all(|table| inner.catch_up(&self.store, table)) {
            *inner = Inner::default();
            for table in &tables {
                inner.catch_up(&self.store, table);
            }
        }
        inner
    }

    /// Which of these uids belong to objects that are there.
    pub(super) fn present<'a>(&self, uids: impl Iterator<Item = &'a str>) -> HashSet<&'a str> {
        let inner = self.lock();
        uids.filter(|uid| inner.uids.contains(*uid)).collect()
    }

    /// The objects that name this uid as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Node> {
        self.lock().dependents.get(uid).map(|nodes| nodes.iter().cloned().collect()).unwrap_or_default()
    }

    /// An object of the graph as it is stored now.
    pub(super) fn object(&self, (table, key): &Node) -> Option<Arc<Object>> {
        let (namespace, name) = crate::controllers::view::split_key(key);
        self.store.get(table, namespace, name)
    }
}

/// Whether the object names this owner with `blockOwnerDeletion`.
pub(super) fn blocks(object: &Value, owner: &str) -> bool {
    items(object, "/metadata/ownerReferences")
        .iter()
        .any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
}
