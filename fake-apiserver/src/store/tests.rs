use serde_json::json;

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
