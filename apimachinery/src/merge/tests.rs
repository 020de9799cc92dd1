use crate::value::{Map, Value, json};
use k8s_openapi::DeepMerge;
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;

use super::{json_merge, strategic};
use crate::schema::{lookup, pod};

fn merged(original: Value, patch: Value) -> Value {
    strategic(original, patch, pod()).unwrap()
}

fn refused(original: Value, patch: Value) -> String {
    strategic(original, patch, pod()).unwrap_err().to_string()
}

fn containers(names: &[&str]) -> Value {
    json!({ "spec": { "containers": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() } })
}

fn names(pod: &Value) -> Vec<&str> {
    pod["spec"]["containers"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn maps_merge_and_null_deletes() {
    assert_eq!(
        merged(
            json!({ "metadata": { "labels": { "a": "1", "b": "2" } } }),
            json!({ "metadata": { "labels": { "a": null, "c": "3" }, "annotations": { "x": "y", "z": null } } })
        ),
        json!({ "metadata": { "labels": { "b": "2", "c": "3" }, "annotations": { "x": "y" } } })
    );
}

#[test]
fn keyed_lists_merge_and_atomic_lists_are_replaced() {
    assert_eq!(
        merged(
            json!({ "spec": { "containers": [{ "name": "app", "args": ["a", "b"], "env": [{ "name": "X", "value": "1" }], "new": 1 }] } }),
            json!({ "spec": { "containers": [{ "name": "app", "args": ["c"], "env": [{ "name": "X", "value": "2" }, { "name": "Y" }] }] } })
        ),
        json!({ "spec": { "containers": [{ "name": "app", "args": ["c"], "env": [{ "name": "X", "value": "2" }, { "name": "Y" }], "new": 1 }] } })
    );
}

#[test]
fn new_items_come_before_what_is_left_of_the_original() {
    assert_eq!(names(&merged(containers(&["a", "b"]), containers(&["p"]))), ["p", "a", "b"]);
    assert_eq!(names(&merged(containers(&["a", "b", "c"]), containers(&["b", "p"]))), ["a", "b", "p", "c"]);
    assert_eq!(names(&merged(containers(&["a", "b", "c"]), containers(&["c", "a"]))), ["b", "c", "a"]);
    assert_eq!(names(&merged(containers(&["a"]), containers(&["p", "p", "q"]))), ["p", "q", "a"]);
}

#[test]
fn items_with_one_key_twice_merge_into_the_first() {
    let ports = |ports: Value| json!({ "spec": { "containers": [{ "name": "a", "ports": ports }] } });
    assert_eq!(
        merged(
            ports(json!([{ "containerPort": 80, "protocol": "TCP" }, { "containerPort": 80, "protocol": "UDP" }])),
            ports(json!([{ "containerPort": 80, "name": "dns" }]))
        ),
        ports(
            json!([{ "containerPort": 80, "protocol": "TCP", "name": "dns" }, { "containerPort": 80, "protocol": "UDP" }])
        )
    );
}

#[test]
fn directives_on_maps() {
    let original = json!({ "spec": { "securityContext": { "runAsUser": 1, "fsGroup": 2 } } });
    assert_eq!(
        merged(original.clone(), json!({ "spec": { "securityContext": { "$patch": "replace", "runAsUser": 3 } } })),
        json!({ "spec": { "securityContext": { "runAsUser": 3 } } })
    );
    assert_eq!(
        merged(original.clone(), json!({ "spec": { "securityContext": { "$patch": "delete" } } })),
        json!({ "spec": { "securityContext": {} } })
    );
    assert_eq!(
        merged(
            original.clone(),
            json!({ "spec": { "securityContext": { "$retainKeys": ["runAsUser"], "runAsUser": 3 } } })
        ),
        json!({ "spec": { "securityContext": { "runAsUser": 3 } } })
    );
    assert_eq!(
        refused(original.clone(), json!({ "spec": { "securityContext": { "$retainKeys": ["x"], "runAsUser": 3 } } })),
        "invalid patch format of retainKeys"
    );
    assert_eq!(
        refused(original, json!({ "spec": { "securityContext": { "$patch": "merge" } } })),
        "unknown patch type: merge in map: map[$patch:merge]"
    );
    assert_eq!(
        merged(
            json!({}),
            json!({ "spec": { "affinity": { "$patch": "delete" }, "dnsConfig": { "$retainKeys": ["searches"], "searches": [] } } })
        ),
        json!({ "spec": { "dnsConfig": { "searches": [] } } })
    );
}

#[test]
fn directives_on_items() {
    assert_eq!(
        merged(containers(&["a", "b"]), json!({ "spec": { "containers": [{ "$patch": "delete", "name": "b" }] } })),
        containers(&["a"])
    );
    assert_eq!(
        merged(
            containers(&["a", "b"]),
            json!({ "spec": { "containers": [{ "$patch": "replace" }, { "name": "c" }] } })
        ),
        containers(&["c"])
    );
    assert_eq!(
        refused(containers(&["a"]), json!({ "spec": { "containers": [{ "$patch": "merge", "name": "a" }] } })),
        "merging lists cannot yet be specified in the patch"
    );
    assert_eq!(
        refused(containers(&["a"]), json!({ "spec": { "containers": [{ "$patch": "delete" }] } })),
        "map: map[$patch:delete] does not contain declared merge key: name"
    );
}

#[test]
fn lists_of_scalars_are_sets() {
    let finalizers = |items: &[&str]| json!({ "metadata": { "finalizers": items } });
    assert_eq!(merged(finalizers(&["a", "b"]), finalizers(&["c", "a", "c"])), finalizers(&["c", "a", "b"]));
    assert_eq!(
        merged(finalizers(&["a", "b"]), json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] } })),
        finalizers(&["b"])
    );
    assert_eq!(
        refused(finalizers(&["a"]), json!({ "metadata": { "finalizers": ["b", 1] } })),
        "list element types are not identical: [[a] [b 1]]"
    );
}

