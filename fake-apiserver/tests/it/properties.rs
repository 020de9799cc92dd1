//! What holds for any sequence of requests on any set of webhook configurations.

mod plan;
mod remote;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use apimachinery::clock::Clock;
use apimachinery::value::{Value, json};
use fake_apiserver::FakeApiserver;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::{Memory, Webhook};
use plan::{Plan, Step, Verb, plan};
use remote::Remote;

/// 2026-11-22T07:00:00Z.
const START: i64 = 1_795_330_800_000_000;
/// Where webhooks are said to be when they are in memory.
const PORT: u16 = 9443;

type Calls = Arc<Mutex<Vec<(String, String)>>>;

/// A webhook that follows the plan, and the paths and uids that it was called with.
fn webhook(plan: &Plan) -> (Webhook, Calls) {
    let calls = Calls::default();
    let (plan, log) = (plan.clone(), calls.clone());
    let webhook = Webhook::new(move |path, review| {
        let uid = review["request"]["uid"].as_str().unwrap_or_default().to_owned();
        log.lock().unwrap().push((path.to_owned(), uid));
        plan.answer(path)
    });
    (webhook, calls)
}

/// The way to a cluster: in the process, or over TLS.
enum Way {
    Process,
    Remote(Box<Remote>),
}

struct Bench {
    cluster: FakeApiserver,
    way: Way,
    calls: Calls,
    resource: &'static str,
    port: u16,
}

impl Bench {
    async fn new(plan: &Plan, over_tcp: bool) -> Bench {
        let (webhook, calls) = webhook(plan);
        let builder = FakeApiserver::builder().seed(7).clock(Clock::at(START)).controllers(false).namespace("shop", []);
        let (builder, port) = if over_tcp {
            (builder, webhook.listen().await.port())
        } else {
            (builder.connector(Arc::new(Memory(webhook))), PORT)
        };
        let cluster = builder.start().await.unwrap();
        for object in plan.objects(port) {
            cluster.create(object).await.unwrap();
        }
        let way = if over_tcp { Way::Remote(Box::new(Remote::connect(&cluster).await)) } else { Way::Process };
        Bench { cluster, way, calls, resource: plan.resource, port }
    }

    async fn send(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
        let request = request.header("user-agent", "property/1").body(body).unwrap();
        match &mut self.way {
            Way::Remote(remote) => remote.send(request).await,
            Way::Process => {
                let response = self.cluster.exchange(request).await;
                (response.status, response.json())
            }
        }
    }

    async fn step(&mut self, step: &Step) -> (u16, Value) {
        let (method, path, body) = step.request(self.resource);
        self.send(method, &path, &body).await
    }

    /// All objects by name, and the revision of the list.
    async fn stored(&mut self) -> (BTreeMap<String, Value>, u64) {
        let (_, list) = self.send("GET", &format!("/api/v1/namespaces/shop/{}", self.resource), &Value::Null).await;
        let items = list["items"].as_array().unwrap().iter();
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        // Without controllers the namespace's own ConfigMap is there from the start.
        let objects = items.map(|object| (name(object), object.clone())).filter(|(name, _)| name != "kube-root-ca.crt");
        (objects.collect(), revision(&list))
    }

