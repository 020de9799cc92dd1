use apimachinery::value::json;

use super::*;

fn config_map(namespace: &str, name: &str, value: i64) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "data": value})
}

#[test]
fn writes_count_revisions_and_check_what_was_read() {
    let store = Store::new(10);
    let first = store.create("configmaps", config_map("a", "x", 1)).unwrap();
    assert_eq!(first.meta("resourceVersion"), first.revision().to_string());
    assert!(matches!(store.create("configmaps", config_map("a", "x", 1)), Err(taken) if taken["data"] == 1));
    let second = store.update("configmaps", first.revision(), config_map("a", "x", 2)).unwrap();
    assert!(second.revision() > first.revision());
    let stale = store.update("configmaps", first.revision(), config_map("a", "x", 3));
    assert!(matches!(stale, Err(WriteError::Changed)));
    assert!(matches!(store.delete("configmaps", "a", "x", first.revision()), Err(WriteError::Changed)));
    assert!(store.delete("configmaps", "a", "x", second.revision()).unwrap().revision() > second.revision());
    assert!(matches!(store.update("configmaps", 0, config_map("a", "x", 3)), Err(WriteError::NotFound)));
    assert!(store.list("configmaps", "").0.is_empty());
}

#[test]
fn a_namespace_is_listed_alone_and_in_key_order() {
    let store = Store::new(10);
    for (namespace, name) in [("a", "z"), ("a-b", "x"), ("a", "b"), ("ab", "x")] {
        store.create("configmaps", config_map(namespace, name, 1)).unwrap();
    }
    let names = |namespace| {
        store.list("configmaps", namespace).0.iter().map(|object| object.key().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("a"), ["a/b", "a/z"]);
    assert_eq!(names(""), ["a-b/x", "a/b", "a/z", "ab/x"]);
}

#[test]
fn the_past_can_be_read_until_the_history_is_full() {
    let store = Store::new(3);
    let first = store.create("configmaps", config_map("a", "x", 1)).unwrap();
    let second = store.update("configmaps", first.revision(), config_map("a", "x", 2)).unwrap();
    store.delete("configmaps", "a", "x", second.revision()).unwrap();
    assert!(store.list_at("configmaps", "", 1).unwrap().is_empty());
    assert_eq!(store.list_at("configmaps", "", first.revision()).unwrap()[0].value()["data"], 1);
    assert_eq!(store.list_at("configmaps", "", second.revision()).unwrap()[0].value()["data"], 2);
    store.create("configmaps", config_map("a", "y", 1)).unwrap();
    assert_eq!(store.list_at("configmaps", "", 1).unwrap_err(), Expired { oldest: first.revision() });
    assert_eq!(store.events_after("configmaps", second.revision()).unwrap().len(), 2);
}

#[tokio::test]
async fn watchers_wake_for_their_table_only() {
    let store = Store::new(3);
    let mut pods = store.subscribe("pods");
    store.create("configmaps", config_map("a", "x", 1)).unwrap();
    assert!(!pods.has_changed().unwrap());
    store.create("pods", config_map("a", "x", 1)).unwrap();
    pods.changed().await.unwrap();
    assert_eq!(*pods.borrow(), store.revision());
}

fn managed(value: i64) -> Value {
    let entry = json!({"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}});
    let mut object = config_map("a", "x", value);
    object["kind"] = "ConfigMap".into();
    object["metadata"]["managedFields"] = json!([entry]);
    object["metadata"]["zone"] = "\"quoted\"".into();
    object
}

#[test]
fn managed_fields_are_kept_apart_and_shown_where_they_were() {
    let store = Store::new(10);
    let stored = store.create("configmaps", managed(1)).unwrap();
    let mut whole = managed(1);
    whole["metadata"]["resourceVersion"] = stored.revision().to_string().into();
    assert_eq!(*stored.whole(), whole);
    assert_eq!(stored.json(), whole.to_string().as_bytes());
    assert_eq!(stored.value()["metadata"].get("managedFields"), None);
    assert_eq!(store.create("configmaps", managed(2)).unwrap_err(), managed(2), "what is given back is what was sent");
    let gone = store.delete("configmaps", "a", "x", stored.revision()).unwrap();
    whole["metadata"]["resourceVersion"] = gone.revision().to_string().into();
    assert_eq!(*gone.whole(), whole);
}

#[test]
fn what_is_nested_too_deep_for_its_text_stays_as_it_is() {
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({ "f:a": deep });
    }
    let mut object = managed(1);
    object["metadata"]["managedFields"][0]["fieldsV1"] = deep.clone();
    for table in ["configmaps", "events"] {
        let store = Store::new(10);
        let stored = store.create(table, object.clone()).unwrap();
        assert_eq!(stored.whole()["metadata"]["managedFields"][0]["fieldsV1"], deep, "{table}");
    }
}

#[test]
fn events_are_kept_as_text_and_read_as_everything_else() {
    let store = Store::new(10);
    let stored = store.create("events", managed(1)).unwrap();
    let mut whole = managed(1);
    whole["metadata"]["resourceVersion"] = stored.revision().to_string().into();
    let again = store.get("events", "a", "x").unwrap();
    assert_eq!((again.value()["data"].as_i64(), again.value()["metadata"].get("managedFields")), (Some(1), None));
    assert_eq!(*again.whole(), whole);
    assert_eq!(again.json(), whole.to_string().as_bytes());
    assert_eq!((again.namespace(), again.name()), ("a", "x"));
    let gone = store.delete("events", "a", "x", stored.revision()).unwrap();
    whole["metadata"]["resourceVersion"] = gone.revision().to_string().into();
    assert_eq!(*gone.whole(), whole);
    assert_eq!(gone.json(), whole.to_string().as_bytes());
}

#[tokio::test(start_paused = true)]
async fn events_go_an_hour_after_they_were_last_written() {
    let store = Store::new(10);
    let pass = |seconds| tokio::time::advance(std::time::Duration::from_secs(seconds));
    let names = || store.list("events", "").0.iter().map(|event| event.name().to_owned()).collect::<Vec<_>>();
    store.create("events", config_map("a", "old", 1)).unwrap();
    let kept = store.create("events", config_map("a", "kept", 1)).unwrap();
    pass(3000).await;
    store.update("events", kept.revision(), config_map("a", "kept", 2)).unwrap();
    pass(3000).await;
    let before = store.revision();
    let new = store.create("events", config_map("a", "new", 1)).unwrap();
    assert_eq!(names(), ["kept", "new"]);
    let events = store.events_after("events", before).unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.event_type, event.object.name(), event.revision)).collect();
    let (at, next) = (new.revision(), new.revision() + 1);
    assert_eq!(told, [(EventType::Added, "new", at), (EventType::Deleted, "old", next)]);
    assert_eq!(store.revision(), next);
}

#[test]
fn events_are_limited_in_number() {
    let store = Store::new(10);
    for number in 0..expiry::MOST + 3 {
        store.create("events", config_map("a", &format!("e{number:06}"), 1)).unwrap();
    }
    let (left, _) = store.list("events", "");
    assert_eq!((left.len(), left[0].name()), (expiry::MOST, "e000003"));
}
