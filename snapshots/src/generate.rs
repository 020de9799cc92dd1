//! Strategies for pods, in layers.
//!
//! Two modes: [`pod::legal`] makes pods that a Kubernetes apiserver accepts, [`wild::pod`] JSON in which anything may be
//! missing, null, of the wrong type or unknown.

pub mod container;
pub mod pod;
pub mod text;
pub mod wild;

use apimachinery::value::{Map, Value};
use proptest::prelude::*;

/// An object of which each field may be missing, except those that `required` names.
pub(crate) fn object(required: Fields, optional: Fields) -> BoxedStrategy<Value> {
    let always = required.into_iter().map(|(name, value)| value.prop_map(move |value| Some((name, value))).boxed());
    let sometimes = optional
        .into_iter()
        .map(|(name, value)| prop::option::of(value).prop_map(move |value| value.map(|value| (name, value))).boxed());
    let fields: Vec<_> = always.chain(sometimes).collect();
    fields
        .prop_map(|fields| {
            let fields: Map = fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect();
            Value::Object(fields)
        })
        .boxed()
}

/// Names of fields with what they hold.
pub(crate) type Fields = Vec<(&'static str, BoxedStrategy<Value>)>;

/// A list whose items differ in the field `key`.
pub(crate) fn keyed(
    key: &'static str,
    keys: BoxedStrategy<Value>,
    items: BoxedStrategy<Value>,
    most: usize,
) -> BoxedStrategy<Value> {
    prop::collection::vec((keys, items), 0..=most)
        .prop_map(move |pairs| {
            let mut seen = Vec::new();
            let mut list = Vec::new();
            for (name, mut item) in pairs {
                if !seen.contains(&name)
                    && let Some(fields) = item.as_object_mut()
                {
                    fields.insert(key.to_owned(), name.clone());
                    seen.push(name);
                    list.push(item);
                }
            }
            Value::from(list)
        })
        .boxed()
}
