//! Events do not stay: kube-apiserver keeps them an hour (`--event-ttl`); here they are also limited in number.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Object;

/// How long after it was last written.
const AGE: Duration = Duration::from_secs(3600);

/// How many at most, whatever their age: the oldest go.
pub(super) const MOST: usize = 100_000;

/// In which order objects go. It is looked at when the next one is written, so that nothing need wake up for it.
#[derive(Default)]
pub(super) struct Expiry {
    /// Every write of an object that is still there, oldest first, and some that were followed by another write.
    order: VecDeque<Written>,
}

struct Written {
    at: Instant,
    key: Arc<str>,
    revision: u64,
}

impl Expiry {
    pub(super) fn written(&mut self, object: &Object) {
        self.order.push_back(Written { at: Instant::now(), key: object.key(), revision: object.revision() });
    }

    /// The key of an object that is to go, if there is one.
    pub(super) fn next(&mut self, objects: &BTreeMap<Arc<str>, Arc<Object>>) -> Option<Arc<str>> {
        let counts =
            |written: &Written| objects.get(&written.key).is_some_and(|object| object.revision() == written.revision);
        if self.order.len() > 2 * MOST.max(objects.len()) {
            self.order.retain(counts);
        }
        while let Some(first) = self.order.front() {
            if !counts(first) {
                self.order.pop_front();
                continue;
            }
            if objects.len() <= MOST && first.at.elapsed() <= AGE {
                return None;
            }
            return self.order.pop_front().map(|first| first.key);
        }
        None
    }
}
