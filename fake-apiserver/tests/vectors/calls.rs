//! Calls of webhooks: how many, in which order, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apimachinery::value::{Value, json};

use crate::run::Run;
use crate::shape::is_controlled;
use crate::text::Side;

/// Headers that are compared; their order and spelling is compared for all.
const COMPARED: [&str; 5] = ["accept", "content-type", "accept-encoding", "host", "referer"];

fn request(call: &Value) -> &Value {
    &call["body"]["request"]
}

/// Calls for the client's own request, and those for others': controllers, mostly.
pub(crate) fn split(calls: Vec<Value>, user: &str) -> (Vec<Value>, Vec<Value>) {
    calls.into_iter().partition(|call| {
        let request = request(call);
        let asked = request["userInfo"]["username"].as_str().or(request["user"].as_str()).unwrap_or_default();
        !asked.starts_with("system:") || asked == user
    })
}

/// A real server admits a delete again when its cached object was stale: the last review of an object counts; for pods the
/// last before and the last after deletionTimestamp. Also how many objects were deleted.
fn clamp(calls: &[Value]) -> (Vec<Value>, usize) {
    let mut last: BTreeMap<(String, String, bool), usize> = BTreeMap::new();
    let mut objects = BTreeSet::new();
    let is_delete = |call: &Value| request(call)["operation"] == "DELETE";
    for (index, call) in calls.iter().enumerate().filter(|(_, call)| is_delete(call)) {
        let request = request(call);
        let meta = &request["oldObject"]["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = if meta["name"].is_string() { &meta["name"] } else { &request["name"] };
        let ending = meta.get("deletionTimestamp").is_some() && request["resource"]["resource"] == "pods";
        objects.insert((text(&call["path"]), text(name)));
        last.insert((text(&call["path"]), text(name), ending), index);
    }
    let kept = |index: usize, call: &Value| !is_delete(call) || last.values().any(|at| *at == index);
    let calls = calls.iter().enumerate().filter(|(index, call)| kept(*index, call));
    (calls.map(|(_, call)| call.clone()).collect(), objects.len())
}

/// A call as it is compared.
fn canonical(call: &Value, side: &Side) -> Value {
    let text = |value: &Value| side.text(value.as_str().unwrap_or_default());
    let mut headers = BTreeMap::new();
    let mut names = Vec::new();
    for (name, value) in crate::program::pairs(&call["headers"]) {
        let lower = name.to_lowercase();
        if lower == "user-agent" {
            headers.insert(lower, value.split('/').next().unwrap_or_default().to_owned());
        } else if COMPARED.contains(&lower.as_str()) {
            headers.insert(lower, side.text(&value));
        }
        names.push(name);
    }
    let raw = call["bodyRaw"].as_str().unwrap_or_default();
    json!({
        "path": text(&call["path"]), "method": call["method"], "query": call["query"], "httpVersion": call["httpVersion"],
        "server": call["server"], "headers": headers, "headerNames": names, "endsWithNewline": raw.ends_with('\n'),
        "body": side.object(&call["body"], true),
    })
}

fn line(call: &Value) -> Value {
    let text = |key: &str| call[key].as_str().unwrap_or_default();
    format!("{} {}?{} {}", text("method"), text("path"), text("query"), text("server")).into()
}

impl Run {
    fn is_validating(&self, call: &Value) -> bool {
        call["path"].as_str().and_then(|path| self.hooks.get(path)).is_some_and(|kind| kind == "validating")
    }

    /// Compares the calls made for one request: mutating webhooks in order, validating ones as a set.
    pub(crate) fn compare_calls(&mut self, place: &str, recorded: &[Value], live: &[Value]) {
        // What the Go server saw is a step of its own.
        let live: Vec<Value> = live.iter().filter(|call| call["server"] != "go").cloned().collect();
        let live = live.as_slice();
        self.collect_calls(recorded, live);
        let ((fewer, objects), (fewer_live, _)) = (clamp(recorded), clamp(live));
        let (recorded, live) = if live.len() <= recorded.len() + objects {
            (fewer, fewer_live)
        } else {
            (recorded.to_vec(), live.to_vec())
        };
        let ordered = |calls: &[Value], side: &Side| {
            let (validating, mut all): (Vec<_>, Vec<_>) = calls
                .iter()
                .map(|call| (call.clone(), canonical(call, side)))
                .partition(|(call, _)| self.is_validating(call));
            let mut validating = validating;
            validating.sort_by_key(|(_, canonical)| (line(canonical).to_string(), canonical.to_string()));
            all.extend(validating);
            all
        };
        let (a, b) = (ordered(&recorded, &self.recorded), ordered(&live, &self.live));
        let lines = |calls: &[(Value, Value)]| Value::from_iter(calls.iter().map(|(_, call)| line(call)));
        if lines(&a) != lines(&b) {
            return self.differs("calls", place, lines(&a), lines(&b));
        }
        for ((raw, a), (live_raw, mut b)) in a.into_iter().zip(b) {
            let left_out = a["body"].as_str().is_some_and(|body| body.starts_with("<left out"));
            if left_out {
                b["body"] = a["body"].clone();
                b["endsWithNewline"] = a["endsWithNewline"].clone();
            }
            let place = format!("{place}, call of {}", raw["path"].as_str().unwrap_or_default());
            if a != b {
                self.differs("review", place, a, b);
            } else if !left_out && !is_controlled(&raw["body"]) {
                let text = |call: &Value| call["bodyRaw"].as_str().unwrap_or_default().to_owned();
                self.order(&place, &text(&raw), &text(&live_raw));
            }
            let names = |call: &Value| json!([call["tls"]["sni"], call["tls"]["alpn"]]);
            if raw["tls"].is_object() && names(&raw) != names(&live_raw) {
                self.differs("calls", "SNI and ALPN", names(&raw), names(&live_raw));
            }
        }
        let uids = |calls: &[Value]| {
            calls.iter().filter_map(|call| request(call)["uid"].as_str()).collect::<BTreeSet<_>>().len()
        };
        if recorded.iter().all(|call| call["body"].is_object()) && uids(&recorded) != uids(&live) {
            let (a, b) = (uids(&recorded), uids(&live));
            self.differs("review", format!("{place}, different uids"), a.into(), b.into());
        }
    }

    fn collect_calls(&mut self, recorded: &[Value], live: &[Value]) {
        recorded.iter().for_each(|call| self.recorded.collect(&call["body"]));
        live.iter().for_each(|call| self.live.collect(&call["body"]));
    }

    /// Calls for controllers' requests, as a set over the whole case.
    pub(crate) async fn compare_async(&mut self) {
        let told = |call: &Value| call["bodyRaw"].as_str().is_some_and(|raw| !raw.starts_with("<left out"));
        let recorded = unique(self.others.iter().filter(|call| told(call)).cloned());
        self.collect_calls(&recorded, &[]);
        let as_set = self.group() == "controllers" || self.id().starts_with("propagation/");
        let expected = counted(recorded.iter().map(|call| canonical(call, &self.recorded)), as_set);
        let limit = if recorded.is_empty() { 0 } else { 4 };
        let servers = self.servers.clone();
        let users = self.step_users();
        let short = self.short().to_owned();
        let live = || {
            let (_, others) = split(servers.calls(), "admin");
            let of_steps =
                |call: &Value| request(call)["userInfo"]["username"].as_str().is_some_and(|user| users.contains(user));
            let own = |call: &Value| {
                let namespace = request(call)["namespace"].as_str().unwrap_or_default();
                namespace.is_empty() || namespace.contains(&short)
            };
            unique(others.into_iter().filter(|call| !of_steps(call) && own(call)))
        };
        let side = std::cell::RefCell::new(std::mem::take(&mut self.live));
        let now = || {
            let calls = live();
            calls.iter().for_each(|call| side.borrow_mut().collect(&call["body"]));
            counted(calls.iter().map(|call| canonical(call, &side.borrow())), as_set)
        };
        let mut found = now();
        let end = tokio::time::Instant::now() + Duration::from_secs(limit);
        while found != expected && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(1)).await;
            found = now();
        }
        self.live = side.into_inner();
        if found != expected {
            let only = |a: &BTreeMap<String, usize>, b: &BTreeMap<String, usize>| {
                let parse =
                    |(text, count): (&String, &usize)| json!([count, serde_json::from_str::<Value>(text).unwrap()]);
                Value::from_iter(a.iter().filter(|(text, count)| b.get(*text) != Some(count)).take(3).map(parse))
            };
            let (a, b) = (only(&expected, &found), only(&found, &expected));
            self.differs("calls", "calls for controllers", a, b);
        }
    }

    fn step_users(&self) -> BTreeSet<String> {
        self.steps().iter().filter(|step| step["request"].is_object()).map(|step| self.user(&step["request"])).collect()
    }
}

/// Calls with the same review are one, repeated.
fn unique(calls: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    calls.filter(|call| seen.insert(request(call)["uid"].to_string())).collect()
}

fn counted(calls: impl Iterator<Item = Value>, as_set: bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        let count = counts.entry(call.to_string()).or_insert(0);
        *count = if as_set { 1 } else { *count + 1 };
    }
    counts
}
