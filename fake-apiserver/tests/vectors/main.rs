//! The recordings of a real kube-apiserver, replayed in this process: each case in a cluster of its own, with the webhooks
//! that it was recorded with on connections in memory (TLS included), under paused time.
//!
//! ```text
//! pack ──► run ──► step ──► client          requests, as recorded, with the names of now
//!           │       ├─────► compare ──► text, shape     what differs from run to run is taken out first
//!           │       └─────► calls           what webhooks were asked, by whom, in which order
//!           ├─────► wait, world, watch      what the recording session did besides
//!           └─────► server ──► program, pki the webhook servers, and how they answer or fail
//! expect                                     what is left out, and what is known to differ
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

mod calls;
mod client;
mod compare;
mod expect;
mod pack;
mod pki;
mod program;
mod run;
mod server;
mod shape;
mod step;
mod text;
mod wait;
mod watch;
mod world;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use apimachinery::value::Value;

/// Replays a case; what differs, as text.
fn replay(case: Value) -> Vec<String> {
    let id = case["id"].as_str().unwrap_or_default().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let replayed =
        catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { Box::pin(run::Run::begin(case)).await.go().await })));
    match replayed {
        Ok(found) => {
            found.iter().filter(|found| !expect::is_unstable(&id, &found.place)).map(ToString::to_string).collect()
        }
        Err(_) => vec!["  the replay panicked".to_owned()],
    }
}

/// Replays the cases of a group. `VECTOR=<part of an id>` picks some of them.
fn group(name: &str) {
    let failing = expect::failing();
    let picked = std::env::var("VECTOR").unwrap_or_default();
    let mut report = String::new();
    let (mut agreed, mut left_out) = (0, 0);
    let cases = pack::cases(name);
    assert!(!cases.is_empty(), "the pack has no group {name}");
    for case in cases {
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        if !id.contains(&picked) {
            continue;
        }
        if let Some(reason) = expect::excluded(&id) {
            eprintln!("left out: {id}: {reason}");
            left_out += 1;
            continue;
        }
        let found = replay(case);
        match (found.is_empty(), failing.get(id.as_str())) {
            (true, None) => agreed += 1,
            (false, Some(reason)) => {
                eprintln!("known to differ: {id}: {reason}");
            }
            (true, Some(_)) => writeln!(report, "{id} agrees: take it out of known-failing.txt").unwrap(),
            (false, None) => {
                writeln!(report, "{id} differs from the recording:").unwrap();
                for found in found.iter().take(5) {
                    report.push_str(found);
                }
            }
        }
    }
    eprintln!("{name}: {agreed} agree, {left_out} left out");
    assert!(report.is_empty(), "\n{report}");
}

macro_rules! groups {
    ($($test:ident: $name:literal,)*) => {
        const GROUPS: &[&str] = &[$($name),*];
        $(#[test] fn $test() { group($name); })*
    };
}

groups! {
    failure: "failure",
    api_basics: "api-basics",
    config_validation: "config-validation",
    pod_validation: "pod-validation",
    controllers: "controllers",
    deny: "deny",
    identity: "identity",
    kubectl: "kubectl",
    matchconditions: "matchconditions",
    matchpolicy: "matchpolicy",
    operations: "operations",
    ordering: "ordering",
    patch_semantics: "patch-semantics",
    pod_create: "pod-create",
    policies: "policies",
    propagation: "propagation",
    reinvocation: "reinvocation",
    rules: "rules",
    selectors: "selectors",
    service_ref: "service-ref",
    sideeffects: "sideeffects",
    transport: "transport",
}

#[test]
fn every_group_is_replayed() {
    let mut groups: Vec<&str> = GROUPS.to_vec();
    groups.sort_unstable();
    assert_eq!(pack::groups(), groups);
}

#[test]
fn every_known_failing_case_is_one() {
    let ids = pack::ids();
    for id in expect::failing().keys() {
        assert!(ids.iter().any(|known| known == id), "known-failing.txt names {id}, which the pack does not have");
    }
}

#[test]
#[ignore = "makes the pack anew from the recordings"]
fn make() {
    pack::make();
}