    fn taken(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn without_type(mut object: Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    fields.remove("kind");
    fields.remove("apiVersion");
    object
}

/// Where a webhook stands: configurations by name as bytes, webhooks in them by index.
fn place(path: &str) -> (Vec<u8>, usize) {
    let (configuration, index) = path.trim_start_matches('/').split_once('/').unwrap().1.rsplit_once('/').unwrap();
    (configuration.as_bytes().to_vec(), index.parse().unwrap())
}

/// The calls of one request: mutating before validating, in their order, at most two rounds, and only where rules say so.
fn check_calls(plan: &Plan, step: &Step, calls: &[(String, String)]) -> TestCaseResult {
    let operation = match step.verb {
        Verb::Create { .. } => "CREATE",
        Verb::Update | Verb::Merge => "UPDATE",
        Verb::Delete => "DELETE",
    };
    let mut uids: Vec<&String> = calls.iter().map(|(_, uid)| uid).collect();
    uids.sort();
    uids.dedup();
    prop_assert_eq!(uids.len(), calls.len(), "every call has a uid of its own");
    let mut rounds: Vec<Vec<&str>> = Vec::new();
    let mut validated = false;
    for (path, _) in calls {
        let hook = plan.hook(path).unwrap();
        // Deleting a pod is an update of its deletionTimestamp first; both are admitted as DELETE.
        let covered = hook.operations.iter().any(|covered| *covered == "*" || *covered == operation);
        prop_assert!(covered, "{} was called for {}", path, operation);
        if path.starts_with("/validating") {
            validated = true;
            continue;
        }
        prop_assert!(!validated || operation == "DELETE", "{} was called after a validating webhook", path);
        validated = false;
        let goes_on = rounds.last().and_then(|round| round.last()).is_some_and(|last| place(last) < place(path));
        if !goes_on {
            rounds.push(Vec::new());
        }
        rounds.last_mut().unwrap().push(path);
    }
    if operation != "DELETE" {
        prop_assert!(rounds.len() <= 2, "more than two rounds: {:?}", rounds);
        for again in rounds.iter().skip(1).flatten() {
            prop_assert!(plan.hook(again).unwrap().reinvoke, "{} was called again", again);
            prop_assert!(rounds[0].contains(again), "{} was called in the second round only", again);
        }
    }
    Ok(())
}

/// Runs a plan and checks after each step that what was acknowledged is there, and nothing else.
async fn nothing_is_lost(plan: Plan) -> TestCaseResult {
    let mut bench = Bench::new(&plan, false).await;
    let (mut expected, begin) = bench.stored().await;
    let mut last = begin;
    for step in &plan.steps {
        let (status, body) = bench.step(step).await;
        check_calls(&plan, step, &bench.taken())?;
        prop_assert!(status < 500 || body["kind"] == "Status", "{} {}", status, body);
        let written = status < 300 && !step.dry_run;
        let name = match step.verb {
            Verb::Create { generate: true } => body["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            _ => format!("o{}", step.object),
        };
        match step.verb {
            Verb::Delete if written => drop(expected.remove(&name)),
            _ if written => {
                let before = expected.insert(name.clone(), without_type(body.clone()));
                let unchanged = before.is_some_and(|before| revision(&before) == revision(&body));
                prop_assert!(unchanged || revision(&body) > last, "{} after {}", revision(&body), last);
                last = last.max(revision(&body));
            }
            _ => {}
        }
        let (stored, now) = bench.stored().await;
        prop_assert_eq!(&stored, &expected, "after {:?}: {} {}", step, status, body);
        prop_assert!(now >= last, "the list is of {}, something in it of {}", now, last);
        last = now;
    }
    // A watch from the beginning tells the same story.
    let path = format!("/api/v1/namespaces/shop/{}?watch=true&resourceVersion={begin}&timeoutSeconds=1", plan.resource);
    let watch = bench.cluster.send(http::Method::GET, &path, "", bytes::Bytes::new()).await;
    let mut told = BTreeMap::new();
    let mut seen = begin;
    for line in String::from_utf8_lossy(&watch.body).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let object = without_type(event["object"].clone());
        prop_assert!(revision(&object) > seen, "events go backwards: {} after {}", revision(&object), seen);
        seen = revision(&object);
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        match event["type"].as_str() {
            Some("DELETED") => drop(told.remove(&name)),
            _ => drop(told.insert(name, object)),
        }
    }
    prop_assert_eq!(&told, &expected, "the watch and the store");
    Ok(())
}

/// An answer without what depends on the time and on the webhooks' port.
fn timeless(value: &Value, port: u16) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for key in ["creationTimestamp", "deletionTimestamp", "time"] {
                    if map.contains_key(key) {
                        map.insert(key.to_owned(), "<time>".into());
                    }
                }
                map.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(&value.to_string().replace(&format!(":{port}/"), ":PORT/")).unwrap();
    strip(&mut value);
    value
}

async fn results(plan: &Plan, over_tcp: bool) -> Vec<Value> {
    let mut bench = Bench::new(plan, over_tcp).await;
    let mut results = Vec::new();
    for step in &plan.steps {
        let (status, body) = bench.step(step).await;
        let (mut mutating, mut validating): (Vec<String>, Vec<String>) =
            bench.taken().into_iter().map(|(path, _)| path).partition(|path| path.starts_with("/mutating"));
        validating.sort();
        mutating.append(&mut validating);
        results.push(json!([status, timeless(&body, bench.port), mutating]));
    }
    let stored: Vec<Value> = bench.stored().await.0.into_values().collect();
    results.push(timeless(&stored.into(), bench.port));
    results
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_there_and_webhooks_are_called_in_order(plan in plan()) {
        paused().block_on(nothing_is_lost(plan))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn over_tcp_and_in_memory_results_are_equal(plan in plan()) {
        let in_memory = paused().block_on(results(&plan, false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let over_tcp = runtime.block_on(results(&plan, true));
        prop_assert_eq!(in_memory, over_tcp);
    }
}
