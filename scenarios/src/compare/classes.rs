//! From the differences of single reviews to classes of them, in memory that does not grow with the log.
//!
//! ```text
//! change ──► part: kind and place, whatever the values ──► subject: the thing it is about ──► class
//!                                                             of a kind, always in the same reviews ┘
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use admission::capture::Record;
use apimachinery::value::Value;

use super::answer::Differing;
use super::gather::{self, Group};
use super::subject::Subject;
use super::{Change, ChangeKind, Class, Example, Part, PodRow, Values};

/// Parts that are kept apart.
const PARTS: usize = 5000;
/// Things with an example.
const EXAMPLES: usize = 500;
/// Pairs of values that are shown of a part.
const VALUES: usize = 8;
/// Pairs of values that are counted.
const COUNTED: usize = 1000;
/// Decisions, and warnings, that are each a thing of their own; what is beyond them is one.
const MESSAGES: usize = 16;
/// Namespaces and owners that are counted apart.
const NAMES: usize = 1000;
/// Reviews that are listed.
const ROWS: usize = 10_000;

/// Classes on their way.
#[derive(Default)]
pub(super) struct Classes {
    parts: Vec<Kept>,
    places: HashMap<String, usize>,
    groups: Vec<Group>,
    subjects: HashMap<String, usize>,
    messages: HashMap<(ChangeKind, String), usize>,
    rows: Vec<(PodRow, Vec<usize>)>,
    reviews: u64,
    pub(super) unclassified: u64,
    pub(super) unlisted: u64,
}

/// A part on its way.
pub(super) struct Kept {
    pub(super) part: Part,
    /// Of its [`Group`].
    pub(super) group: usize,
    /// Hashes of the pairs of values.
    seen: HashSet<u64>,
    /// Where it is with names left as they are, if that is the same in all reviews and not what the place says.
    pub(super) literal: Option<String>,
}

/// What a class is reproduced from: the review, and what in it is of the class.
#[derive(Clone)]
pub(super) struct Material {
    pub(super) record: Arc<Record>,
    pub(super) changes: Vec<Wanted>,
}

/// A change that has to be found again.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) change: Change,
    /// Of which part.
    pub(super) part: usize,
    /// Whether its values matter.
    pub(super) exact: bool,
}

impl Classes {
    /// Adds the differences of one review.
    pub(super) fn add(&mut self, log: &str, line: u64, record: &Arc<Record>, review: Differing) {
        self.reviews += 1;
        let mark = mark(self.reviews);
        let mut parts: Vec<usize> = Vec::new();
        let mut wanted: Vec<(usize, Wanted)> = Vec::new();
        for (change, literal) in review.changes.into_iter().zip(&review.literal) {
            let Some(part) = self.part(&change, literal) else {
                self.unclassified += 1;
                continue;
            };
            parts.push(part);
            if let Some(group) = self.parts.get(part).map(|kept| kept.group)
                && self.groups.get(group).is_some_and(|found| found.class.example.is_none() && group < EXAMPLES)
            {
                wanted.push((group, Wanted { change, part, exact: false }));
            }
        }
        parts.sort_unstable();
        parts.dedup();
        let mut groups = Vec::new();
        for part in parts {
            let Some(kept) = self.parts.get_mut(part) else { continue };
            kept.part.count += 1;
            groups.push(kept.group);
        }
        groups.sort_unstable();
        groups.dedup();
        let owner = if review.owner.is_empty() { "-" } else { &review.owner };
        for index in &groups {
            let Some(group) = self.groups.get_mut(*index) else { continue };
            group.mark = group.mark.wrapping_add(mark);
            group.class.count += 1;
            bump(&mut group.class.namespaces, &review.namespace, 1);
            bump(&mut group.class.owners, owner, 1);
            if group.class.example.is_none() && *index < EXAMPLES {
                group.class.example = Some(Example {
                    log: log.to_owned(),
                    line,
                    uid: review.uid.clone(),
                    namespace: review.namespace.clone(),
                    name: review.name.clone(),
                    before: review.before.clone(),
                    after: review.after.clone(),
                    ..Example::default()
                });
                let changes = wanted.extract_if(.., |(of, _)| of == index).map(|(_, wanted)| wanted).collect();
                group.material = Some(Material { record: Arc::clone(record), changes });
            }
        }
        if self.rows.len() < ROWS {
            let Differing { namespace, name, owner, .. } = review;
            self.rows.push((PodRow { line, namespace, name, owner, classes: Vec::new() }, groups));
        } else {
            self.unlisted += 1;
        }
    }

