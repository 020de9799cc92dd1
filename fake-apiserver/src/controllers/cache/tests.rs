use apimachinery::value::{Value, json};

use super::*;

fn pod(name: &str, owner: &str) -> Value {
    let references = if owner.is_empty() { json!([]) } else { json!([{ "uid": owner, "controller": true }]) };
    json!({ "metadata": { "namespace": "n", "name": name, "ownerReferences": references } })
}

fn names(objects: &[Arc<Object>]) -> Vec<&str> {
    objects.iter().map(|object| object.name()).collect()
}

#[test]
fn the_index_follows_the_store() {
    let store = Arc::new(Store::new(100));
    store.create("pods", pod("before", "u1")).unwrap();
    let cache = Cache::new(store.clone());
    assert_eq!(names(&cache.owned(&kinds::POD, "u1")), ["before"]);

    let orphan = store.create("pods", pod("orphan", "")).unwrap();
    assert_eq!(names(&cache.orphans(&kinds::POD, "n")), ["orphan"]);
    assert!(cache.orphans(&kinds::POD, "other").is_empty());

    store.update("pods", orphan.revision(), pod("orphan", "u1")).unwrap();
    assert_eq!(names(&cache.owned(&kinds::POD, "u1")), ["before", "orphan"]);
    assert!(cache.orphans(&kinds::POD, "n").is_empty());

    let adopted = store.get("pods", "n", "orphan").unwrap();
    store.delete("pods", "n", "orphan", adopted.revision()).unwrap();
    assert_eq!(names(&cache.owned(&kinds::POD, "u1")), ["before"]);
}

#[test]
fn a_history_that_is_too_short_costs_a_list() {
    let store = Arc::new(Store::new(2));
    let cache = Cache::new(store.clone());
    for n in 0..10 {
        store.create("pods", pod(&format!("p{n}"), "u1")).unwrap();
    }
    assert_eq!(cache.owned(&kinds::POD, "u1").len(), 10);
    assert_eq!(cache.owned(&kinds::POD, "u1").len(), 10);
}
