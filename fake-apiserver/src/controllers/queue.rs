//! A work queue: each key at most once, never in two hands at a time, later if asked, and back-off after failures.
//!
//! The rules are those of the work queue that Kubernetes' controllers share: a key that is added while it is worked on waits
//! until that is done; of two delays for one key the earlier holds; failures double a key's delay, and all rate-limited keys
//! together pass a bucket of 10 a second with 100 in store.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

/// How long a key waits after its first, second, … failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackOff {
    pub(crate) base: Duration,
    pub(crate) limit: Duration,
    /// Whether the bucket that all keys share applies too.
    pub(crate) bucket: bool,
}

impl BackOff {
    /// Most controllers': 5 ms doubling up to 1000 s.
    pub(crate) const STANDARD: BackOff =
        BackOff { base: Duration::from_millis(5), limit: Duration::from_secs(1000), bucket: true };
    /// Jobs': 1 s doubling up to 60 s.
    pub(crate) const JOB: BackOff =
        BackOff { base: Duration::from_secs(1), limit: Duration::from_secs(60), bucket: false };
    /// The EndpointSlice controller's: 1 s doubling up to 1000 s.
    pub(crate) const ENDPOINT_SLICE: BackOff =
        BackOff { base: Duration::from_secs(1), limit: Duration::from_secs(1000), bucket: true };
    /// The namespace controller's: 5 ms doubling up to 60 s.
    pub(crate) const NAMESPACE: BackOff =
        BackOff { base: Duration::from_millis(5), limit: Duration::from_secs(60), bucket: true };

    fn after(self, failures: u32) -> Duration {
        self.base.checked_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX)).map_or(self.limit, |d| d.min(self.limit))
    }
}

const BUCKET_INTERVAL: Duration = Duration::from_millis(100);
const BUCKET_SIZE: u32 = 100;

/// The queue of one controller.
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Notify,
    back_off: BackOff,
}

#[derive(Default)]
struct Inner {
    ready: VecDeque<Arc<str>>,
    dirty: HashSet<Arc<str>>,
    in_hand: HashSet<Arc<str>>,
    later: BTreeMap<(Instant, u64), Arc<str>>,
    when: HashMap<Arc<str>, (Instant, u64)>,
    sequence: u64,
    failures: HashMap<Arc<str>, u32>,
    /// When the shared bucket is full again.
    bucket_full_at: Option<Instant>,
}

impl Inner {
    fn add(&mut self, key: Arc<str>) -> bool {
        if !self.dirty.insert(key.clone()) || self.in_hand.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn add_at(&mut self, key: Arc<str>, at: Instant) {
        if let Some(known) = self.when.get(&key).copied() {
            if known.0 <= at {
                return;
            }
            self.later.remove(&known);
        }
        self.sequence += 1;
        let slot = (at, self.sequence);
        self.later.insert(slot, key.clone());
        self.when.insert(key, slot);
    }

    fn move_due(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let key = entry.remove();
            self.when.remove(&key);
            self.add(key);
        }
    }

    /// How long the bucket makes this one wait.
    fn take_token(&mut self, now: Instant) -> Duration {
        let full_at = self.bucket_full_at.map_or(now, |at| at.max(now)) + BUCKET_INTERVAL;
        self.bucket_full_at = Some(full_at);
        (full_at - now).saturating_sub(BUCKET_INTERVAL * BUCKET_SIZE)
    }
}

impl Queue {
    pub(crate) fn new(back_off: BackOff) -> Queue {
        Queue { inner: Mutex::default(), wake: Notify::new(), back_off }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key now.
    pub(crate) fn add(&self, key: impl Into<Arc<str>>) {
        if self.lock().add(key.into()) {
            self.wake.notify_one();
        }
    }

    /// Adds a key after a while, or earlier if it already waits for less.
    pub(crate) fn add_after(&self, key: impl Into<Arc<str>>, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let Some(at) = Instant::now().checked_add(delay) else { return };
        self.lock().add_at(key.into(), at);
        self.wake.notify_one();
    }

    /// Adds a key after a failure.
    pub(crate) fn add_rate_limited(&self, key: impl Into<Arc<str>>) {
        let key = key.into();
        let now = Instant::now();
        let mut inner = self.lock();
        let failures = inner.failures.entry(key.clone()).or_insert(0);
        let mut delay = self.back_off.after(*failures);
        *failures = failures.saturating_add(1);
        if self.back_off.bucket {
            delay = delay.max(inner.take_token(now));
        }
        inner.add_at(key, now + delay);
        drop(inner);
        self.wake.notify_one();
    }

    /// The key has been worked on with success: its next failure is the first.
    pub(crate) fn forget(&self, key: &str) {
        self.lock().failures.remove(key);
    }

    /// The next key. Whoever takes it must say [`Queue::done`]. One taker at a time.
    pub(crate) async fn next(&self) -> Arc<str> {
        loop {
            let due = {
                let mut inner = self.lock();
                inner.move_due(Instant::now());
                if let Some(key) = inner.ready.pop_front() {
                    inner.dirty.remove(&key);
                    inner.in_hand.insert(key.clone());
                    return key;
                }
                inner.later.first_key_value().map(|((at, _), _)| *at)
            };
            match due {
                None => self.wake.notified().await,
                Some(at) => tokio::select! {
                    () = self.wake.notified() => {}
                    () = sleep_until(at) => {}
                },
            }
        }
    }

    /// The key is free again; if it was added meanwhile, it is next in line.
    pub(crate) fn done(&self, key: &str) {
        let mut inner = self.lock();
        if let Some(key) = inner.in_hand.take(key)
            && inner.dirty.contains(&key)
        {
            inner.ready.push_back(key);
            drop(inner);
            self.wake.notify_one();
        }
    }
}
