//! Merging two lists whose items are told apart by a key, or are scalars and tell themselves apart.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::value::{List, Map, Value};

use super::map::{self, PATCH};
use super::{Error, Schema};
use crate::go;

/// What tells two items apart: equal text is an equal value of the same JSON type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key<'a> {
    Text(&'a str),
    Other(Cow<'a, str>),
}

fn scalar_key(value: &Value) -> Key<'_> {
    match value {
        Value::String(text) => Key::Text(text),
        other => Key::Other(Cow::Owned(other.to_string())),
    }
}

/// The key of an item: the merge key's value, or the item itself where there is no merge key.
fn key_of<'a>(item: &'a Value, merge_key: &str) -> Result<Key<'a>, Error> {
    if merge_key.is_empty() {
        return Ok(scalar_key(item));
    }
    let Value::Object(fields) = item else { return Err(Error::map_wanted(item)) };
    fields.get(merge_key).map(scalar_key).ok_or_else(|| Error::no_merge_key(fields, merge_key))
}

/// The first place of each key.
fn places<'a>(items: &'a [Value], merge_key: &str) -> HashMap<Key<'a>, usize> {
    let mut found = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        if let Ok(key) = key_of(item, merge_key) {
            found.entry(key).or_insert(at);
        }
    }
    found
}

/// The Go type that all items have; `None` for no items at all.
pub(super) fn element_kind(original: &[Value], patch: &[Value]) -> Result<Option<&'static str>, Error> {
    let mut kinds = original.iter().chain(patch).map(go::type_name);
    let Some(first) = kinds.next() else { return Ok(None) };
    if first == "[]interface {}" {
        return Err(Error::ListOfLists);
    }
    let mixed = || Error::MixedTypes { lists: format!("[{} {}]", go::plain_list(original), go::plain_list(patch)) };
    if first == "%!s(<nil>)" || kinds.any(|kind| kind != first) {
        return Err(mixed());
    }
    Ok(Some(first))
}

pub(super) fn merge(original: List, patch: List, items: Schema<'_>, merge_key: &str) -> Result<List, Error> {
    let Some(kind) = element_kind(&original, &patch)? else { return Ok(original) };
    if kind != "map[string]interface {}" {
        return Ok(merge_scalars(original, &patch));
    }
    if merge_key.is_empty() {
        return Err(Error::WithoutMergeKey { kind: "struct" });
    }
    let (original, patch) = special_items(original, patch, merge_key)?;
    merge_maps(original, patch, items, merge_key)
}

/// The union of two lists of scalars.
fn merge_scalars(original: List, patch: &[Value]) -> List {
    let live = places(&original, "");
    let in_patch = places(patch, "");
    let positions: Vec<Option<usize>> = patch
        .iter()
        .enumerate()
        .filter(|(at, item)| in_patch.get(&scalar_key(item)) == Some(at))
        .map(|(_, item)| live.get(&scalar_key(item)).copied())
        .collect();
    let news: List = patch
        .iter()
        .enumerate()
        .filter(|(at, item)| in_patch.get(&scalar_key(item)) == Some(at))
        .map(|(_, item)| item.clone())
        .collect();
    let rest: Vec<usize> = (0..original.len())
        .filter(|at| {
            let key = scalar_key(&original[*at]);
            live.get(&key) == Some(at) && !in_patch.contains_key(&key)
        })
        .collect();
    let mut original = original;
    let rest: Vec<(usize, Value)> = rest.into_iter().map(|at| (at, original[at].take())).collect();
    interleave(rest, positions.into_iter().zip(news).collect())
}

/// `$deleteFromPrimitiveList`; for lists of maps Kubernetes merges instead.
pub(super) fn without(original: List, unwanted: List, items: Schema<'_>, merge_key: &str) -> Result<List, Error> {
    match element_kind(&original, &unwanted)? {
        Some("map[string]interface {}") => merge(original, unwanted, items, merge_key),
        _ => {
            let unwanted: HashSet<Key<'_>> = unwanted.iter().map(scalar_key).collect();
            let mut kept = original;
            kept.retain(|item| !unwanted.contains(&scalar_key(item)));
            Ok(kept)
        }
    }
}

