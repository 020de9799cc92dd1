//! From the differences of single reviews to classes of them, in memory that does not grow with the log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use admission::capture::Record;
use serde_json::Value;

use super::answer::Differing;
use super::title::title;
use super::{Change, ChangeKind, Class, Example, PodRow};

/// Classes that are kept apart.
const CLASSES: usize = 5000;
/// Classes with an example.
const EXAMPLES: usize = 500;
/// Different values at one place that are kept apart; with more, they are one class.
const VARIANTS: usize = 8;
/// Different values at one place that are counted.
const COUNTED: usize = 1000;
/// Namespaces and owners that are counted apart in a class.
const NAMES: usize = 1000;
/// Reviews that are listed.
const ROWS: usize = 10_000;

/// Classes on their way.
#[derive(Default)]
pub(super) struct Classes {
    kept: Vec<Kept>,
    places: HashMap<(ChangeKind, String), Place>,
    rows: Vec<(PodRow, Vec<usize>)>,
    pub(super) unclassified: u64,
    pub(super) unlisted: u64,
}

/// The classes at one place.
#[derive(Default)]
struct Place {
    /// By their values.
    variants: HashMap<String, usize>,
    /// Hashes of the values seen, once they are one class.
    folded: Option<(usize, HashSet<u64>)>,
}

struct Kept {
    class: Class,
    folded: bool,
    material: Option<Material>,
    /// It has become part of another.
    into: Option<usize>,
}

/// What a class is reproduced from.
#[derive(Clone)]
pub(crate) struct Material {
    pub(super) record: Arc<Record>,
    /// Whether values matter for being of the class.
    pub(super) folded: bool,
}

impl Classes {
    /// Adds the differences of one review.
    pub(super) fn add(&mut self, log: &str, line: u64, record: &Arc<Record>, review: Differing) {
        let mut indices: Vec<usize> = Vec::new();
        for change in review.changes {
            match self.index(change) {
                Some(index) => indices.push(index),
                None => self.unclassified += 1,
            }
        }
        indices.sort_unstable();
        indices.dedup();
        let owner = if review.owner.is_empty() { "-" } else { &review.owner };
        for index in &indices {
            let Some(kept) = self.kept.get_mut(*index) else { continue };
            kept.class.count += 1;
            bump(&mut kept.class.namespaces, &review.namespace, 1);
            bump(&mut kept.class.owners, owner, 1);
            if kept.class.example.is_none() && *index < EXAMPLES {
                kept.class.example = Some(Example {
                    log: log.to_owned(),
                    line,
                    uid: review.uid.clone(),
                    namespace: review.namespace.clone(),
                    name: review.name.clone(),
                    before: review.before.clone(),
                    after: review.after.clone(),
                    ..Example::default()
                });
                kept.material = Some(Material { record: Arc::clone(record), folded: false });
            }
        }
        if self.rows.len() < ROWS {
            let Differing { namespace, name, owner, .. } = review;
            self.rows.push((PodRow { line, namespace, name, owner, classes: Vec::new() }, indices));
        } else {
            self.unlisted += 1;
        }
    }

    /// The class of a change.
    fn index(&mut self, change: Change) -> Option<usize> {
        let key = format!("{:?}\n{:?}", change.before, change.after);
        // What is added or removed whole is one thing, whatever is in it.
        let whole = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_object);
        let limit = match change.kind {
            ChangeKind::Added if whole(&change.after) => 0,
            ChangeKind::Removed if whole(&change.before) => 0,
            _ => VARIANTS,
        };
        let place = self.places.entry((change.kind, change.path.clone())).or_default();
        if let Some((index, seen)) = &mut place.folded {
            if seen.len() < COUNTED && seen.insert(hash(&key)) {
                self.kept.get_mut(*index)?.class.variants = seen.len() as u64;
            }
            return Some(*index);
        }
        if let Some(index) = place.variants.get(&key) {
            return Some(*index);
        }
        if place.variants.len() < limit {
            let index = push(&mut self.kept, change, false)?;
            place.variants.insert(key, index);
            return Some(index);
        }
        // One class from now on: those there are become part of the first.
        let mut seen: HashSet<u64> = place.variants.keys().map(|key| hash(key)).collect();
        seen.insert(hash(&key));
        let variants = seen.len() as u64;
        let mut parts: Vec<usize> = place.variants.drain().map(|(_, index)| index).collect();
        parts.sort_unstable();
        let into = match parts.first() {
            Some(first) => *first,
            None => push(&mut self.kept, change, true)?,
        };
        for part in parts.into_iter().skip(1) {
            let Some(kept) = self.kept.get_mut(part) else { continue };
            kept.into = Some(into);
            let class = std::mem::take(&mut kept.class);
            let Some(first) = self.kept.get_mut(into) else { continue };
            first.class.count += class.count;
            for (name, count) in class.namespaces {
                bump(&mut first.class.namespaces, &name, count);
            }
            for (name, count) in class.owners {
                bump(&mut first.class.owners, &name, count);
            }
        }
        let first = self.kept.get_mut(into)?;
        first.folded = true;
        first.class.variants = variants;
        place.folded = Some((into, seen));
        Some(into)
    }

    /// The classes, the largest first, with what each is reproduced from; and the listed reviews.
    pub(super) fn finish(self) -> (Vec<(Class, Option<Material>)>, Vec<PodRow>) {
        let targets: Vec<usize> =
            self.kept.iter().enumerate().map(|(index, kept)| kept.into.unwrap_or(index)).collect();
        let mut classes = Vec::new();
        let mut ids = Vec::new();
        for kept in self.kept {
            let Kept { mut class, folded, material, into } = kept;
            class.id = id(&class.change, folded);
            class.title = title(&class.change, class.variants);
            ids.push(class.id.clone());
            if into.is_none() {
                classes.push((class, material.map(|material| Material { folded, ..material })));
            }
        }
        classes.sort_by(|(a, _), (b, _)| {
            b.count.cmp(&a.count).then_with(|| a.change.path.cmp(&b.change.path)).then_with(|| a.id.cmp(&b.id))
        });
        let rows = self.rows.into_iter().map(|(mut row, indices)| {
            for index in indices {
                let id = targets.get(index).and_then(|target| ids.get(*target));
                row.classes.extend(id.filter(|id| !row.classes.contains(id)).cloned());
            }
            row
        });
        (classes, rows.collect())
    }
}

fn push(kept: &mut Vec<Kept>, change: Change, folded: bool) -> Option<usize> {
    if kept.len() >= CLASSES {
        return None;
    }
    kept.push(Kept { class: Class { change, variants: 1, ..Class::default() }, folded, material: None, into: None });
    Some(kept.len() - 1)
}

fn bump(counts: &mut BTreeMap<String, u64>, name: &str, by: u64) {
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

fn id(change: &Change, folded: bool) -> String {
    let mut text = format!("{:?}\n{}", change.kind, change.path);
    if !folded {
        for value in [&change.before, &change.after] {
            text.push('\n');
            text.push_str(&value.as_ref().map_or_else(String::new, Value::to_string));
        }
    }
    format!("{:012x}", hash(&text) >> 16)
}