/// `api-basics/strategic-merge-pod`, and Istio's `tmpl-setelementorder`, whose empty pod has a null list.
#[test]
fn element_order_is_set() {
    let patch = json!({ "spec": {
        "$setElementOrder/containers": [{ "name": "b" }, { "name": "c" }, { "name": "a" }],
        "containers": [{ "name": "c", "image": "c" }]
    } });
    assert_eq!(names(&merged(containers(&["a", "b"]), patch.clone())), ["b", "c", "a"]);
    assert_eq!(names(&merged(containers(&["x", "a", "b", "y"]), patch.clone())), ["x", "b", "c", "a", "y"]);
    assert_eq!(
        refused(json!({ "spec": { "containers": null } }), patch),
        "expected a []interface {}, but received a %!s(<nil>)"
    );
    assert_eq!(
        refused(
            containers(&["a"]),
            json!({ "spec": { "$setElementOrder/containers": [{ "name": "a" }], "containers": [{ "name": "z" }] } })
        ),
        "The order in patch list:\n[map[name:z]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n"
    );
}

/// `api-basics/strategic-merge-pod`
#[test]
fn an_item_without_its_key_is_refused() {
    let deployment = |containers: Value| json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    let error = strategic(
        deployment(json!([{ "name": "a" }])),
        deployment(json!([{ "image": "noname" }])),
        lookup("apps", "v1", "Deployment").unwrap(),
    );
    assert_eq!(error.unwrap_err().to_string(), "map: map[image:noname] does not contain declared merge key: name");
}

#[test]
fn replaced_strategies_replace() {
    let deployment = lookup("apps", "v1", "Deployment").unwrap();
    let strategy = |strategy: Value| json!({ "spec": { "strategy": strategy } });
    assert_eq!(
        strategic(
            strategy(json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } })),
            strategy(json!({ "$retainKeys": ["type"], "type": "Recreate" })),
            deployment
        )
        .unwrap(),
        strategy(json!({ "type": "Recreate" }))
    );
}

