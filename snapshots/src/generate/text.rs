//! Names, quantities and values.

use apimachinery::value::{Map, Value};
use proptest::prelude::*;

/// A DNS label, sometimes one that templates use for themselves.
pub fn dns_label() -> BoxedStrategy<String> {
    prop_oneof![
        8 => "[a-z]([a-z0-9-]{0,10}[a-z0-9])?",
        1 => "[a-z][a-z0-9-]{61}[a-z0-9]",
    ]
    .boxed()
}

/// A name of a volume, container or variable, now and then one that an injector uses as well.
pub fn name_or(clashing: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop_oneof![
        9 => dns_label(),
        1 => prop::sample::select(clashing).prop_map(str::to_owned),
    ]
    .prop_map(Value::from)
    .boxed()
}

/// An amount of a resource.
pub fn quantity() -> BoxedStrategy<Value> {
    prop_oneof![
        (1..4000u32).prop_map(|milli| format!("{milli}m")),
        (1..64u32).prop_map(|number| number.to_string()),
        (1..4096u32, prop::sample::select(vec!["Ki", "Mi", "Gi", "k", "M"]))
            .prop_map(|(number, unit)| format!("{number}{unit}")),
        (1..9u32, 0..6u32).prop_map(|(number, exponent)| format!("{number}e{exponent}")),
        (1..100u32, 1..100u32).prop_map(|(whole, part)| format!("{whole}.{part:02}")),
    ]
    .prop_map(Value::from)
    .boxed()
}

/// The value of an environment variable or annotation: anything that is text, with a taste for what YAML, JSON and
/// templates take for something else.
pub fn value() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => "[ -~]{0,24}",
        1 => "\\PC{0,12}",
        1 => "[a-z\n\t \"'{}<>&#:-]{0,24}",
        2 => prop::sample::select(vec!["", "y", "no", "null", "~", "0644", "1e3", "0x10", "2026-11-22", "{{ .Spec }}", "[[ x ]]", "$(HOME)", "{\"a\":1}"])
            .prop_map(str::to_owned),
    ]
    .prop_map(Value::from)
    .boxed()
}

/// `[prefix/]name`.
pub fn label_key() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[a-zA-Z]([a-zA-Z0-9_.-]{0,12}[a-zA-Z0-9])?",
        1 => ("[a-z]{1,8}\\.[a-z]{2,5}", "[a-z]{1,10}").prop_map(|(prefix, name)| format!("{prefix}/{name}")),
    ]
    .boxed()
}

/// Labels that any object may have.
pub fn labels() -> BoxedStrategy<Value> {
    prop::collection::btree_map(label_key(), "([a-zA-Z0-9]([a-zA-Z0-9_.-]{0,12}[a-zA-Z0-9])?)?", 0..4)
        .prop_map(|labels| map(labels.into_iter().map(|(key, value)| (key, Value::from(value)))))
        .boxed()
}

/// Annotations that any object may have.
pub fn annotations() -> BoxedStrategy<Value> {
    prop::collection::btree_map(label_key(), value(), 0..4).prop_map(map).boxed()
}

pub(crate) fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.into_iter().collect::<Map>())
}
