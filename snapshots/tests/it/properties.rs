//! What must hold for every pod.

use apimachinery::value::Value;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use snapshots::generate::{pod, wild};

use crate::support::{injectors, patched, review};

fn configuration() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/proptest-regressions/properties.txt"
        )))),
        ..ProptestConfig::default()
    }
}

fn fail<T>(result: Result<T, String>) -> Result<T, TestCaseError> {
    result.map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn patches_apply_strictly_and_touch_only_what_they_mean_to(pod in pod::injectable()) {
        for (era, injector) in injectors() {
            let Ok(injected) = injector.inject_object(&pod, "shop", "/inject") else { continue };
            prop_assert!(injected.decision.inject, "{era}: {}", injected.decision.summary());
            let after = fail(patched(&pod, &injected))?;
            fail(kept(&pod, &after, &mut Vec::new()).map_err(|lost| format!("{era}: {lost}")))?;
        }
    }

    #[test]
    fn unknown_fields_survive(pod in wild::with_unknown_fields()) {
        for (era, injector) in injectors() {
            let Ok(injected) = injector.inject_object(&pod, "shop", "/inject") else { continue };
            let after = fail(patched(&pod, &injected))?;
            fail(kept(&pod, &after, &mut Vec::new()).map_err(|lost| format!("{era}: {lost}")))?;
        }
    }

    #[test]
    fn injecting_twice_changes_nothing(pod in pod::injectable()) {
        for (era, injector) in injectors() {
            let Ok(injected) = injector.inject_object(&pod, "shop", "/inject") else { continue };
            let once = fail(patched(&pod, &injected))?;
            let again = injector.inject_object(&once, "shop", "/inject");
            let again = fail(again.map_err(|error| format!("{era}: {error}")))?;
            prop_assert_eq!(fail(patched(&once, &again))?, once, "{}", era);
        }
    }

    #[test]
    fn what_is_not_injected_is_not_touched(pod in pod::legal()) {
        for (era, injector) in injectors() {
            let Ok(injected) = injector.inject_object(&pod, "shop", "/inject") else { continue };
            prop_assert!(injected.decision.inject || injected.patch.is_empty(), "{era}");
            prop_assert!(injected.decision.rules.last().is_some_and(|line| line.decided), "{era}");
            fail(patched(&pod, &injected))?;
        }
    }

    #[test]
    fn no_object_makes_it_panic(object in wild::pod()) {
        for (era, injector) in injectors() {
            if let Ok(injected) = injector.inject_object(&object, "shop", "/inject") {
                fail(patched(&object, &injected).map_err(|error| format!("{era}: {error}")))?;
            }
            let body = review(&object);
            prop_assert_eq!(injector.review(&body, "/inject").body, injector.review_uncached(&body, "/inject").body, "{}", era);
        }
    }
}

/// The properties would hold for no pods as well.
#[test]
fn most_pods_that_can_be_injected_are() {
    let mut runner = TestRunner::deterministic();
    for (era, injector) in injectors() {
        let injected = (0..200)
            .filter(|_| {
                let pod = pod::injectable().new_tree(&mut runner).unwrap().current();
                injector.inject_object(&pod, "shop", "/inject").is_ok_and(|injected| !injected.patch.is_empty())
            })
            .count();
        assert!(injected > 150, "{era}: {injected} of 200");
    }
}

/// Fields that injection may change: probes and hooks are redirected, the proxy is the injector's own, metrics are merged.
const MAY_CHANGE: [&str; 4] = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];

/// Whether everything in `before` is still in `after`. Items with a name or a path are looked for by it, other lists must
/// be equal.
fn kept(before: &Value, after: &Value, path: &mut Vec<String>) -> Result<(), String> {
    let lost = |path: &[String], what: &str| Err(format!("/{} {what}", path.join("/")));
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                if MAY_CHANGE.contains(&key.as_str()) || key.starts_with("prometheus") {
                    continue;
                }
                path.push(key.clone().into());
                match after.get(key) {
                    Some(after) => kept(value, after, path)?,
                    None => return lost(path, "is gone"),
                }
                path.pop();
            }
            Ok(())
        }
        (Value::Array(before), Value::Array(after)) if told_apart(before) => {
            for item in before {
                let name = identity(item);
                if name == Some("istio-proxy") {
                    continue;
                }
                path.push(name.unwrap_or_default().to_owned());
                match after.iter().find(|other| identity(other) == name) {
                    Some(other) => kept(item, other, path)?,
                    None => return lost(path, "is gone"),
                }
                path.pop();
            }
            Ok(())
        }
        _ if before == after => Ok(()),
        _ => lost(path, &format!("was {before} and is {after}")),
    }
}

/// Whether each item has an identity of its own.
fn told_apart(items: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::new();
    items.iter().all(|item| identity(item).is_some_and(|identity| seen.insert(identity)))
}

fn identity(item: &Value) -> Option<&str> {
    item.get("mountPath").or_else(|| item.get("name"))?.as_str()
}
