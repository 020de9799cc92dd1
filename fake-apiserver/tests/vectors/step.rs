//! One step: a request, its answer, and the webhook calls that it caused.

use std::time::Duration;

use apimachinery::value::{List, Value, json};
use tokio::time::Instant;

use crate::calls::split;
use crate::client::{Answer, NAMESPACES, pause};
use crate::pack::minified;
use crate::program::pairs;
use crate::run::Run;
use crate::shape::{CONTROLLED, is_controlled};
use crate::world;

/// Resources that controllers go on writing to after a request.
const WATCHED: [&str; 6] =
    ["/deployments", "/replicasets", "/statefulsets", "/daemonsets", "/endpointslices", "/endpoints"];
/// How much longer or shorter than recorded a request may take, milliseconds of virtual time.
const SLACK: f64 = 700.0;

/// JSON with spaces, as the recordings that were cut short have it.
fn spaced(json: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for letter in minified(json).chars() {
        out.push(letter);
        if quoted {
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if matches!(letter, ':' | ',') {
            out.push(' ');
        } else {
            quoted = letter == '"';
        }
    }
    out
}

/// The answer's body in the form in which the recording has it: recordings leave long ones out or cut them.
fn comparable(recorded: &Value, answer: &Answer) -> Value {
    match recorded.as_str() {
        Some(text) if text.starts_with("<left out") => recorded.clone(),
        Some(text) => match text.strip_prefix("<truncated> ") {
            Some(begin) => {
                let live = if answer.body.is_string() { answer.text.clone() } else { spaced(&answer.text) };
                let cut: String = live.chars().take(begin.chars().count()).collect();
                format!("<truncated> {cut}").into()
            }
            None => answer.body.clone(),
        },
        None => answer.body.clone(),
    }
}

/// Webhooks are counted over all configurations. At the time of some recordings there was another one, `ref-cv`, with two
/// webhooks, which came before the case's own.
fn without_others(annotations: &Value) -> Value {
    let shifted = |key: &str| {
        let (round, index) = key.rsplit_once("_index_")?;
        Some(format!("{round}_index_{}", index.parse::<usize>().ok()?.checked_sub(2)?))
    };
    let fields = annotations.as_object().into_iter().flatten();
    fields.map(|(key, value)| (shifted(key).unwrap_or_else(|| key.clone().into()), value.clone())).collect()
}

impl Run {
    pub(crate) async fn request(&mut self, index: usize, step: &Value) {
        let request = &step["request"];
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        let (path, headers, mut body) = self.prepare(index, request);
        let recorded = step["response"].clone();
        let place = format!("step {index} {}", step["name"].as_str().unwrap_or_default());
        if method == "PUT" && recorded["status"].as_u64().is_some_and(|status| status < 300) {
            self.current_revision(&path, &request["body"], &mut body).await;
        }
        if method == "POST"
            && recorded["status"] == 201
            && !path.contains("dryRun")
            && body["metadata"]["name"] == "ref-cv"
        {
            self.client.delete(&format!("{}/ref-cv", path.split('?').next().unwrap_or_default())).await;
        }
        let is_read = method == "GET";
        let user = self.user(request);
        let told = step["webhookCalls"].as_array().into_iter().flatten().filter(|call| call.is_object()).cloned();
        let (own, others) = split(told.collect(), &user);
        self.others.extend(others);
        let may_change =
            is_read && (self.waits || world::has_waits(self.id()) || WATCHED.iter().any(|part| path.contains(part)));
        let give_up = Instant::now() + Duration::from_secs(if may_change { 6 } else { 0 });
        let before = self.servers.count();
        let kept = self.mismatches.len();
        let started = Instant::now();
        let certificate = request["user"].is_string();
        let answer = loop {
            let answer = self.client.send(&method, &path, &headers, &body, certificate).await;
            self.live.collect(&answer.body);
            self.mismatches.truncate(kept);
            self.compare_answer(&place, &recorded, &answer, !is_read);
            if self.mismatches.len() == kept || Instant::now() >= give_up {
                break answer;
            }
            pause(0.15).await;
        };
        let took = started.elapsed().as_secs_f64() * 1000.0;
        self.learned(&recorded["body"], &answer.body);
        if !recorded["body"]["kind"].as_str().is_some_and(|kind| CONTROLLED.contains(&kind)) {
            self.identity(&place, &recorded["body"], &answer.body);
        }
        self.audit(&place, step, &answer);
        let mut live = split(self.servers.calls().split_off(before), &user).0;
        if live.len() < own.len() {
            pause(0.6).await;
            live = split(self.servers.calls().split_off(before), &user).0;
        }
        self.compare_calls(&place, &own, &live);
        if !may_change && !self.waits {
            let expected = recorded["durationMs"].as_f64().unwrap_or_default();
            // What took a real server long without waiting for anything costs no virtual time.
            let waited = self.text.contains("\"sleep\":") || path.contains("timeout") || self.text.contains(":18449/");
            if took > expected + SLACK || waited && took + SLACK < expected {
                self.differs("time", place, format!("{expected} ms").into(), format!("{took} ms").into());
            }
        }
        if !is_read {
            self.client.settle(&path, answer.status, &answer.body, false, self.waits).await;
        }
    }

    fn compare_answer(&mut self, place: &str, recorded: &Value, answer: &Answer, volatile: bool) {
        if recorded["status"] != answer.status {
            let a = json!({"status": recorded["status"], "body": recorded["body"]});
            let b = json!({"status": answer.status, "body": answer.body});
            return self.differs("status", place, a, b);
        }
        let live = comparable(&recorded["body"], answer);
        self.body(place, &recorded["body"], &live, volatile);
        if recorded["headers"].is_array() {
            self.headers(place, &pairs(&recorded["headers"]), &answer.headers);
        }
    }

    /// Compares audit annotations, where the step has an audit event and the request went through admission.
    fn audit(&mut self, place: &str, step: &Value, answer: &Answer) {
        let Some(live) = &answer.audit else { return };
        let annotations = &step["auditEvent"]["annotations"];
        // The others are the authorizer's and the HTTP layer's.
        // The patches are in an audit event of level Request; the recordings' are of level Metadata.
        let admission = |key: &str| {
            let of_admission =
                key.contains("admission.k8s.io/") || key.contains("pod-security") || key.contains(".example.com/");
            of_admission && !key.starts_with("patch.webhook")
        };
        let view = |value: &Value| {
            let fields = value.as_object().into_iter().flatten().filter(|(key, _)| admission(key));
            fields.map(|(key, value)| (key.clone(), value.clone())).collect::<apimachinery::value::Map>()
        };
        if annotations.is_object() && !is_controlled(&step["request"]["body"]) {
            let b = self.live.object(&view(live).into(), false);
            let mut a = self.recorded.object(&view(annotations).into(), false);
            if a != b {
                a = without_others(&a);
            }
            if a != b {
                self.differs("audit", place, a, b);
            }
        }
    }

    /// Steps that only report: what a Go webhook server saw, or requests that were made at once.
    pub(crate) async fn observed(&mut self, step: &Value) {
        if let Some(statuses) = step["statuses"].as_array() {
            let namespace = self.namespace().to_owned();
            let path = format!("{NAMESPACES}/{namespace}/pods");
            let pod = |n: usize| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p{n}")}, "spec": {"containers": [{"name": "app", "image": "registry.example.com/app:1.0"}]}});
            let creates = (0..statuses.len()).map(|n| self.client.post(&path, pod(n)));
            let started = Instant::now();
            let answers = futures_util::future::join_all(creates).await;
            let live: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            if json!(statuses) != json!(live) {
                self.differs("status", "concurrent creates", json!(statuses), json!(live));
            }
            let (expected, took) =
                (step["totalMs"].as_f64().unwrap_or_default(), started.elapsed().as_secs_f64() * 1000.0);
            if took > expected + SLACK {
                self.differs("time", "concurrent creates", expected.into(), took.into());
            }
            let count = step["webhookCalls"].as_array().map_or(0, List::len);
            if self.servers.count() != count {
                self.differs("calls", "concurrent creates", count.into(), self.servers.count().into());
            }
        }
        if let Some(requests) = step["requests"].as_array() {
            let view = |request: &Value| {
                json!([
                    request["method"],
                    request["requestURI"],
                    request["proto"],
                    request["alpn"],
                    request["sni"],
                    request["host"]
                ])
            };
            // Those made at once afterwards are not part of the vector.
            let recorded: Vec<Value> = requests.iter().take(3).map(view).collect();
            let seen = |call: &Value| {
                let text = |key: &str| call[key].as_str().unwrap_or_default();
                let host = pairs(&call["headers"]).into_iter().find(|(name, _)| name == ":authority" || name == "Host");
                let empty = |value: &Value| if value.is_null() { json!("") } else { value.clone() };
                json!([
                    call["method"],
                    format!("{}?{}", text("path"), text("query")),
                    call["httpVersion"],
                    empty(&call["tls"]["alpn"]),
                    empty(&call["tls"]["sni"]),
                    host.map(|(_, host)| host)
                ])
            };
            let live: Vec<Value> = self.servers.calls().iter().map(seen).collect();
            if recorded != live {
                self.differs("calls", "as the webhook server saw them", recorded.into(), live.into());
            }
            let ports = |list: Vec<String>| list.into_iter().collect::<std::collections::BTreeSet<_>>().len();
            let recorded_ports = ports(requests.iter().take(3).map(|request| request["remote"].to_string()).collect());
            let live_ports =
                ports(self.servers.calls().iter().map(|call| call["tls"]["clientPort"].to_string()).collect());
            if recorded_ports != live_ports {
                self.differs("calls", "connections", recorded_ports.into(), live_ports.into());
            }
        }
    }
}