#[test]
fn merge_patches_of_rfc_7386() {
    for (original, patch, result) in [
        (json!({ "a": "b" }), json!({ "a": "c" }), json!({ "a": "c" })),
        (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
        (json!({ "a": ["b"] }), json!({ "a": "c" }), json!({ "a": "c" })),
        (json!({ "a": { "b": "c" } }), json!({ "a": { "b": "d", "c": null } }), json!({ "a": { "b": "d" } })),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (json!({ "e": null }), json!({ "a": 1 }), json!({ "e": null, "a": 1 })),
        (json!([1, 2]), json!({ "a": "b", "c": null }), json!({ "a": "b" })),
        (json!({}), json!({ "a": { "bb": { "ccc": null } } }), json!({ "a": { "bb": {} } })),
    ] {
        assert_eq!(json_merge(original, patch), result);
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-d]"
}

/// A list of maps, told apart by `key`, in any order.
fn keyed<K>(
    key: &'static str,
    keys: impl Strategy<Value = K>,
    rest: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Value>
where
    K: Ord + Into<Value> + std::fmt::Debug,
{
    prop::collection::btree_map(keys, rest, 0..4)
        .prop_map(move |items| {
            items
                .into_iter()
                .map(|(name, mut item)| {
                    item[key] = name.into();
                    item
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
        .prop_map(Value::from)
}

fn some_of(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| prop::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value))))
        .collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect())).boxed()
}

fn text() -> BoxedStrategy<Value> {
    word().prop_map(Value::from).boxed()
}

fn texts() -> BoxedStrategy<Value> {
    prop::collection::vec(word(), 0..3).prop_map(Value::from).boxed()
}

fn label_map() -> BoxedStrategy<Value> {
    prop::collection::btree_map(word(), word(), 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().map(|(key, value)| (key, Value::from(value))).collect()))
        .boxed()
}

fn some_pod() -> impl Strategy<Value = Value> {
    let env = keyed("name", word(), some_of(vec![("value", text())])).boxed();
    let ports = keyed("containerPort", 1..4u32, some_of(vec![("name", text()), ("hostIP", text())])).boxed();
    let mounts = keyed(
        "mountPath",
        word(),
        some_of(vec![("subPath", text())]).prop_map(|mut mount| {
            mount["name"] = "v".into();
            mount
        }),
    );
    let security = some_of(vec![
        ("runAsUser", (0..3u32).prop_map(Value::from).boxed()),
        ("privileged", any::<bool>().prop_map(Value::from).boxed()),
    ]);
    let container = some_of(vec![
        ("image", text()),
        ("args", texts()),
        ("command", texts()),
        ("env", env),
        ("ports", ports),
        ("volumeMounts", mounts.boxed()),
        ("securityContext", security),
    ]);
    let volume = some_of(vec![
        ("configMap", word().prop_map(|name| json!({ "name": name })).boxed()),
        ("emptyDir", Just(json!({})).boxed()),
    ]);
    let spec = some_of(vec![
        ("containers", keyed("name", word(), container.clone()).boxed()),
        ("initContainers", keyed("name", word(), container).boxed()),
        ("volumes", keyed("name", word(), volume).boxed()),
        ("imagePullSecrets", keyed("name", word(), Just(json!({}))).boxed()),
        ("hostAliases", keyed("ip", word(), some_of(vec![("hostnames", texts())])).boxed()),
        ("restartPolicy", text()),
    ]);
    let metadata = some_of(vec![
        ("labels", label_map()),
        ("annotations", label_map()),
        ("finalizers", prop::collection::btree_set(word(), 0..3).prop_map(|set| json!(set)).boxed()),
    ]);
    some_of(vec![("metadata", metadata), ("spec", spec)]).prop_map(|mut pod| {
        // The typed pod always prints these.
        pod["metadata"] = pod["metadata"].as_object().cloned().unwrap_or_default().into();
        if pod.get("spec").is_some_and(|spec| spec.get("containers").is_none()) {
            pod["spec"]["containers"] = json!([]);
        }
        pod
    })
}

