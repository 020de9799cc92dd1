//! The objects of the cluster, their resourceVersions, and the history that watches read.
//!
//! One table per stored resource (`pods`, `deployments.apps`): a map ordered by `namespace/name` as in etcd, and a bounded
//! history of events. Revisions are counted for the whole store, as etcd does. Nothing here is asynchronous: a write holds the
//! lock for as long as it takes to put one pointer into a map (of an Event also to write its text, in which its revision stands),
//! and readers get pointers to objects that never change.

mod expiry;
mod history;
mod object;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use apimachinery::value::Value;
use foldhash::fast::RandomState;
use tokio::sync::watch;

use expiry::Expiry;
pub(crate) use history::{Event, EventType};
use history::{Forgotten, History};
pub(crate) use object::Object;

/// How many events each table remembers for watches, unless the builder says otherwise.
pub(crate) const DEFAULT_HISTORY: usize = 4096;

/// Why a write was not done.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The object is not there (any more).
    NotFound,
    /// The object is at another revision than the writer had read.
    Changed,
}

/// The history no longer reaches back to the revision that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The oldest revision that can still be read from.
    pub(crate) oldest: u64,
}

/// All objects, shared by every part of the server.
pub(crate) struct Store {
    inner: RwLock<Inner>,
    history: usize,
}

struct Inner {
    revision: u64,
    tables: HashMap<Arc<str>, Table, RandomState>,
}

struct Table {
    objects: BTreeMap<Arc<str>, Arc<Object>>,
    history: History,
    /// Tells watchers that there is something new; its value is the revision of the table's last event.
    changed: watch::Sender<u64>,
    /// Of Events, which go by themselves, and are kept as text: many are written, few are read.
    expiry: Option<Expiry>,
}

impl Inner {
    /// The table of that name, made at this revision if there is none.
    fn table(&mut self, name: &str, revision: u64) -> &mut Table {
        self.tables.entry(name.into()).or_insert_with(|| Table::new(name, revision))
    }
}

impl Table {
    fn new(name: &str, revision: u64) -> Table {
        Table {
            objects: BTreeMap::new(),
            history: History::new(revision),
            changed: watch::Sender::new(revision),
            expiry: expires(name).then(Expiry::default),
        }
    }

    fn object(&self, key: Arc<str>, value: Value, managed: Option<Box<[u8]>>, revision: u64) -> Arc<Object> {
        Arc::new(match self.expiry {
            Some(_) => Object::packed(key, value, revision),
            None => Object::new(key, value, managed, revision),
        })
    }
}

fn expires(table: &str) -> bool {
    table == "events"
}

/// The key of an object in its table: `namespace/name`, or the name alone for cluster-scoped objects.
pub(crate) fn key(namespace: &str, name: &str) -> String {
    let mut key = String::with_capacity(namespace.len() + 1 + name.len());
    if !namespace.is_empty() {
        key.push_str(namespace);
        key.push('/');
    }
    key.push_str(name);
    key
}

impl Store {
    /// An empty store at revision 1 that remembers `history` events per table.
    pub(crate) fn new(history: usize) -> Store {
        Store { inner: RwLock::new(Inner { revision: 1, tables: HashMap::default() }), history }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision of the last write to any table.
    pub(crate) fn revision(&self) -> u64 {
        self.read().revision
    }

    /// The revision of the last write to this table: what a cache of something computed from the whole table is keyed by.
    pub(crate) fn table_revision(&self, table: &str) -> u64 {
        self.read().tables.get(table).map_or(0, |table| table.history.last())
    }

    /// One object, as it is now.
    pub(crate) fn get(&self, table: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let inner = self.read();
        let objects = &inner.tables.get(table)?.objects;
        if namespace.is_empty() { objects.get(name) } else { objects.get(key(namespace, name).as_str()) }
            .map(Object::lend)
    }

    /// How many objects each table holds.
    pub(crate) fn counts(&self) -> Vec<(Arc<str>, usize)> {
        self.read().tables.iter().map(|(name, table)| (name.clone(), table.objects.len())).collect()
    }

    /// How many objects a table holds.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.read().tables.get(table).map_or(0, |table| table.objects.len())
    }

    /// All objects of a table, or of one namespace of it (`""` means all), in key order, with the revision they were read at.
    pub(crate) fn list(&self, table: &str, namespace: &str) -> (Vec<Arc<Object>>, u64) {
        let inner = self.read();
        let found = match inner.tables.get(table) {
            None => Vec::new(),
            Some(table) if namespace.is_empty() => table.objects.values().map(Object::lend).collect(),
            Some(table) => in_namespace(&table.objects, namespace),
        };
        (found, inner.revision)
    }

    /// The objects as they were at `revision`, by undoing the events since. Cost is that of a list plus those events.
    pub(crate) fn list_at(&self, table: &str, namespace: &str, revision: u64) -> Result<Vec<Arc<Object>>, Expired> {
        let inner = self.read();
        let Some(table) = inner.tables.get(table) else { return Ok(Vec::new()) };
        if revision >= table.history.last() {
            return Ok(if namespace.is_empty() {
                table.objects.values().map(Object::lend).collect()
            } else {
                in_namespace(&table.objects, namespace)
            });
        }
        let mut objects = table.objects.clone();
        for event in table.history.after(revision)?.rev() {
            match &event.previous {
                Some(previous) => objects.insert(event.object.key(), previous.clone()),
                None => objects.remove(&event.object.key()),
            };
        }
        Ok(if namespace.is_empty() {
            objects.values().map(Object::lend).collect()
        } else {
            in_namespace(&objects, namespace)
        })
    }

