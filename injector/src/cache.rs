//! Answers kept for the next pod of the same owner.
//!
//! Pods of one ReplicaSet arrive as the same bytes but for three places: `request.uid`, which the answer only echoes,
//! the times inside `metadata.managedFields`, which nothing reads, and the name that the apiserver draws for the volume
//! of the service account's token, which nothing looks at and few answers repeat. The key is everything else: the path
//! and the body with those strings cut out ([`cut`]). Equal keys therefore mean equal answers but for the uid, and a hit
//! needs no decoding: whatever made the first body valid holds for the second, byte for byte. An answer that repeats
//! the name (as those of 1.1 to 1.8 do, whose proxy mounts what the application mounts) is not kept, and where templates read
//! volumes the name stays in the key.
//!
//! A cache belongs to one loaded injector, so a reload starts afresh. Its memory is bounded: entries live in two
//! generations of at most [`GENERATION_BYTES`] each; when the younger is full the older is dropped.

mod cut;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use foldhash::quality::RandomState;
use memchr::memmem::Finder;

use crate::outcome::{Outcome, Reviewed};

use cut::Cut;

/// Bytes of keys and answers in one generation.
const GENERATION_BYTES: usize = 16 << 20;
/// A larger body is answered without the cache: it would push out many smaller ones.
const LARGEST_BODY: usize = 512 << 10;

/// The kept answers of one injector.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// The name of the token volume is no part of the key.
    token_volume: bool,
    state: RandomState,
    generations: Mutex<Generations>,
    hits: AtomicU64,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Arc<Entry>>,
    young_bytes: usize,
    old: HashMap<u64, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// Path, a zero byte, and the body with its cuts; compared whole, so that a hash collision is only a miss.
    key: Vec<u8>,
    /// The answer up to the uid's first character, and from the quote after its last.
    before_uid: Vec<u8>,
    after_uid: Vec<u8>,
    outcome: Outcome,
}

impl Cache {
    /// An empty cache; `templates` are the texts that answers are made with.
    pub(crate) fn new<'t>(mut templates: impl Iterator<Item = &'t str>) -> Self {
        let reads = |text: &str| [".Volume", "kube-api-access"].iter().any(|part| text.contains(part));
        Self { token_volume: !templates.any(reads), ..Self::default() }
    }

    /// The answer to `body`: a kept one with this body's uid, or what `compute` says.
    pub(crate) fn answer(&self, path: &str, body: &[u8], compute: impl FnOnce() -> Reviewed) -> Reviewed {
        let cut = (body.len() <= LARGEST_BODY).then(|| cut::cut(path, body, self.token_volume)).flatten();
        let Some(cut) = cut else { return compute() };
        let Cut { uid, drawn, .. } = cut;
        let hash = self.state.hash_one(&cut);
        if let Some(entry) = self.find(hash, &cut) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            let body = [&entry.before_uid, uid.as_bytes(), &entry.after_uid].concat();
            return Reviewed { body, outcome: entry.outcome.clone().with_uid(uid) };
        }
        let reviewed = compute();
        if drawn.is_some_and(|drawn| repeats(&reviewed.body, drawn)) {
            return reviewed;
        }
        if let Some((before_uid, after_uid)) = split_at_uid(&reviewed, uid) {
            self.keep(hash, Entry { key: cut.key(), before_uid, after_uid, outcome: reviewed.outcome.clone() });
        }
        reviewed
    }

    /// How many answers came from here.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn find(&self, hash: u64, cut: &Cut<'_>) -> Option<Arc<Entry>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &&Arc<Entry>| cut.is(&entry.key);
        if let Some(entry) = generations.young.get(&hash).filter(same) {
            return Some(Arc::clone(entry));
        }
        let entry = generations.old.get(&hash).filter(same).map(Arc::clone)?;
        generations.insert(hash, Arc::clone(&entry));
        Some(entry)
    }

    fn keep(&self, hash: u64, entry: Entry) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(hash, Arc::new(entry));
    }
}

impl Generations {
    fn insert(&mut self, hash: u64, entry: Arc<Entry>) {
        let size = entry.size();
        if self.young_bytes + size > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += size;
        if let Some(replaced) = self.young.insert(hash, entry) {
            self.young_bytes -= replaced.size();
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        // The fixed part stands for the maps' slots and the outcome's texts.
        self.key.len() + self.before_uid.len() + self.after_uid.len() + 512
    }
}

/// Splits an answer around the uid that it echoes. An answer that echoes no uid, or another one, is not kept; nor is one
/// to a body that could not be decoded: it names a column, which what was cut out shifts.
fn split_at_uid(reviewed: &Reviewed, uid: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    const MEMBER: &[u8] = b"\"uid\":\"";
    if reviewed.outcome.undecodable() || reviewed.outcome.uid() != uid {
        return None;
    }
    // Nothing that a user writes stands before the response's first member.
    let at = reviewed.body.windows(MEMBER.len()).position(|w| w == MEMBER)? + MEMBER.len();
    let (before, rest) = reviewed.body.split_at(at);
    let after = rest.strip_prefix(uid.as_bytes()).filter(|after| after.first() == Some(&b'"'))?;
    Some((before.to_vec(), after.to_vec()))
}

/// Whether an answer holds the name of a token volume, or what was drawn for it, in its own text or in its patch.
fn repeats(answer: &[u8], drawn: &[u8]) -> bool {
    const MEMBER: &[u8] = b"\"patch\":\"";
    let finders = [Finder::new(cut::TOKEN_VOLUME), Finder::new(drawn)];
    let holds = |text: &[u8]| finders.iter().any(|finder| finder.find(text).is_some());
    let Some(at) = answer.windows(MEMBER.len()).position(|w| w == MEMBER) else { return holds(answer) };
    let (before, rest) = answer.split_at(at + MEMBER.len());
    let (patch, after) = rest.split_at(rest.iter().position(|b| *b == b'"').unwrap_or(rest.len()));
    // A patch that cannot be decoded may hold anything.
    holds(before) || holds(after) || STANDARD.decode(patch).map_or(true, |patch| holds(&patch))
}