/// Carries out `$patch` on items; what is left of the original and of the patch.
fn special_items(mut original: List, patch: List, merge_key: &str) -> Result<(List, List), Error> {
    let marked = |item: &Value| item.get(PATCH).is_some();
    if !patch.iter().any(marked) {
        return Ok((original, patch));
    }
    let (special, ordinary): (List, List) = patch.into_iter().partition(marked);
    let mut replace = false;
    let mut deleted = HashSet::new();
    for item in &special {
        let Value::Object(fields) = item else { continue };
        match fields.get(PATCH).and_then(Value::as_str) {
            Some("delete") => {
                deleted.insert(key_of(item, merge_key)?);
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(Error::MergeDirective),
            _ => return Err(Error::directive(&fields[PATCH], fields)),
        }
    }
    if replace {
        return Ok((ordinary, Vec::new().into()));
    }
    original.retain(|item| item.get(merge_key).is_none_or(|value| !deleted.contains(&scalar_key(value))));
    Ok((original, ordinary))
}

fn merge_maps(original: List, patch: List, items: Schema<'_>, merge_key: &str) -> Result<List, Error> {
    // Where each item of the patch goes: its key's first place in the original, or else in the patch.
    let live = places(&original, merge_key);
    let mut firsts: HashMap<Key<'_>, usize> = HashMap::with_capacity(patch.len());
    let mut targets: Vec<Target> = Vec::with_capacity(patch.len());
    for (at, item) in patch.iter().enumerate() {
        let key = key_of(item, merge_key)?;
        let first = *firsts.entry(key.clone()).or_insert(at);
        targets.push(Target { first, live: live.get(&key).copied() });
    }
    // Items of the original by the patch item that has their key, or none.
    let mut others = Vec::new();
    let mut twins: Vec<Vec<usize>> = vec![Vec::new(); patch.len()];
    for (at, item) in original.iter().enumerate() {
        match firsts.get(&key_of(item, merge_key)?) {
            Some(first) => twins[*first].push(at),
            None => others.push(at),
        }
    }
    let mut original = original;
    let others: Vec<(usize, Value)> = others.into_iter().map(|at| (at, original[at].take())).collect();
    let mut groups: Vec<List> =
        twins.into_iter().map(|places| places.into_iter().map(|at| original[at].take()).collect()).collect();
    for (item, target) in patch.into_iter().zip(&targets) {
        let group = &mut groups[target.first];
        match (group.first_mut(), item) {
            (Some(Value::Object(before)), Value::Object(item)) => {
                *before = map::merge(std::mem::take(before), item, items)?;
                if !before.contains_key(merge_key) {
                    return Err(Error::no_merge_key(before, merge_key));
                }
            }
            (_, item) => group.push(item),
        }
    }
    let news = targets
        .iter()
        .zip(groups)
        .flat_map(|(target, group)| group.into_iter().map(|item| (target.live, item)))
        .collect();
    Ok(interleave(others, news))
}

/// Where an item of the patch belongs.
struct Target {
    /// Place in the patch of the first item with this key.
    first: usize,
    /// Place in the original of the first item with this key.
    live: Option<usize>,
}

/// Walks both lists; one of the others goes first only if both heads have a place in the original and its is smaller.
fn interleave(others: Vec<(usize, Value)>, news: Vec<(Option<usize>, Value)>) -> List {
    let mut merged = Vec::with_capacity(others.len() + news.len());
    let mut others = others.into_iter().peekable();
    for (live, item) in news {
        while let Some(place) = live
            && let Some((_, other)) = others.next_if(|(other, _)| *other < place)
        {
            merged.push(other);
        }
        merged.push(item);
    }
    merged.extend(others.map(|(_, item)| item));
    merged.into()
}

/// Puts a merged list into the order of `$setElementOrder`; items not named there stay where the live list has them.
pub(super) fn in_order(merged: List, order: &[Value], live: &[Value], merge_key: &str) -> Result<List, Error> {
    let wanted = places(order, merge_key);
    let live = places(live, merge_key);
    let mut named: Vec<(usize, Option<usize>, Value)> = Vec::new();
    let mut others: Vec<(usize, Value)> = Vec::new();
    for item in merged {
        let key = key_of(&item, merge_key)?;
        let place = live.get(&key).copied();
        match wanted.get(&key) {
            Some(at) => named.push((*at, place, item)),
            // Without a place in the live list an item cannot go before anything.
            None => others.push((place.unwrap_or(usize::MAX), item)),
        }
    }
    named.sort_by_key(|(at, ..)| *at);
    others.sort_by_key(|(place, _)| *place);
    Ok(interleave(others, named.into_iter().map(|(_, place, item)| (place, item)).collect()))
}

/// The items of the patch must be named in `$setElementOrder`, in the same order.
pub(super) fn check_order(patch: &[Value], order: &[Value], merge_key: &str) -> Result<(), Error> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let marked = |fields: &Map| !merge_key.is_empty() && fields.contains_key(PATCH);
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| !item.as_object().is_some_and(marked)) {
        let key = key_of(item, merge_key)?;
        loop {
            let Some(next) = rest.next() else {
                return Err(Error::Order { patch: go::plain_list(patch), order: go::plain_list(order) });
            };
            if key_of(next, merge_key)? == key {
                break;
            }
        }
    }
    Ok(())
}
