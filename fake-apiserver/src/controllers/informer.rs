//! Follows a table of the store and tells the controllers what changed.

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
/// Whatever is there at the start is told as new. When the follower was too slow for the store's history, all objects are told
/// as new again; what was deleted meanwhile is found by `on_gap`, which has to look at everything.
pub(crate) struct Informer {
    pub(crate) table: Arc<str>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) on_gap: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl Informer {
    /// Runs until it is dropped.
    pub(crate) async fn run(self, store: Arc<Store>) {
        let mut changed: watch::Receiver<u64> = store.subscribe(&self.table);
        let mut revision = self.tell_all(&store);
        loop {
            changed.mark_unchanged();
            match store.events_after(&self.table, revision) {
                Ok(events) => {
                    for event in events {
                        revision = event.revision;
                        self.tell(&event);
                    }
                }
                Err(_expired) => {
                    revision = self.tell_all(&store);
                    self.on_gap.iter().for_each(|look| look());
                }
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn tell(&self, event: &Event) {
        let change = Change {
            object: &event.object,
            previous: event.previous.as_ref(),
            deleted: event.event_type == EventType::Deleted,
        };
        self.handlers.iter().for_each(|handler| handler(&change));
    }

    fn tell_all(&self, store: &Store) -> u64 {
        let (objects, revision) = store.list(&self.table, "");
        for object in &objects {
            let change = Change { object, previous: None, deleted: false };
            self.handlers.iter().for_each(|handler| handler(&change));
        }
        revision
    }
}
