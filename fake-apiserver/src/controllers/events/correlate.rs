//! Which event is a new one, which counts up another, which is too many.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

use super::Happening;
use crate::controllers::view::text;

/// Texts of one reason about one object that are still told apart.
const DISTINCT_TEXTS: usize = 10;
/// Seconds of silence after which they are told apart again.
const FORGET_AFTER: i64 = 600;
/// Events about one object at once; then one in five minutes.
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;
/// How much of each is remembered.
const MEMORY: usize = 4096;

/// A map that forgets its oldest keys.
struct Bounded<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Bounded { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    fn entry(&mut self, key: &K, new: impl FnOnce() -> V) -> &mut V {
        if !self.map.contains_key(key) {
            if self.order.len() >= MEMORY
                && let Some(oldest) = self.order.pop_front()
            {
                self.map.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.map.entry(key.clone()).or_insert_with(new)
    }
}

/// An event that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) count: i64,
    pub(super) first: String,
}

struct Texts {
    texts: HashSet<String>,
    last: i64,
}

struct Tokens {
    left: f64,
    at: i64,
}

/// Object, and what is said about it.
type About = (String, &'static str, &'static str);

#[derive(Default)]
pub(super) struct Correlator {
    texts: Bounded<About, Texts>,
    tokens: Bounded<String, Tokens>,
    known: Bounded<(About, String), Option<Known>>,
}

pub(super) enum Verdict {
    Silence,
    /// Write it under this text; count up `known` if there is one.
    Write {
        known: Option<Known>,
        message: String,
    },
}

fn about(happening: &Happening) -> About {
    let object = |field| text(&happening.involved, field);
    let key = format!("{}/{}/{}", object("/kind"), object("/uid"), object("/name"));
    (key, happening.event_type, happening.reason)
}

/// Combined events are one event whatever their texts.
fn identity(about: About, message: &str) -> (About, String) {
    (about, if is_combined(message) { COMBINED.to_owned() } else { message.to_owned() })
}

const COMBINED: &str = "(combined from similar events): ";

/// Whether an event with this text stands for many.
pub(super) fn is_combined(message: &str) -> bool {
    message.starts_with(COMBINED)
}

impl Correlator {
    pub(super) fn judge(&mut self, happening: &Happening) -> Verdict {
        let about = about(happening);
        let now = happening.seconds;
        let texts = self.texts.entry(&about, || Texts { texts: HashSet::new(), last: now });
        if now - texts.last > FORGET_AFTER {
            texts.texts.clear();
        }
        texts.last = now;
        texts.texts.insert(happening.message.clone());
        let message = if texts.texts.len() < DISTINCT_TEXTS {
            happening.message.clone()
        } else {
            // The texts that were told apart so far still are.
            texts.texts.remove(&happening.message);
            format!("{COMBINED}{}", happening.message)
        };
        let known = self.known.entry(&identity(about.clone(), &message), || None).clone();
        if self.take_token(about.0, now) { Verdict::Write { known, message } } else { Verdict::Silence }
    }

    fn take_token(&mut self, object: String, now: i64) -> bool {
        let tokens = self.tokens.entry(&object, || Tokens { left: BURST, at: now });
        #[expect(clippy::cast_precision_loss, reason = "seconds between two events")]
        let refill = (now - tokens.at).max(0) as f64 / REFILL_SECONDS;
        tokens.left = (tokens.left + refill).min(BURST);
        tokens.at = now;
        if tokens.left < 1.0 {
            return false;
        }
        tokens.left -= 1.0;
        true
    }

    /// The event is stored.
    pub(super) fn wrote(&mut self, happening: &Happening, message: &str, name: &str, count: i64, first: &str) {
        let key = identity(about(happening), message);
        *self.known.entry(&key, || None) = Some(Known { name: name.to_owned(), count, first: first.to_owned() });
    }
}
