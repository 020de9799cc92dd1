use apimachinery::value::{Value, json};

use super::*;

const CONFIG_MAP: Target<'static> = Target::new("", "v1", "ConfigMap");

fn by<'a>(manager: &'a str, time: &'a str) -> Writer<'a> {
    Writer { manager, subresource: "", time }
}

fn owners(object: &Value) -> Vec<(String, Value)> {
    list(&object["metadata"], "managedFields")
        .iter()
        .map(|entry| (format!("{} {}", text(entry, "manager"), text(entry, "operation")), entry["fieldsV1"].clone()))
        .collect()
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": data})
}

#[test]
fn applying_as_recorded() {
    // api-basics/ssa-lifecycle, step by step.
    let one = apply(CONFIG_MAP, None, &config(json!({"a": "1", "b": "1"})), &by("one", "T1"), false).expect("creates");
    assert_eq!(owners(&one), [("one Apply".to_owned(), json!({"f:data": {"f:a": {}, "f:b": {}}}))]);

    let refused =
        apply(CONFIG_MAP, Some(&one), &config(json!({"a": "2"})), &by("two", "T2"), false).expect_err("a conflict");
    assert_eq!(refused["message"], "Apply failed with 1 conflict: conflict with \"one\": .data.a");

    let two = apply(CONFIG_MAP, Some(&one), &config(json!({"a": "2"})), &by("two", "T2"), true).expect("forced");
    assert_eq!(two["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(
        owners(&two),
        [
            ("one Apply".to_owned(), json!({"f:data": {"f:b": {}}})),
            ("two Apply".to_owned(), json!({"f:data": {"f:a": {}}})),
        ]
    );

    let same =
        apply(CONFIG_MAP, Some(&two), &config(json!({"b": "1"})), &by("one", "T3"), false).expect("nothing to do");
    assert_eq!(same, two);

    let less = apply(CONFIG_MAP, Some(&two), &config(json!({})), &by("one", "T4"), false).expect("gives up b");
    assert_eq!(less["data"], json!({"a": "2"}));
    assert_eq!(owners(&less)[1], ("one Apply".to_owned(), json!({"f:data": {}})));
}

#[test]
fn applying_what_the_type_does_not_have() {
    let mut body = config(json!({}));
    body["bogus"] = json!(1);
    let refused = apply(CONFIG_MAP, None, &body, &by("x", "T"), false).expect_err("no such field");
    let text = "failed to create typed patch object (/s; /v1, Kind=ConfigMap): .bogus: field not declared in schema";
    assert_eq!((refused["message"].as_str(), refused["code"].as_u64()), (Some(text), Some(500)));
}

#[test]
fn updates_take_what_they_change() {
    let mut first = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "1"}}});
    update(CONFIG_MAP, None, &mut first, &by("one", "T1"));
    assert_eq!(owners(&first), [("one Update".to_owned(), json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}))]);

    let mut second = first.clone();
    second["metadata"]["labels"]["a"] = json!("2");
    second["data"] = json!({"k": "v"});
    update(CONFIG_MAP, Some(&first), &mut second, &by("two", "T2"));
    assert_eq!(
        owners(&second),
        [
            ("one Update".to_owned(), json!({"f:metadata": {"f:labels": {}}})),
            ("two Update".to_owned(), json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {"f:a": {}}}})),
        ]
    );

    let mut third = second.clone();
    get::remove(&mut third, "data");
    update(CONFIG_MAP, Some(&second), &mut third, &by("one", "T3"));
    assert_eq!(owners(&third)[1].1, json!({"f:metadata": {"f:labels": {"f:a": {}}}}));
    assert!(!is_same(&second, &third));
    assert!(is_same(&third, &third.clone()));
}

#[test]
fn who_is_not_touched_keeps_what_was_written() {
    let mut first = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "1"}}});
    update(CONFIG_MAP, None, &mut first, &by("one", "T1"));
    // Not as this module would write it.
    first["metadata"]["managedFields"][0]["note"] = "theirs".into();
    let entry = first["metadata"]["managedFields"][0].clone();
    let mut second = first.clone();
    second["metadata"].as_object_mut().unwrap().remove("managedFields");
    second["data"] = json!({"k": "v"});
    update(CONFIG_MAP, Some(&first), &mut second, &by("two", "T0"));
    let list = second["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!((list.len(), &list[1]), (2, &entry), "sorted by time");
    let mut third = second.clone();
    third["metadata"]["labels"]["a"] = json!("2");
    update(CONFIG_MAP, Some(&second), &mut third, &by("two", "T3"));
    assert_eq!(owners(&third)[1].1, json!({"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {"f:a": {}}}}));
    assert_eq!(owners(&third)[0].1, json!({"f:metadata": {"f:labels": {}}}));
    let mut same = third.clone();
    same["metadata"]["managedFields"][1]["time"] = "T9".into();
    assert!(is_same(&third, &same));
    same["metadata"]["managedFields"][1]["manager"] = "three".into();
    assert!(!is_same(&third, &same));
}

#[test]
fn an_emptied_list_stays_empty() {
    let live = config(json!({"a": "1"}));
    let mut new = config(json!({"a": "2"}));
    update(CONFIG_MAP, Some(&live), &mut new, &by("one", "T"));
    assert!(owners(&new).is_empty());
}

#[test]
fn managers_are_named_by_their_user_agents() {
    assert_eq!(manager(None, "refclient/1.0"), "refclient");
    assert_eq!(manager(Some(""), "kubectl/v1.36 (linux)"), "kubectl");
    assert_eq!(manager(Some("mine"), "kubectl/v1.36"), "mine");
    assert_eq!(manager(None, &"é".repeat(100)).len(), 128);
}

/// The fields of a create, found the long way round: by a comparison with an object in which nothing is set.
fn compared(target: Target<'_>, object: &Value) -> Value {
    let mut managed = Vec::new();
    let comparison = compare(target, zero(target), object);
    let ignored = strategy::reset_fields(target, "");
    let (taken, removed) = comparison.changes(&ignored);
    take(&mut managed, taken, &removed, &by("one", "T1"), &target.api_version());
    let mut object = object.clone();
    write_list(&mut object, managed);
    object
}

#[test]
fn a_create_owns_what_a_comparison_with_nothing_finds() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running"},
        "metadata": {
            "name": "p", "namespace": "n", "generation": 3, "uid": "u", "labels": {"a": "1"}, "annotations": {},
            "finalizers": ["x/a", "x/b", "x/a"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "u1"}],
        },
        "spec": {
            "nodeSelector": {}, "volumes": null, "hostAliases": [], "securityContext": {"runAsUser": 1},
            "containers": [
                {
                    "name": "a", "resources": {}, "env": [{"name": "X"}, {"name": "Y", "value": "1"}, {"name": "X"}],
                    "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80}],
                },
                {"name": "b", "resources": {"limits": {"cpu": "1"}}, "command": ["x"]},
            ],
        },
    });
    let free = json!({"apiVersion": "x.io/v1", "kind": "Free", "metadata": {"name": "f"}, "a": {"b": [1], "c": {}}, "d": null});
    let none = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    for (target, object) in [
        (Target::new("", "v1", "Pod"), pod),
        (Target::new("x.io", "v1", "Free"), free),
        (CONFIG_MAP, config(json!({"a": "1"}))),
        (CONFIG_MAP, none),
    ] {
        let mut tracked = object.clone();
        update(target, None, &mut tracked, &by("one", "T1"));
        assert_eq!(tracked, compared(target, &object));
    }
}
