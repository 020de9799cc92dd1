//! A bounded ring of events.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Expired, Object};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventType {
    /// It was created.
    Added,
    /// It was replaced.
    Modified,
    /// It was removed.
    Deleted,
}

/// One write.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) event_type: EventType,
    /// The object after the write; for a removal, its last state with the revision of the removal.
    pub(crate) object: Arc<Object>,
    /// What was stored before; watches with selectors need it, and so does reading the past.
    pub(crate) previous: Option<Arc<Object>>,
    pub(crate) revision: u64,
}

/// Events that nobody can ask for any more, to be dropped when the store's lock is free again.
pub(super) type Forgotten = Vec<Arc<Event>>;

pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    /// Everything after this revision is in `events`.
    complete_after: u64,
    last: u64,
}

impl History {
    pub(super) fn new(revision: u64) -> History {
        History { events: VecDeque::new(), complete_after: 0, last: revision }
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Remembers an event. What is forgotten for it goes to `forgotten`: to take a large object to pieces takes a while.
    pub(super) fn push(&mut self, event: Arc<Event>, keep: usize, forgotten: &mut Forgotten) {
        self.last = event.revision;
        while self.events.len() >= keep.max(1) {
            if let Some(oldest) = self.events.pop_front() {
                self.complete_after = oldest.revision;
                forgotten.push(oldest);
            }
        }
        self.events.push_back(event);
    }

    /// The events after `revision`, found by binary search.
    pub(super) fn after(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Arc<Event>>, Expired> {
        if revision < self.complete_after {
            return Err(Expired { oldest: self.complete_after });
        }
        let start = self.events.partition_point(|event| event.revision <= revision);
        Ok(self.events.range(start..))
    }
}
