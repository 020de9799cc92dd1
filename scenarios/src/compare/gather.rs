//! From things that changed to the classes that are told: those of a kind that always change together are one.

use std::collections::HashMap;

use super::classes::{Kept, Material, bump, id};
use super::subject::{self, Subject, VERBS};
use super::title::{of_class, title};
use super::{Class, Part};

/// A thing that changed, on its way.
#[derive(Default)]
pub(super) struct Group {
    pub(super) subject: Subject,
    /// Its count, namespaces, owners and example.
    pub(super) class: Class,
    pub(super) material: Option<Material>,
    /// Stands for the set of its reviews.
    pub(super) mark: u128,
    /// It has become part of another.
    pub(super) into: Option<usize>,
}

impl Group {
    /// Takes in a group of other reviews, whose only part `from` has become the part `into`.
    pub(super) fn take(&mut self, other: Self, from: usize, into: usize) {
        self.mark = self.mark.wrapping_add(other.mark);
        self.class.count += other.class.count;
        for (name, count) in other.class.namespaces {
            bump(&mut self.class.namespaces, &name, count);
        }
        for (name, count) in other.class.owners {
            bump(&mut self.class.owners, &name, count);
        }
        if self.class.example.is_none() {
            self.class.example = other.class.example;
            self.material = other.material;
        }
        let changes = self.material.iter_mut().flat_map(|material| &mut material.changes);
        changes.filter(|wanted| wanted.part == from).for_each(|wanted| wanted.part = into);
    }
}

/// The classes, the largest first, with what each is reproduced from; and which of them each group is in.
pub(super) fn classes(parts: Vec<Kept>, groups: Vec<Group>) -> (Vec<(Class, Option<Material>)>, Vec<usize>) {
    let exact: Vec<bool> = parts.iter().map(|kept| kept.part.variants == 1).collect();
    let mut of_group: Vec<Vec<Part>> = groups.iter().map(|_| Vec::new()).collect();
    for Kept { mut part, group, .. } in parts {
        let Some(list) = of_group.get_mut(group).filter(|_| part.count > 0) else { continue };
        part.title = title(&part.change, part.variants);
        list.push(part);
    }
    // Of a kind and in the same reviews: one class.
    let mut known: HashMap<(String, u64, u128), usize> = HashMap::new();
    let mut made: Vec<Making> = Vec::new();
    let mut targets = vec![0; groups.len()];
    let intos: Vec<Option<usize>> = groups.iter().map(|group| group.into).collect();
    for (index, (group, parts)) in groups.into_iter().zip(of_group).enumerate() {
        if group.into.is_some() {
            continue;
        }
        let key = (group.subject.area.clone(), group.class.count, group.mark);
        let at = match known.get(&key).filter(|_| !group.subject.area.is_empty()) {
            Some(at) => *at,
            None => {
                known.insert(key, made.len());
                made.push(Making { class: group.class, ..Making::default() });
                made.len() - 1
            }
        };
        if let (Some(target), Some(making)) = (targets.get_mut(index), made.get_mut(at)) {
            *target = at;
            making.parts.extend(parts.into_iter().map(|part| (part, group.subject.clone())));
            making.add(group.material);
        }
    }
    let mut sorted: Vec<(usize, Making)> =
        made.into_iter().enumerate().map(|(at, making)| (at, making.named())).collect();
    sorted.sort_by(|(_, a), (_, b)| {
        b.class
            .count
            .cmp(&a.class.count)
            .then_with(|| a.class.title.cmp(&b.class.title))
            .then_with(|| a.class.id.cmp(&b.class.id))
    });
    let mut place = vec![0; sorted.len()];
    for (now, (was, _)) in sorted.iter().enumerate() {
        if let Some(place) = place.get_mut(*was) {
            *place = now;
        }
    }
    // What has become part of another is where that is, and that itself may have become part of a third.
    let follow = |index: usize| {
        let mut at = index;
        for _ in 0..intos.len() {
            match intos.get(at).copied().flatten() {
                Some(into) => at = into,
                None => break,
            }
        }
        targets.get(at).and_then(|target| place.get(*target)).copied().unwrap_or_default()
    };
    let of_group = (0..intos.len()).map(follow).collect();
    let classes = sorted.into_iter().map(|(_, making)| {
        let mut material = making.material;
        for wanted in material.iter_mut().flat_map(|material| &mut material.changes) {
            wanted.exact = exact.get(wanted.part).copied().unwrap_or_default();
        }
        (making.class, material)
    });
    (classes.collect(), of_group)
}

#[derive(Default)]
struct Making {
    class: Class,
    parts: Vec<(Part, Subject)>,
    material: Option<Material>,
}

impl Making {
    /// Its groups have the same reviews, so the same example.
    fn add(&mut self, material: Option<Material>) {
        match (&mut self.material, material) {
            (Some(known), Some(material)) => known.changes.extend(material.changes),
            (none @ None, material) => *none = material,
            _ => {}
        }
    }

    fn named(mut self) -> Self {
        // What has another value is of more interest than what comes or goes.
        let rank = |part: &Part| VERBS.iter().position(|verb| *verb == subject::verb(part.change.kind));
        self.parts.sort_by(|(a, _), (b, _)| {
            let order = b.count.cmp(&a.count).then_with(|| rank(a).cmp(&rank(b)));
            order.then_with(|| a.change.path.cmp(&b.change.path))
        });
        let mut keys: Vec<&str> = self.parts.iter().map(|(_, subject)| subject.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        self.class.id = id(&keys.join("\n"));
        self.class.title = of_class(&self.parts);
        self.class.parts = std::mem::take(&mut self.parts).into_iter().map(|(part, _)| part).collect();
        self
    }
}
