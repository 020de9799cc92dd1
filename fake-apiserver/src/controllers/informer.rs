//! Follows a table of the store and tells the controllers what changed.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::store::{Event, EventType, Object, Store};

/// One change to an object of a table.
pub(crate) struct Change<'a> {
    /// The object after the change; its last state if it is gone.
    pub(crate) object: &'a Arc<Object>,
    /// What it was before; none if it is new (or was not seen before).
    pub(crate) previous: Option<&'a Arc<Object>>,
    pub(crate) deleted: bool,
}

impl Change<'_> {
    /// The states to look at when something depends on either: the new one, and the old one if there is one.
    pub(crate) fn states(&self) -> impl Iterator<Item = &Arc<Object>> {
        std::iter::once(self.object).chain(self.previous)
    }
}

/// Whoever wants to hear of a table's changes. It must be quick: it puts keys into queues.
pub(crate) type Handler = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// Follows one table for ever.
///
/// Whatever is there at the start is told as new. When the follower was too slow for the store's history, the table is read
/// anew, compared with what was told last, and only what differs is told, removals included: nothing is lost, and the cost is
/// a look at each object, once per history that was missed, however many handlers there are.
pub(crate) struct Informer {
    pub(crate) table: Arc<str>,
    pub(crate) handlers: Vec<Handler>,
}

/// The objects that were told of, by their keys.
type Told = HashMap<Arc<str>, Arc<Object>>;

impl Informer {
    /// Runs until it is dropped.
    pub(crate) async fn run(self, store: Arc<Store>) {
        let mut changed: watch::Receiver<u64> = store.subscribe(&self.table);
        let mut told = Told::new();
        let mut revision = self.compare(&store, &mut told);
        loop {
            changed.mark_unchanged();
            match store.events_after(&self.table, revision) {
                Ok(events) => {
                    for event in events {
                        revision = event.revision;
                        self.follow(&event, &mut told);
                    }
                }
                Err(_expired) => revision = self.compare(&store, &mut told),
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn tell(&self, object: &Arc<Object>, previous: Option<&Arc<Object>>, deleted: bool) {
        let change = Change { object, previous, deleted };
        self.handlers.iter().for_each(|handler| handler(&change));
    }

    fn follow(&self, event: &Event, told: &mut Told) {
        let deleted = event.event_type == EventType::Deleted;
        if deleted {
            told.remove(&event.object.key());
        } else {
            told.insert(event.object.key(), event.object.clone());
        }
        self.tell(&event.object, event.previous.as_ref(), deleted);
    }

    /// Brings what was told to what is stored.
    fn compare(&self, store: &Store, told: &mut Told) -> u64 {
        let (objects, revision) = store.list(&self.table, "");
        let mut gone = std::mem::replace(told, Told::with_capacity(objects.len()));
        for object in objects {
            let mut previous = gone.remove(&object.key());
            if let Some(last) = previous.take_if(|last| last.meta("uid") != object.meta("uid")) {
                self.tell(&last, Some(&last), true);
            }
            if previous.as_ref().is_none_or(|last| last.revision() != object.revision()) {
                self.tell(&object, previous.as_ref(), false);
            }
            told.insert(object.key(), object);
        }
        for last in gone.values() {
            self.tell(last, Some(last), true);
        }
        revision
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use apimachinery::value::json;

    use super::*;

    #[tokio::test]
    async fn a_gap_in_the_history_is_told_as_what_differs() {
        let store = Store::new(2);
        let pod = |name: &str, uid: &str| json!({"metadata": {"namespace": "a", "name": name, "uid": uid}});
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let ear = heard.clone();
        let informer = Informer {
            table: "pods".into(),
            handlers: vec![Box::new(move |change| {
                let sign = match (change.deleted, change.previous) {
                    (true, _) => '-',
                    (false, None) => '+',
                    (false, Some(_)) => '~',
                };
                let line = format!("{sign}{}", change.object.meta("uid"));
                ear.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            })],
        };
        let said = || {
            let mut said = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
            said.sort();
            said
        };
        let mut told = Told::new();
        for name in ["same", "changed", "gone", "another"] {
            store.create("pods", pod(name, name)).unwrap();
        }
        let before = informer.compare(&store, &mut told);
        assert_eq!(said(), ["+another", "+changed", "+gone", "+same"]);
        let at = |name: &str| store.get("pods", "a", name).unwrap().revision();
        store.update("pods", at("changed"), pod("changed", "changed")).unwrap();
        store.delete("pods", "a", "gone", at("gone")).unwrap();
        store.delete("pods", "a", "another", at("another")).unwrap();
        store.create("pods", pod("another", "one more")).unwrap();
        store.create("pods", pod("new", "new")).unwrap();
        assert!(store.events_after("pods", before).is_err(), "the history is too short for this");
        informer.compare(&store, &mut told);
        assert_eq!(said(), ["+new", "+one more", "-another", "-gone", "~changed"]);
        informer.compare(&store, &mut told);
        assert!(said().is_empty());
    }
}