/// Sorts lists of maps and of words, so that only their contents are compared.
fn sorted(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| sorted(value, key)),
        Value::Array(items) => {
            items.iter_mut().for_each(|item| sorted(item, ""));
            if key != "args" && key != "command" && key != "hostnames" {
                items.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}

fn through_type(pod: &Value) -> Pod {
    crate::value::from_value(pod.clone()).unwrap()
}

/// Empty lists are left out by the typed pod.
fn without_empty_lists(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
            fields.values_mut().for_each(without_empty_lists);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty_lists),
        _ => {}
    }
}

/// Law: linear cost, whatever comes and goes.
#[test]
fn many_fields_come_and_go() {
    let labels = |from: usize, value: &dyn Fn(usize) -> Value| -> Value {
        let labels = (from..200_000).step_by(2).map(|number| (format!("l{number:06}"), value(number)));
        json!({ "metadata": { "labels": labels.collect::<Map>() } })
    };
    let text = |number: usize| number.to_string().into();
    let merges: [fn(Value, Value) -> Value; 2] = [merged, json_merge];
    for merge in merges {
        let all = merge(labels(0, &text), labels(1, &text));
        assert_eq!(all["metadata"]["labels"].as_object().unwrap().len(), 200_000);
        let half = merge(all, labels(0, &|_| Value::Null));
        assert_eq!(half, labels(1, &text));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// On the fields it knows, the typed merge of k8s-openapi has the same contents, if in another order.
    #[test]
    fn agrees_with_the_typed_merge(original in some_pod(), patch in some_pod()) {
        let mut typed = through_type(&original);
        typed.merge_from(through_type(&patch));
        let mut typed = crate::value::to_value(typed).unwrap();
        let result = merged(original, patch);
        let mut ours = crate::value::to_value(through_type(&result)).unwrap();
        for pod in [&mut typed, &mut ours] {
            sorted(pod, "");
            without_empty_lists(pod);
        }
        prop_assert_eq!(ours, typed);
    }

    #[test]
    fn merging_a_pod_with_itself_or_nothing_changes_nothing(pod in some_pod()) {
        prop_assert_eq!(merged(pod.clone(), json!({})), pod.clone());
        prop_assert_eq!(merged(pod.clone(), pod.clone()), pod.clone());
        prop_assert_eq!(merged(json!({}), pod.clone()), pod);
    }

    #[test]
    fn nothing_is_lost_from_unknown_fields(pod in some_pod(), patch in some_pod(), extra in "[a-z]{1,8}") {
        let mut with = pod.clone();
        with["spec"]["xUnknown"] = json!({ &extra: [1, { "a": 2 }] });
        let result = merged(with, patch);
        prop_assert_eq!(&result["spec"]["xUnknown"], &json!({ &extra: [1, { "a": 2 }] }));
    }

    #[test]
    fn no_patch_makes_it_panic(original in wild(), patch in wild()) {
        let _ = strategic(json!({ "spec": original.clone() }), json!({ "spec": patch.clone() }), pod());
        let _ = json_merge(original, patch);
    }
}

/// JSON with the words that matter.
fn wild() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("containers"),
        Just("name"),
        Just("env"),
        Just("ports"),
        Just("containerPort"),
        Just("volumes"),
        Just("args"),
        Just("$patch"),
        Just("$retainKeys"),
        Just("$setElementOrder/containers"),
        Just("$setElementOrder"),
        Just("$deleteFromPrimitiveList/args"),
        Just("$setElementOrder/env"),
        Just("finalizers"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(1)),
        Just(json!(1.5)),
        Just(json!("a")),
        Just(json!("delete")),
        Just(json!("replace")),
        Just(json!("merge")),
        Just(json!([])),
        Just(json!({})),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}
