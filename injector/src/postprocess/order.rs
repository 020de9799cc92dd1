//! The order of containers.

use std::collections::HashMap;

use apimachinery::value::Value;

use crate::pod::{self, CORE_DUMP, INIT, PROXY, VALIDATION};

/// Puts the injected containers where they have to start.
///
/// The proxy is the last container, or the first if applications wait for it. A native sidecar starts right after the
/// redirection is set up; otherwise the redirection comes after the user's own init containers, which need a network.
pub(crate) fn arrange(target: &mut Value, hold: bool) {
    if let Some(containers) = pod::list_mut(target, "containers") {
        place(containers, PROXY, hold);
    }
    let Some(init) = pod::list_mut(target, "initContainers") else { return };
    if init.iter().any(|c| pod::name(c) == PROXY) {
        for name in [CORE_DUMP, PROXY, VALIDATION, INIT] {
            place(init, name, true);
        }
    } else {
        place(init, VALIDATION, true);
        place(init, INIT, false);
        place(init, CORE_DUMP, false);
    }
}

fn place(list: &mut [Value], name: &str, first: bool) {
    let Some(at) = list.iter().position(|c| pod::name(c) == name) else { return };
    if first {
        if let Some(head) = list.get_mut(..=at) {
            head.rotate_right(1);
        }
    } else if let Some(tail) = list.get_mut(at..) {
        tail.rotate_left(1);
    }
}

/// On a pod that was injected before, lists inside it keep the order that they had; what is new comes after.
///
/// Merging again would put the template's items first and so permute them, although nothing changed.
pub(crate) fn keep(target: &mut Value, before: &Value) {
    for key in ["volumes", "imagePullSecrets"] {
        if let Some(list) = pod::list_mut(target, key) {
            keep_list(list, pod::list(before, key), "name");
        }
    }
    for key in ["containers", "initContainers"] {
        let old: HashMap<&str, &Value> = pod::list(before, key).iter().map(|c| (pod::name(c), c)).collect();
        for container in pod::list_mut(target, key).into_iter().flatten() {
            let Some(old) = old.get(pod::name(container)) else { continue };
            for (field, merge_key) in [("env", "name"), ("volumeMounts", "mountPath"), ("ports", "containerPort")] {
                let items = container.get_mut(field).and_then(Value::as_array_mut);
                if let (Some(items), Some(old)) = (items, old.get(field).and_then(Value::as_array)) {
                    keep_list(items, old, merge_key);
                }
            }
        }
    }
}

fn keep_list(list: &mut [Value], before: &[Value], key: &str) {
    let of = |item: &Value| match item.get(key) {
        Some(Value::String(s)) => Some(s.to_string()),
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    let mut places: HashMap<String, usize> = HashMap::with_capacity(before.len());
    for (i, item) in before.iter().enumerate() {
        if let Some(key) = of(item) {
            places.entry(key).or_insert(i);
        }
    }
    list.sort_by_cached_key(|item| of(item).and_then(|k| places.get(&k).copied()).unwrap_or(usize::MAX));
}
