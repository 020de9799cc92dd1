//! Objects that no apiserver would send, or none that exists yet.

use apimachinery::value::{Value, json};
use proptest::prelude::*;

use super::pod::legal;
use super::text::map;

/// A legal pod in which parts were replaced, removed or added at random, or no pod at all.
pub fn pod() -> BoxedStrategy<Value> {
    prop_oneof![
        6 => (legal(), prop::collection::vec(damage(), 1..6)).prop_map(|(mut pod, all)| {
            for damage in all {
                damage.apply(&mut pod);
            }
            pod
        }),
        1 => anything(),
        1 => anything().prop_map(|spec| json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec })),
    ]
    .boxed()
}

/// A legal pod with fields that no API knows, at any depth.
pub fn with_unknown_fields() -> BoxedStrategy<Value> {
    let unknown = ("x[A-Z][a-z]{2,6}", anything(), any::<prop::sample::Index>());
    (super::pod::injectable(), prop::collection::vec(unknown, 1..5))
        .prop_map(|(mut pod, fields)| {
            for (name, value, place) in fields {
                if let Some(target) = nth_object(&mut pod, place) {
                    target.insert(name, value);
                }
            }
            pod
        })
        .boxed()
}

/// JSON of any shape, with the names that pods use.
pub fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        3 => prop::sample::select(vec![
            "metadata", "spec", "name", "labels", "annotations", "containers", "initContainers", "volumes", "env", "ports",
            "livenessProbe", "httpGet", "port", "image", "securityContext", "ownerReferences", "imagePullSecrets", "status",
        ])
        .prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..5).prop_map(map),
        ]
    })
    .boxed()
}

/// One thing done to one place of an object.
#[derive(Debug, Clone)]
struct Damage {
    place: prop::sample::Index,
    field: prop::sample::Index,
    /// `None` removes.
    value: Option<Value>,
}

fn damage() -> impl Strategy<Value = Damage> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), prop::option::of(anything()))
        .prop_map(|(place, field, value)| Damage { place, field, value })
}

impl Damage {
    fn apply(self, pod: &mut Value) {
        let Some(target) = nth_object(pod, self.place) else { return };
        if target.is_empty() {
            return;
        }
        let Some(key) = target.keys().nth(self.field.index(target.len())).cloned() else { return };
        match self.value {
            Some(value) => target.insert(key, value),
            None => target.remove(&key),
        };
    }
}

/// One of the objects within a value, itself included.
fn nth_object(value: &mut Value, place: prop::sample::Index) -> Option<&mut apimachinery::value::Map> {
    let objects = objects(value);
    if objects.is_empty() {
        return None;
    }
    value.pointer_mut(&objects[place.index(objects.len())])?.as_object_mut()
}

/// JSON pointers to all objects within a value.
fn objects(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![(String::new(), value)];
    while let Some((path, value)) = rest.pop() {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    rest.push((format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), value));
                }
                found.push(path);
            }
            Value::Array(items) => {
                rest.extend(items.iter().enumerate().map(|(at, item)| (format!("{path}/{at}"), item)));
            }
            _ => {}
        }
    }
    found
}
