//! From the pod as sent and the pod as it shall be to operations, list items told apart by their merge keys.
//!
//! Only what differs is touched: an item that stays in its place is compared with itself, an inserted item is one `add`
//! at its place, however long the list. Cost is linear in what both pods hold (n log n in the length of a list whose
//! items changed places).

use std::collections::HashMap;

use apimachinery::schema::{Kind, Type};
use apimachinery::value::{Map, Value};

use super::{Operation, escape};

/// The operations that turn `before` into `after`, both of type `ty`; in the order of the fields' names.
pub(crate) fn diff(before: &Value, after: Value, ty: &Type) -> Vec<Operation> {
    let mut out = Vec::new();
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => object(before, after, Some(ty), &mut String::new(), &mut out),
        (before, after) if *before != after => out.push(Operation::Replace { path: String::new(), value: after }),
        _ => {}
    }
    out
}

/// Appends a token to the path while `f` runs.
fn below<T>(path: &mut String, token: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let len = path.len();
    path.push('/');
    if token.contains(['~', '/']) {
        path.push_str(&escape(token))
    } else {
        path.push_str(token)
    }
    let out = f(path);
    path.truncate(len);
    out
}

fn object(before: &Map, after: Map, ty: Option<&Type>, path: &mut String, out: &mut Vec<Operation>) {
    for key in before.keys().filter(|k| !after.contains_key(k)) {
        below(path, key, |path| out.push(Operation::Remove { path: path.clone() }));
    }
    for (key, new) in after {
        match before.get(&key) {
            None => below(path, &key, |path| out.push(Operation::Add { path: path.clone(), value: new })),
            Some(old) => {
                let field = ty.and_then(|t| t.field(&key));
                below(path, &key, |path| value(old, new, field.map(|f| (&f.kind, f.merge_key)), path, out));
            }
        }
    }
}

fn value(
    old: &Value,
    new: Value,
    field: Option<(&Kind, Option<&'static str>)>,
    path: &mut String,
    out: &mut Vec<Operation>,
) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let ty = match field {
                Some((Kind::Object(ty), _)) => Some(ty.get()),
                _ => None,
            };
            object(old, new, ty, path, out);
        }
        // Most lists do not change: no index is built for them.
        (Value::Array(old), Value::Array(new)) if *old == new => {}
        (Value::Array(old), Value::Array(new)) => {
            let keyed = match field {
                Some((Kind::List(item), Some(key))) => Some((&**item, key)),
                _ => None,
            };
            match keyed.and_then(|(item, key)| Some((item, origins(old, &new, key)?))) {
                Some((item, origin)) => keyed_list(old, new.into(), &origin, item, path, out),
                None => out.push(Operation::Replace { path: path.clone(), value: Value::Array(new) }),
            }
        }
        (old, new) if *old == new => {}
        (_, new) => out.push(Operation::Replace { path: path.clone(), value: new }),
    }
}

/// For each new item where it stood before; `None` if an item has no key, or two of a list have the same.
fn origins(old: &[Value], new: &[Value], key: &str) -> Option<Vec<Option<usize>>> {
    let before = places(old, key)?;
    places(new, key)?;
    Some(new.iter().map(|i| i.get(key).and_then(|k| before.get(&KeyRef(k)).copied())).collect())
}

/// Lists of items with unique keys; `origin` says where each new item stood.
fn keyed_list(
    old: &[Value],
    new: Vec<Value>,
    origin: &[Option<usize>],
    item: &Kind,
    path: &mut String,
    out: &mut Vec<Operation>,
) {
    let kept = longest_increasing(origin);
    let mut stays = vec![false; old.len()];
    for place in kept.iter().filter_map(|n| origin.get(*n).copied().flatten()) {
        if let Some(slot) = stays.get_mut(place) {
            *slot = true;
        }
    }
    for (i, _) in stays.iter().enumerate().rev().filter(|(_, stays)| !**stays) {
        below(path, &i.to_string(), |path| out.push(Operation::Remove { path: path.clone() }));
    }
    let mut length = kept.len();
    for (i, (new_item, origin)) in new.into_iter().zip(origin).enumerate() {
        let old_item = origin.filter(|p| stays.get(*p) == Some(&true)).and_then(|p| old.get(p));
        match old_item {
            Some(old_item) => {
                below(path, &i.to_string(), |path| value(old_item, new_item, Some((item, None)), path, out));
            }
            None => {
                let token = if i == length { "-".to_owned() } else { i.to_string() };
                below(path, &token, |path| {
                    out.push(Operation::Add { path: path.clone(), value: new_item });
                });
                length += 1;
            }
        }
    }
}

/// A merge key's value, for hashing: a string or a number.
#[derive(PartialEq, Eq)]
struct KeyRef<'a>(&'a Value);

impl std::hash::Hash for KeyRef<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self.0 {
            Value::String(s) => s.hash(state),
            Value::Number(n) => n.as_i64().hash(state),
            _ => {}
        }
    }
}

/// Each key's place; `None` if an item has no key or two have the same.
fn places<'a>(items: &'a [Value], key: &str) -> Option<HashMap<KeyRef<'a>, usize>> {
    let mut out = HashMap::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let key = item.get(key).filter(|k| k.is_string() || k.is_number())?;
        if out.insert(KeyRef(key), i).is_some() {
            return None;
        }
    }
    Some(out)
}

/// Indices of a longest subsequence of increasing places: the items that need not be moved.
fn longest_increasing(places: &[Option<usize>]) -> Vec<usize> {
    // tails[l]: the index of the smallest last element of an increasing run of length l + 1.
    let mut tails: Vec<(usize, usize)> = Vec::new();
    let mut previous: Vec<Option<usize>> = vec![None; places.len()];
    for (i, place) in places.iter().enumerate() {
        let Some(place) = *place else { continue };
        let at = tails.partition_point(|(p, _)| *p < place);
        if let Some(slot) = previous.get_mut(i) {
            *slot = at.checked_sub(1).and_then(|a| tails.get(a)).map(|(_, i)| *i);
        }
        match tails.get_mut(at) {
            Some(tail) => *tail = (place, i),
            None => tails.push((place, i)),
        }
    }
    let mut out = Vec::with_capacity(tails.len());
    let mut at = tails.last().map(|(_, i)| *i);
    while let Some(i) = at {
        out.push(i);
        at = previous.get(i).copied().flatten();
    }
    out.reverse();
    out
}
