use apimachinery::value::{Value, json};

use super::*;

/// A node's view of a pod while time goes on.
struct Story {
    pod: Value,
    now: i64,
    told: Vec<String>,
}

const START: i64 = 1_700_000_000;

impl Story {
    fn of(spec: Value) -> Story {
        let pod = json!({
            "metadata": { "name": "web-0", "namespace": "shop", "uid": "u" }, "spec": spec, "status": { "phase": "Pending" },
        });
        Story { pod, now: START, told: Vec::new() }
    }

    /// Steps until nothing is due within so many seconds; how many of them there were.
    fn live(&mut self, seconds: i64) -> Step {
        let end = self.now + seconds;
        for _ in 0..10_000 {
            let host = Host { address: "172.18.0.2", pod_address: "10.244.0.5", now: self.now };
            let step = advance(&self.pod, &host);
            self.told.extend(step.happenings.iter().map(|one| format!("{} {}", one.reason, one.message)));
            if let Some(status) = step.status.clone() {
                self.pod["status"] = status;
                if !step.gone {
                    continue;
                }
            }
            let next = step.wake.map_or(i64::MAX, |wake| self.now + i64::try_from(wake.as_secs()).unwrap());
            if step.gone || next > end {
                self.now = end;
                return step;
            }
            assert!(next > self.now, "no progress: {}", self.pod["status"]);
            self.now = next;
        }
        panic!("it never comes to rest: {}", self.pod["status"]);
    }

    fn condition(&self, kind: &str) -> &str {
        let conditions = items(&self.pod, "/status/conditions");
        conditions.iter().find(|condition| condition["type"] == kind).map_or("", |condition| text(condition, "/status"))
    }
}

#[test]
fn init_containers_run_one_after_the_other_and_then_the_pod_is_ready() {
    let mut story = Story::of(json!({
        "initContainers": [{ "name": "first", "image": "a" }, { "name": "second", "image": "b", "command": ["sleep", "5"] }],
        "containers": [{ "name": "app", "image": "nginx", "readinessProbe": { "initialDelaySeconds": 3 } }],
    }));
    story.live(5);
    assert_eq!(story.pod["status"]["phase"], "Pending");
    assert_eq!(story.condition("Initialized"), "False");
    assert_eq!(story.pod["status"]["podIP"], "10.244.0.5");
    story.live(2);
    assert_eq!((story.condition("Initialized"), story.condition("Ready")), ("True", "False"));
    story.live(3);
    assert_eq!((story.pod["status"]["phase"].as_str(), story.condition("Ready")), (Some("Running"), "True"));
    assert_eq!(story.told.iter().filter(|told| told.starts_with("Started")).count(), 3);
}

#[test]
fn a_native_sidecar_stays_and_ends_with_the_job() {
    let mut story = Story::of(json!({
        "restartPolicy": "Never",
        "initContainers": [{ "name": "istio-proxy", "image": "proxyv2", "restartPolicy": "Always", "startupProbe": {} }],
        "containers": [{ "name": "job", "image": "busybox", "command": ["sh", "-c", "sleep 20; exit 0"] }],
    }));
    story.live(10);
    assert_eq!(story.pod["status"]["phase"], "Running");
    assert!(is_running(story.pod.pointer("/status/initContainerStatuses/0")));
    story.live(10);
    assert_eq!(story.pod["status"]["phase"], "Succeeded");
    assert!(!is_running(story.pod.pointer("/status/initContainerStatuses/0")));
}

#[test]
fn what_fails_is_started_again_later_and_later() {
    let mut story = Story::of(json!({ "containers": [{ "name": "app", "image": "busybox", "command": ["false"] }] }));
    story.live(9);
    assert_eq!(story.pod.pointer("/status/containerStatuses/0/state/waiting/reason"), Some(&json!("CrashLoopBackOff")));
    story.live(400);
    let restarts = story.pod.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_i64).unwrap();
    assert!((4..=7).contains(&restarts), "{restarts}");
    let mut never = Story::of(
        json!({ "restartPolicy": "Never", "containers": [{ "name": "app", "image": "busybox", "command": ["false"] }] }),
    );
    never.live(1);
    assert_eq!(never.pod["status"]["phase"], "Failed");
}

#[test]
fn an_ephemeral_container_comes_and_goes_beside_the_others() {
    let mut story = Story::of(json!({ "containers": [{ "name": "app", "image": "nginx" }] }));
    story.live(1);
    story.pod["spec"]["ephemeralContainers"] =
        json!([{ "name": "debugger", "image": "busybox", "command": ["sleep", "5"] }]);
    story.live(1);
    assert!(is_running(story.pod.pointer("/status/ephemeralContainerStatuses/0")));
    story.live(5);
    assert!(!is_running(story.pod.pointer("/status/ephemeralContainerStatuses/0")));
    assert_eq!((story.pod["status"]["phase"].as_str(), story.condition("Ready")), (Some("Running"), "True"));
}

#[test]
fn deletion_waits_for_the_hook_but_not_for_ever() {
    let mut story = Story::of(json!({ "containers": [
        { "name": "app", "image": "nginx", "lifecycle": { "preStop": { "exec": { "command": ["sleep", "7"] } } } },
    ] }));
    story.live(1);
    story.pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    story.pod["metadata"]["deletionTimestamp"] =
        Timestamp::from_unix_micros((story.now + 30) * 1_000_000).rfc3339().into();
    assert!(!story.live(6).gone);
    assert!(story.live(1).gone);
    assert!(story.told.contains(&"Killing Stopping container app".to_owned()));
}

use apimachinery::clock::Timestamp;