    /// Stores a new object; its `metadata.resourceVersion` becomes the revision of this write. An object whose name is taken
    /// is given back.
    pub(crate) fn create(&self, table: &str, mut value: Value) -> Result<Arc<Object>, Value> {
        let key: Arc<str> = object::key_of(&value).into();
        let managed = if expires(table) { None } else { object::take_managed(&mut value) };
        // Declared before the lock is taken, dropped after it was let go.
        let mut forgotten = Forgotten::new();
        let mut inner = self.write();
        let revision = inner.revision + 1;
        let table = inner.table(table, revision - 1);
        if table.objects.contains_key(&key) {
            object::put_managed(&mut value, managed);
            return Err(value);
        }
        let object = table.object(key.clone(), value, managed, revision);
        table.objects.insert(key, object.clone());
        table.record(
            Event { event_type: EventType::Added, object: object.lend(), previous: None, revision },
            self.history,
            &mut forgotten,
        );
        inner.revision = table.expire(revision, self.history, &mut forgotten);
        Ok(object.lend())
    }

    /// Replaces the object that was read at revision `read_at`.
    pub(crate) fn update(&self, table: &str, read_at: u64, mut value: Value) -> Result<Arc<Object>, WriteError> {
        let key: Arc<str> = object::key_of(&value).into();
        let managed = if expires(table) { None } else { object::take_managed(&mut value) };
        // Declared before the lock is taken, dropped after it was let go.
        let mut forgotten = Forgotten::new();
        let mut inner = self.write();
        let revision = inner.revision + 1;
        let table = inner.tables.get_mut(table).ok_or(WriteError::NotFound)?;
        if table.objects.get(&key).ok_or(WriteError::NotFound)?.revision() != read_at {
            return Err(WriteError::Changed);
        }
        let object = table.object(key.clone(), value, managed, revision);
        let previous = table.objects.insert(key, object.clone());
        table.record(
            Event { event_type: EventType::Modified, object: object.lend(), previous, revision },
            self.history,
            &mut forgotten,
        );
        inner.revision = table.expire(revision, self.history, &mut forgotten);
        Ok(object.lend())
    }

    /// Removes the object if it is still at revision `read_at`. Watches see it with the revision of the removal; so does the
    /// object that is given back (`api-basics/watch-bookmarks`).
    pub(crate) fn delete(
        &self,
        table: &str,
        namespace: &str,
        name: &str,
        read_at: u64,
    ) -> Result<Arc<Object>, WriteError> {
        let key = key(namespace, name);
        let mut forgotten = Forgotten::new();
        let mut inner = self.write();
        let revision = inner.revision + 1;
        let table = inner.tables.get_mut(table).ok_or(WriteError::NotFound)?;
        let stored = table.objects.get(key.as_str()).ok_or(WriteError::NotFound)?;
        if stored.revision() != read_at {
            return Err(WriteError::Changed);
        }
        let last = table.remove(&key, revision, self.history, &mut forgotten).ok_or(WriteError::NotFound)?;
        inner.revision = revision;
        Ok(last)
    }

    /// The events of a table after `revision`, oldest first.
    pub(crate) fn events_after(&self, table: &str, revision: u64) -> Result<Vec<Arc<Event>>, Expired> {
        let inner = self.read();
        let Some(table) = inner.tables.get(table) else { return Ok(Vec::new()) };
        Ok(table.history.after(revision)?.cloned().collect())
    }

    /// A receiver that is woken whenever the table changes. Follow it with [`Store::events_after`].
    pub(crate) fn subscribe(&self, table: &str) -> watch::Receiver<u64> {
        let mut inner = self.write();
        let revision = inner.revision;
        inner.table(table, revision).changed.subscribe()
    }
}

impl Table {
    fn remove(&mut self, key: &str, revision: u64, keep: usize, forgotten: &mut Forgotten) -> Option<Arc<Object>> {
        let previous = self.objects.remove(key)?;
        let last = Arc::new(previous.at(revision));
        let event = Event { event_type: EventType::Deleted, object: last.clone(), previous: Some(previous), revision };
        self.record(event, keep, forgotten);
        Some(last)
    }

    /// After a write at this revision: removes what is too old or too much, each removal a write of its own. Gives the
    /// revision of the last one.
    fn expire(&mut self, revision: u64, keep: usize, forgotten: &mut Forgotten) -> u64 {
        let mut last = revision;
        while let Some(expiry) = &mut self.expiry
            && let Some(key) = expiry.next(&self.objects)
        {
            last += 1;
            self.remove(&key, last, keep, forgotten);
        }
        last
    }

    fn record(&mut self, event: Event, keep: usize, forgotten: &mut Forgotten) {
        let revision = event.revision;
        if let (Some(expiry), EventType::Added | EventType::Modified) = (&mut self.expiry, event.event_type) {
            expiry.written(&event.object);
        }
        self.history.push(Arc::new(event), keep, forgotten);
        self.changed.send_replace(revision);
    }
}

fn in_namespace(objects: &BTreeMap<Arc<str>, Arc<Object>>, namespace: &str) -> Vec<Arc<Object>> {
    let prefix = format!("{namespace}/");
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    objects
        .range::<str, _>(from)
        .take_while(|(key, _)| key.starts_with(&prefix))
        .map(|(_, object)| object.lend())
        .collect()
}
