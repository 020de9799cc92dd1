//! Objects by owner.
//!
//! Controllers read the store itself, which is never stale; what the store cannot do quickly is "the pods of this ReplicaSet".
//! The cache keeps such an index per table and brings it up to the store's present state, event by event, whenever it is asked.
//! So a controller sees its own writes at once and needs no bookkeeping of what it expects to see.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kinds::{self, Kind};
use super::view;
use crate::store::{EventType, Object, Store};

/// Tables with an index by owner.
const INDEXED: [&Kind; 5] =
    [&kinds::POD, &kinds::REPLICA_SET, &kinds::CONTROLLER_REVISION, &kinds::JOB, &kinds::ENDPOINT_SLICE];

/// The cluster's objects as controllers read them.
pub(crate) struct Cache {
    store: Arc<Store>,
    indexes: HashMap<&'static str, Mutex<Index>>,
}

type Group = BTreeMap<Arc<str>, Arc<Object>>;

#[derive(Default)]
struct Index {
    revision: u64,
    /// By the uid of the controller.
    owned: HashMap<Box<str>, Group>,
    /// Without a controller, by namespace.
    orphans: HashMap<Box<str>, Group>,
}

impl Index {
    fn group(&mut self, object: &Object) -> &mut Group {
        match view::controller_uid(object.value()) {
            "" => self.orphans.entry(object.namespace().into()).or_default(),
            uid => self.owned.entry(uid.into()).or_default(),
        }
    }

    fn insert(&mut self, object: &Arc<Object>) {
        self.group(object).insert(object.key(), object.clone());
    }

    fn remove(&mut self, object: &Object) {
        let group = self.group(object);
        group.remove(&object.key());
        if group.is_empty() {
            match view::controller_uid(object.value()) {
                "" => self.orphans.remove(object.namespace()),
                uid => self.owned.remove(uid),
            };
        }
    }

    fn catch_up(&mut self, store: &Store, table: &str) {
        match store.events_after(table, self.revision) {
            Ok(events) => {
                for event in events {
                    if let Some(previous) = &event.previous {
                        self.remove(previous);
                    }
                    if event.event_type != EventType::Deleted {
                        self.insert(&event.object);
                    }
                    self.revision = event.revision;
                }
            }
            Err(_expired) => {
                let (objects, revision) = store.list(table, "");
                *self = Index { revision, ..Index::default() };
                for object in &objects {
                    self.insert(object);
                }
            }
        }
    }
}

impl Cache {
    pub(crate) fn new(store: Arc<Store>) -> Cache {
        let indexes = INDEXED
            .into_iter()
            .map(|kind| {
                let mut index = Index::default();
                let (objects, revision) = store.list(kind.table, "");
                index.revision = revision;
                objects.iter().for_each(|object| index.insert(object));
                (kind.table, Mutex::new(index))
            })
            .collect();
        Cache { store, indexes }
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// One object, as it is now.
    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.store.get(kind.table, namespace, name)
    }

    /// The object of a work queue's key.
    pub(crate) fn by_key(&self, kind: &Kind, key: &str) -> Option<Arc<Object>> {
        let (namespace, name) = view::split_key(key);
        self.get(kind, namespace, name)
    }

    /// All objects of a kind in a namespace (`""` means all).
    pub(crate) fn list(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        self.store.list(kind.table, namespace).0
    }

    fn index(&self, kind: &Kind) -> Option<MutexGuard<'_, Index>> {
        let mut index = self.indexes.get(kind.table)?.lock().unwrap_or_else(PoisonError::into_inner);
        index.catch_up(&self.store, kind.table);
        Some(index)
    }

    /// The objects whose controller has this uid, in the order of their names.
    pub(crate) fn owned(&self, kind: &Kind, uid: &str) -> Vec<Arc<Object>> {
        let Some(index) = self.index(kind) else { return Vec::new() };
        index.owned.get(uid).map(|group| group.values().cloned().collect()).unwrap_or_default()
    }

    /// The objects of a namespace that have no controller.
    pub(crate) fn orphans(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        let Some(index) = self.index(kind) else { return Vec::new() };
        index.orphans.get(namespace).map(|group| group.values().cloned().collect()).unwrap_or_default()
    }
}
