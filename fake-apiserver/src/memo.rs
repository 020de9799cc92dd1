//! What was worked out before, kept for the next request that asks the same.
//!
//! The pods of a workload are created from one text, a replay sends one object many times, and most of what admission
//! does with an object depends on nothing but the object: reading it, its managed fields, its text in a review, what a
//! patch makes of it, whether its spec is valid. A memo skips such work and never changes an answer: its key is all that
//! the answer depends on. Objects are told apart by where they stand in memory ([`Same`]), which a shared value keeps as
//! long as nobody writes to it, and nobody writes to a value that a memo holds too.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use apimachinery::value::Value;
use foldhash::fast::RandomState;

/// Bytes of texts that a generation of a memo stands for.
const GENERATION: usize = 4 << 20;
/// Longer texts are worked out each time.
const LONGEST: usize = 64 << 10;

/// Answers by question. It forgets in two generations: what was not asked for while a whole generation came in is gone.
pub(crate) struct Memo<K, V>(Mutex<Generations<K, V>>);

struct Generations<K, V> {
    young: HashMap<K, (V, usize), RandomState>,
    old: HashMap<K, (V, usize), RandomState>,
    bytes: usize,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Memo(Mutex::new(Generations { young: HashMap::default(), old: HashMap::default(), bytes: 0 }))
    }
}

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    /// The answer to a question, if it is known.
    pub(crate) fn get(&self, question: &K) -> Option<V> {
        let mut memo = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((answer, _)) = memo.young.get(question) {
            return Some(answer.clone());
        }
        let (question, (answer, bytes)) = memo.old.remove_entry(question)?;
        let gone = memo.add(question, answer.clone(), bytes);
        drop(memo);
        drop(gone);
        Some(answer)
    }

    /// Keeps an answer; `bytes` is about how long the text is that it was made from.
    pub(crate) fn put(&self, question: K, answer: V, bytes: usize) {
        if bytes > LONGEST {
            return;
        }
        let gone = self.0.lock().unwrap_or_else(PoisonError::into_inner).add(question, answer, bytes);
        // Many values end here, and nobody has to wait for it.
        drop(gone);
    }
}

impl<K: Hash + Eq, V> Generations<K, V> {
    fn add(&mut self, question: K, answer: V, bytes: usize) -> HashMap<K, (V, usize), RandomState> {
        // The entry itself takes room too, however short the text.
        self.bytes += bytes + 512;
        self.young.insert(question, (answer, bytes));
        if self.bytes < GENERATION {
            return HashMap::default();
        }
        self.bytes = 0;
        std::mem::replace(&mut self.old, std::mem::take(&mut self.young))
    }
}

/// Which questions were asked lately. Most objects of a long log never come again: what is worked out for the first of its kind
/// is not kept, or memory would be full of what nobody asks for.
pub(crate) struct Asked {
    /// Its lower bits choose a set, so all have to be good.
    state: foldhash::quality::RandomState,
    /// Hashes, in sets from which a new one pushes the oldest out.
    sets: Mutex<Vec<[u64; 8]>>,
}

/// Sets of eight: some thousands of questions are known.
const SETS: usize = 1024;

impl Default for Asked {
    fn default() -> Self {
        Asked { state: foldhash::quality::RandomState::default(), sets: Mutex::new(vec![[0; 8]; SETS]) }
    }
}

impl Asked {
    /// Whether this was asked before, as far as it is known. Two questions may be taken for one another, hardly ever.
    pub(crate) fn again(&self, question: &impl Hash) -> bool {
        let hash = self.state.hash_one(question);
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = &mut sets[hash as usize % SETS];
        let again = set.contains(&hash);
        if !again {
            set.rotate_right(1);
            set[0] = hash;
        }
        again
    }
}

/// An object or list as a key: equal to its copies, which share its memory, and to nothing else. Null, in place of one that is
/// not there, equals null.
#[derive(Clone)]
pub(crate) struct Same(pub(crate) Value);