    /// The part of a change, which is counted in its values.
    fn part(&mut self, change: &Change, literal: &str) -> Option<usize> {
        let mut subject = Subject::of(change);
        let mut place = place(change.kind, &change.path);
        if matches!(change.kind, ChangeKind::Decision | ChangeKind::Warning) {
            let known = self.messages.entry((change.kind, change.path.clone())).or_default();
            if self.subjects.contains_key(&subject.key) || *known < MESSAGES {
                *known += usize::from(!self.subjects.contains_key(&subject.key));
                place.clone_from(&subject.key);
            } else {
                subject.key.clone_from(&place);
            }
        }
        let index = match self.places.get(&place) {
            Some(index) => *index,
            None if self.parts.len() >= PARTS => return None,
            None => {
                let group = *self.subjects.entry(subject.key.clone()).or_insert_with(|| {
                    self.groups.push(Group { subject, ..Group::default() });
                    self.groups.len() - 1
                });
                let part = Part { id: id(&place), change: change.clone(), ..Part::default() };
                let literal = (literal != change.path).then(|| literal.to_owned());
                self.parts.push(Kept { part, group, seen: HashSet::new(), literal });
                self.places.insert(place, self.parts.len() - 1);
                self.parts.len() - 1
            }
        };
        let kept = self.parts.get_mut(index)?;
        if kept.literal.as_ref().is_some_and(|known| known != literal) {
            kept.literal = None;
        }
        kept.values(change);
        Some(index)
    }

    /// The classes, the largest first, with what each is reproduced from; and the listed reviews.
    pub(super) fn finish(mut self) -> (Vec<(Class, Option<Material>)>, Vec<PodRow>) {
        self.unite();
        let (classes, of_group) = gather::classes(self.parts, self.groups);
        let rows = self.rows.into_iter().map(|(mut row, groups)| {
            for group in groups {
                let class = of_group.get(group).and_then(|class| classes.get(*class));
                let id = class.map(|(class, _)| &class.id);
                row.classes.extend(id.filter(|id| !row.classes.contains(id)).cloned());
            }
            row
        });
        let rows = rows.collect();
        (classes, rows)
    }

    /// A name of the pod's own that stands in a place by chance (a namespace `data`, a volume `istio-data`): where all that is
    /// at the place with the placeholder was at a place that occurs without, too, the latter is meant.
    fn unite(&mut self) {
        for index in 0..self.parts.len() {
            let Some(kept) = self.parts.get(index) else { continue };
            let Some(literal) = &kept.literal else { continue };
            let Some(into) = self.places.get(&place(kept.part.change.kind, literal)).copied() else { continue };
            let (from, count) = (kept.group, kept.part.count);
            if self.parts.get(into).is_none_or(|target| target.part.count == 0) {
                continue;
            }
            let part = std::mem::take(&mut self.parts[index].part);
            self.parts[index].literal = None;
            let seen = std::mem::take(&mut self.parts[index].seen);
            let Some(target) = self.parts.get_mut(into) else { continue };
            target.part.count += count;
            target.merge(part, seen);
            let group = target.group;
            let left = self.parts.iter().any(|kept| kept.group == from && kept.part.count > 0);
            if from != group && !left {
                let taken = std::mem::take(&mut self.groups[from]);
                self.groups[from].into = Some(group);
                if let Some(group) = self.groups.get_mut(group) {
                    group.take(taken, index, into);
                }
            }
        }
    }
}

impl Kept {
    fn values(&mut self, change: &Change) {
        let hash = hash(&format!("{:?}\n{:?}", change.before, change.after));
        let found = |values: &&mut Values| values.before == change.before && values.after == change.after;
        if self.seen.contains(&hash) {
            if let Some(values) = self.part.values.iter_mut().find(found) {
                values.count += 1;
            }
            return;
        }
        if self.seen.len() >= COUNTED {
            return;
        }
        self.seen.insert(hash);
        self.part.variants += 1;
        // What is added or removed whole is one thing, whatever is in it.
        let is_object = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_object);
        let most = if is_object(&change.before) || is_object(&change.after) { 1 } else { VALUES };
        if self.part.values.len() < most {
            self.part.values.push(Values { before: change.before.clone(), after: change.after.clone(), count: 1 });
        }
    }

    fn merge(&mut self, other: Part, seen: HashSet<u64>) {
        for values in other.values {
            let found = |known: &&mut Values| known.before == values.before && known.after == values.after;
            if let Some(known) = self.part.values.iter_mut().find(found) {
                known.count += values.count;
            } else if self.part.values.len() < VALUES {
                self.part.values.push(values);
            }
        }
        self.seen.extend(seen);
        self.part.variants = self.seen.len() as u64;
    }
}

fn place(kind: ChangeKind, path: &str) -> String {
    format!("{kind:?} {path}")
}

pub(super) fn bump(counts: &mut BTreeMap<String, u64>, name: &str, by: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count += by;
        return;
    }
    let name = if counts.len() < NAMES { name } else { "…" };
    *counts.entry(name.to_owned()).or_default() += by;
}

/// FNV-1a: the same in every run and on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Twelve hexadecimal digits that stand for a text.
pub(super) fn id(text: &str) -> String {
    format!("{:012x}", hash(text) >> 16)
}

/// A number for a review; the sum of those of a set of reviews tells the set.
fn mark(review: u64) -> u128 {
    // SplitMix64, twice.
    let mix = |mut n: u64| {
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    let one = mix(review.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (u128::from(one) << 64) | u128::from(mix(one.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}
