//! Merging two maps: directives first, then field by field.

use std::collections::HashSet;
use std::mem::discriminant;

use crate::value::{List, Map, Text, Value};

use super::list;
use super::{Error, Member, Schema};
use crate::schema::Strategy;

pub(super) const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

type Fields = Map;

pub(super) fn merge(mut original: Fields, mut patch: Fields, schema: Schema<'_>) -> Result<Fields, Error> {
    // Directives sort before every name that a Kubernetes field can have, so this is all the looking for them there is.
    if patch.keys().next().is_some_and(|key| key.as_str() < "%") {
        if let Some(directive) = patch.get(PATCH) {
            return match directive.as_str() {
                Some("replace") => {
                    patch.remove(PATCH);
                    Ok(patch)
                }
                Some("delete") => Ok(Fields::new()),
                _ => Err(Error::directive(directive, &patch)),
            };
        }
        retain_keys(&mut original, &mut patch)?;
        set_orders(&mut original, &mut patch, schema)?;
        delete_from_lists(&mut original, &mut patch, schema)?;
    }
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for (key, value) in patch {
        if value.is_null() {
            gone.push(key);
            continue;
        }
        let Some(before) = original.get_mut(&key) else {
            new.extend(taken_over(value).map(|value| (key, value)));
            continue;
        };
        let member = schema.member(&key);
        match (before, value) {
            (Value::Object(before), Value::Object(value)) => {
                *before = match member.strategy() {
                    Strategy::Replace => value,
                    _ => merge(std::mem::take(before), value, member.schema())?,
                };
            }
            (Value::Array(before), Value::Array(value)) => {
                *before = lists(std::mem::take(before), value, member)?;
            }
            (before, value) => match taken_over(value) {
                Some(value) => *before = value,
                None => gone.push(key),
            },
        }
    }
    original.remove_all(&gone);
    original.insert_all(new);
    Ok(original)
}

fn lists(original: List, patch: List, member: Member<'_>) -> Result<List, Error> {
    match member.strategy() {
        Strategy::Merge => list::merge(original, patch, member.items(), member.merge_key()),
        _ => Ok(patch),
    }
}

/// A value that the original has nothing for; `None` if nothing is left of it.
fn taken_over(mut value: Value) -> Option<Value> {
    drop_nulls(&mut value);
    drop_directives(&mut value).then_some(value)
}

/// Nulls within a new value mean fields that are not there.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Takes maps with `$patch` and all other directives out of a new value; whether the value itself stays. The apiserver
/// leaves the other directives to the typed decoding that follows, which drops them as unknown fields.
fn drop_directives(value: &mut Value) -> bool {
    let directive = |key: &str| [RETAIN_KEYS, DELETE_FROM_LIST, SET_ORDER].iter().any(|prefix| key.starts_with(prefix));
    match value {
        Value::Object(fields) => {
            if fields.contains_key(PATCH) {
                return false;
            }
            fields.retain(|key, value| !directive(key) && drop_directives(value));
        }
        Value::Array(items) => items.retain_mut(drop_directives),
        _ => {}
    }
    true
}

/// `$retainKeys`: drops from the original what the list does not name.
fn retain_keys(original: &mut Fields, patch: &mut Fields) -> Result<(), Error> {
    let Some(list) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let keys: HashSet<&str> = match &list {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return Err(Error::RetainKeys),
    };
    let covered = |(key, value): (&Text, &Value)| {
        value.is_null()
            || key.starts_with(DELETE_FROM_LIST)
            || key.starts_with(SET_ORDER)
            || keys.contains(key.as_str())
    };
    if !patch.iter().all(covered) {
        return Err(Error::RetainKeys);
    }
    original.retain(|key, _| keys.contains(key.as_str()));
    Ok(())
}

/// Takes the directives of one sort out of the patch, each with the name of its field.
fn take_directives(patch: &mut Fields, prefix: &str, malformed: &Error) -> Result<Vec<(String, Value)>, Error> {
    let keys: Vec<Text> = patch.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let field =
            key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).ok_or_else(|| malformed.clone())?;
        if let Some(value) = patch.remove(&key) {
            found.push((field.to_owned(), value));
        }
    }
    Ok(found)
}

/// `$setElementOrder/FIELD`: merges that list and puts it in the order asked for.
fn set_orders(original: &mut Fields, patch: &mut Fields, schema: Schema<'_>) -> Result<(), Error> {
    for (field, order) in take_directives(patch, SET_ORDER, &Error::SetElementOrder)? {
        let Value::Array(order) = order else { return Err(Error::list_wanted(&order)) };
        let take = |fields: &mut Fields| match fields.remove(&field) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(Error::list_wanted(&other)),
        };
        let (before, new) = (take(original)?, take(patch)?);
        let member = schema.member(&field);
        let key = member.merge_key();
        list::check_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let live = before.clone().unwrap_or_default();
        let kind = list::element_kind(&live, new.as_deref().unwrap_or_default());
        let merged = match (before, new) {
            (Some(before), Some(new)) => lists(before, new, member)?,
            (Some(items), None) | (None, Some(items)) => items,
            (None, None) => continue,
        };
        kind?.ok_or(Error::NoElements)?;
        original.insert(field, Value::Array(list::in_order(merged, &order, &live, key)?));
    }
    Ok(())
}

/// `$deleteFromPrimitiveList/FIELD`: takes scalars out of a list.
fn delete_from_lists(original: &mut Fields, patch: &mut Fields, schema: Schema<'_>) -> Result<(), Error> {
    for (field, unwanted) in take_directives(patch, DELETE_FROM_LIST, &Error::PrimitiveList)? {
        if unwanted.is_null() {
            original.remove(&field);
            continue;
        }
        let Some(before) = original.get_mut(&field) else { continue };
        if discriminant(before) != discriminant(&unwanted) {
            continue;
        }
        let member = schema.member(&field);
        match (before, unwanted) {
            (Value::Array(before), Value::Array(unwanted)) => {
                *before = match member.strategy() {
                    Strategy::Merge => {
                        list::without(std::mem::take(before), unwanted, member.items(), member.merge_key())?
                    }
                    // Kubernetes takes the list of what to delete for the new list here.
                    _ => unwanted,
                };
            }
            (before, unwanted) => *before = unwanted,
        }
    }
    Ok(())
}