impl PartialEq for Same {
    fn eq(&self, other: &Same) -> bool {
        self.0.is_same(&other.0) || self.0.is_null() && other.0.is_null()
    }
}

impl Eq for Same {}

impl Hash for Same {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.address().hash(state);
    }
}

/// What became of the specs of objects, so that the same comes of the same: in the same memory, for what is known of it.
#[derive(Default)]
pub(crate) struct Settled(Memo<Same, Value>);

impl Settled {
    /// After a step that may have changed an object: its spec is the one from before if they are equal, or the one that came
    /// of it the last time if that is equal.
    pub(crate) fn settle(&self, before: &Value, object: &mut Value) {
        let now = &object["spec"];
        if now.is_same(before) || !before.is_object() {
            return;
        }
        let settled = if now == before {
            before.clone()
        } else {
            let question = Same(before.clone());
            match self.0.get(&question) {
                Some(known) if known.is_same(now) => return,
                Some(known) if known == *now => known,
                _ => return self.0.put(question, now.clone(), SPEC),
            }
        };
        if let Some(spec) = object.get_mut("spec") {
            *spec = settled;
        }
    }
}

/// Bytes that a spec counts for.
pub(crate) const SPEC: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn what_was_asked_lately_is_known() {
        let asked = Asked::default();
        let few = || 0..SETS as u64;
        assert!(few().all(|question| !asked.again(&question)), "for the first time");
        let known = few().filter(|question| asked.again(question)).count();
        assert_eq!(known, SETS);
        assert!((SETS as u64..100 * SETS as u64).all(|question| !asked.again(&question)));
        assert_eq!(few().filter(|question| asked.again(question)).count(), 0, "long ago");
    }

    #[test]
    fn only_copies_are_the_same() {
        let memo: Memo<Same, u32> = Memo::default();
        let (value, equal) = (json!({"a": [1]}), json!({"a": [1]}));
        memo.put(Same(value.clone()), 1, 7);
        assert_eq!(memo.get(&Same(value.clone())), Some(1));
        assert_eq!(memo.get(&Same(equal.clone())), None);
        let mut changed = value.clone();
        changed["a"][0] = 2.into();
        assert_eq!(memo.get(&Same(changed)), None);
        assert_eq!(memo.get(&Same(value)), Some(1), "a copy was changed, and the value stayed");
    }

    #[test]
    fn the_same_comes_of_the_same() {
        let settled = Settled::default();
        let before = json!({"containers": [{"name": "app"}]});
        let after = |name: &str| json!({"metadata": {}, "spec": {"containers": [{"name": name}]}});
        let (mut equal, mut first, mut second, mut other) = (after("app"), after("x"), after("x"), after("y"));
        settled.settle(&before, &mut equal);
        assert!(equal["spec"].is_same(&before));
        settled.settle(&before, &mut first);
        settled.settle(&before, &mut second);
        settled.settle(&before, &mut other);
        assert!(first["spec"].is_same(&second["spec"]));
        assert_eq!((first["spec"]["containers"][0]["name"].as_str(), other), (Some("x"), after("y")));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let memo: Memo<u64, u64> = Memo::default();
        let many = 4 * (GENERATION / 1024) as u64;
        memo.put(u64::MAX, 0, 512);
        memo.put(u64::MAX - 1, 1, LONGEST + 1);
        for number in 0..many {
            memo.put(number, number, 512);
            assert_eq!(memo.get(&u64::MAX), Some(0), "asked for all the time");
        }
        let known = (0..many).filter(|number| memo.get(number).is_some()).count();
        assert!(known <= 2 * GENERATION / 1024, "{known}");
        assert_eq!(memo.get(&(many - 1)), Some(many - 1));
        assert_eq!(memo.get(&(u64::MAX - 1)), None, "too long");
    }
}
