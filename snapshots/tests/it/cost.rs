//! The patch says what is new; how large the pod is does not matter to it.

use apimachinery::value::Value;
use injector::Injector;
use injector::boxed::ALL;
use snapshots::large;

use crate::support::{injectors, load, patched, review};

/// Operations and bytes of a patch.
fn cost(injector: &Injector, pod: &Value) -> (usize, usize) {
    let injected = injector.inject_object(pod, "shop", "/inject").unwrap();
    assert!(injected.decision.inject);
    patched(pod, &injected).unwrap();
    (injected.patch.len(), injector::patch::to_bytes(&injected.patch).len())
}

#[test]
fn a_thousand_variables_do_not_show_in_the_patch() {
    for (era, injector) in injectors() {
        assert_eq!(cost(injector, &large::with_env(10)), cost(injector, &large::with_env(1000)), "{era}");
    }
}

/// Each container has a probe and a port, which the patch names: so it grows by a constant for each, and not at all by
/// rewriting the list.
#[test]
fn thirty_containers_cost_thirty_times_one_at_most() {
    for (era, injector) in injectors() {
        let (one, two, thirty) = (
            cost(injector, &large::with_containers(1)),
            cost(injector, &large::with_containers(2)),
            cost(injector, &large::with_containers(30)),
        );
        assert_eq!(thirty.0, one.0 + 29 * (two.0 - one.0), "{era}");
        assert!(thirty.1 <= one.1 + 29 * (two.1 - one.1 + 16), "{era}: {one:?} {two:?} {thirty:?}");
    }
}

/// Nothing random, no order of hashing: two injectors give the same bytes, with and without the cache.
#[test]
fn the_same_review_gives_the_same_bytes() {
    for boxed in &ALL {
        let (one, other) = (load(boxed), load(boxed));
        for pod in [large::ordinary(), large::with_env(100), large::with_containers(30)] {
            let body = review(&pod);
            let first = one.review(&body, "/inject").body;
            assert_eq!(first, one.review(&body, "/inject").body, "{}", boxed.name);
            assert_eq!(first, other.review_uncached(&body, "/inject").body, "{}", boxed.name);
        }
    }
}
