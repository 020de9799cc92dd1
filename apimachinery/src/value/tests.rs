use proptest::prelude::*;

use super::{Map, Value, json};

#[test]
fn a_copy_is_shared_until_it_is_written_to() {
    let whole = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app"}], "volumes": []}});
    let mut copy = whole.clone();
    assert!(copy.is_same(&whole));
    copy["metadata"]["name"] = "shop".into();
    assert!(!copy.is_same(&whole));
    assert!(copy["spec"].is_same(&whole["spec"]), "what was not written to stays shared");
    assert_eq!(whole["metadata"]["name"], "web");
    assert_eq!(copy["metadata"]["name"], "shop");
}

#[test]
fn of_two_fields_with_one_name_the_later_one_stays() {
    let map: Map =
        [("b", 1), ("a", 2), ("b", 3), ("a", 4)].into_iter().map(|(name, number)| (name, number.into())).collect();
    assert_eq!(Value::from(map).to_string(), r#"{"a":4,"b":3}"#);
    let read: Value = serde_json::from_str(r#"{"b":1,"a":2,"b":3}"#).unwrap();
    assert_eq!(read.to_string(), r#"{"a":2,"b":3}"#);
    let mut map = Map::new();
    map.extend([("z".to_owned(), json!(1)), ("b".to_owned(), json!(1)), ("z".to_owned(), json!(2))]);
    map.extend([("b".to_owned(), json!(2))]);
    assert_eq!(Value::from(map).to_string(), r#"{"b":2,"z":2}"#);
}

#[test]
fn a_pointer_finds_what_it_says() {
    let value = json!({"a/b": [{"~": 1}], "": 2});
    assert_eq!(value.pointer("/a~1b/0/~0"), Some(&json!(1)));
    assert_eq!(value.pointer("/"), Some(&json!(2)));
    assert_eq!(value.pointer(""), Some(&value));
    for missing in ["a", "/a~1b/00", "/a~1b/+0", "/a~1b/1", "/x"] {
        assert_eq!(value.pointer(missing), None, "{missing}");
    }
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (-1e300..1e300f64).prop_map(Into::into),
        "\\PC{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,30}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Changes of a map, as serde_json's map would have them.
fn change(theirs: &mut serde_json::Map<String, serde_json::Value>, ours: &mut Map, (name, op): (String, u8)) {
    match op {
        0 => {
            let old = (theirs.remove(&name), ours.remove(&name));
            assert_eq!(old.0, old.1.map(Into::into));
        }
        1 => {
            *theirs.entry(name.clone()).or_insert(serde_json::Value::Null) = true.into();
            *ours.entry(name).or_insert(Value::Null) = true.into();
        }
        2 => {
            theirs.retain(|key, _| *key >= name);
            ours.retain(|key, _| key.as_str() >= name.as_str());
        }
        _ => {
            let old = (theirs.insert(name.clone(), op.into()), ours.insert(name, op.into()));
            assert_eq!(old.0, old.1.map(Into::into));
        }
    }
}

proptest! {
    #[test]
    fn texts_are_read_and_written_as_serde_json_does(value in values()) {
        let text = value.to_string();
        let ours: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(ours.to_string(), serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string());
        prop_assert_eq!(format!("{ours:#}"), format!("{:#}", serde_json::Value::from(ours.clone())));
        let back: serde_json::Value = Value::from(value.clone()).into();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn a_map_changes_as_serde_jsons_does(changes in prop::collection::vec(("[a-d]{0,2}", 0u8..6), 0..40)) {
        let (mut theirs, mut ours) = (serde_json::Map::new(), Map::new());
        for step in changes {
            let (before, text) = (ours.clone(), Value::from(ours.clone()).to_string());
            change(&mut theirs, &mut ours, step);
            prop_assert_eq!(Value::from(ours.clone()).to_string(), serde_json::Value::from(theirs.clone()).to_string());
            prop_assert_eq!(Value::from(before).to_string(), text, "a copy changed");
        }
    }
}
