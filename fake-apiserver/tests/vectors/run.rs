//! One replay of one case: the setup, the steps in their order, and what came of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use apimachinery::clock::Clock;
use apimachinery::value::{List, Text, Value, json};
use fake_apiserver::FakeApiserver;
use regex::Regex;

use crate::client::{Client, NAMESPACES, pause, poll};
use crate::compare::Mismatch;
use crate::pki::{PKI, RECORDED_CA, RECORDED_OTHER_CA};
use crate::program::{Programs, pairs, to_live};
use crate::server::{Memory, Servers};
use crate::text::{Side, walk};
use crate::watch::Watch;
use crate::{calls, wait, world};

/// The state of a replay.
pub(crate) struct Run {
    case: Value,
    /// The case as text, to look for words in.
    pub(crate) text: String,
    pub(crate) client: Client,
    pub(crate) servers: Arc<Servers>,
    pub(crate) recorded: Side,
    pub(crate) live: Side,
    pub(crate) mismatches: Vec<Mismatch>,
    /// `mutating` or `validating`, by URL path.
    pub(crate) hooks: HashMap<String, String>,
    /// Whether the case waits for controllers.
    pub(crate) waits: bool,
    pub(crate) uids: HashMap<String, String>,
    /// resourceVersions of an object, recorded and now.
    pub(crate) revisions: HashMap<String, Vec<(String, String)>>,
    /// Recorded calls for controllers' requests.
    pub(crate) others: Vec<Value>,
    /// What stands now for recorded resourceVersions, times of creation, `continue` tokens and generated names.
    known: HashMap<(&'static str, String), String>,
    tokens: Vec<String>,
}

static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap());
static DATE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""Date","([^"]+)""#).unwrap());

/// When the case was recorded, seconds since 1970: what responses say, or else times in objects that are not of the past.
fn recorded_at(text: &str) -> Vec<i64> {
    let date = |date: &str| jiff::fmt::rfc2822::parse(date).ok().map(|time| time.timestamp().as_second());
    let dates: Vec<i64> = DATE.captures_iter(text).filter_map(|captures| date(&captures[1])).collect();
    let time = |time: &str| time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    let times = TIME.find_iter(text).filter_map(|found| time(found.as_str()));
    if dates.is_empty() { times.filter(|time| *time > 1_780_000_000).collect() } else { dates }
}

/// The configurations' webhooks: path and kind.
fn hooks(case: &Value) -> HashMap<String, String> {
    let mut hooks = HashMap::new();
    for step in case["setup"].as_array().into_iter().flatten() {
        let path = step["path"].as_str().unwrap_or_default();
        let Some(kind) = ["mutating", "validating"]
            .into_iter()
            .find(|kind| path.ends_with(&format!("/{kind}webhookconfigurations")))
        else {
            continue;
        };
        for hook in step["body"]["webhooks"].as_array().into_iter().flatten() {
            let config = &hook["clientConfig"];
            let url = config["url"].as_str().and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
            let path = url.and_then(|rest| rest.find('/').map(|at| rest[at..].split('?').next().unwrap_or_default()));
            let path = path.or(config["service"]["path"].as_str()).unwrap_or_default();
            hooks.insert(path.to_owned(), kind.to_owned());
        }
    }
    hooks
}

/// What the case itself chose: small resourceVersions, addresses.
fn literals(case: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::from(["10.96.0.50".to_owned(), "10.96.0.1".to_owned()]);
    let mut look = |value: &Value| {
        walk(value, &mut |map| {
            let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
            found.extend(text("resourceVersion").filter(|version| version.len() <= 2));
            found.extend(text("value").filter(|_| text("path").as_deref() == Some("/metadata/resourceVersion")));
            found.extend(text("clusterIP"));
        });
    };
    case["setup"].as_array().into_iter().flatten().for_each(|step| look(&step["body"]));
    case["steps"].as_array().into_iter().flatten().for_each(|step| look(&step["request"]["body"]));
    look(&case["webhookPrograms"]);
    found
}

impl Run {
    /// Starts a cluster at the recording's time.
    pub(crate) async fn begin(case: Value) -> Run {
        let text = case.to_string();
        let times = recorded_at(&text);
        let (first, last) = (times.iter().min().copied().unwrap_or(0), times.iter().max().copied().unwrap_or(0));
        let hooks = hooks(&case);
        let servers = Servers::new(Programs::of(&case, hooks.keys().cloned()));
        let builder =
            FakeApiserver::builder().clock(Clock::at(first * 1_000_000)).connector(Arc::new(Memory(servers.clone())));
        let cluster = Arc::new(builder.start().await.unwrap());
        let side = || Side::new((first - 10_800, last + 90_000), literals(&case));
        let (mut recorded, mut live) = (side(), side());
        live.own = vec![
            (PKI.ca.clone(), RECORDED_CA.to_owned()),
            (PKI.other_ca.clone(), RECORDED_OTHER_CA.to_owned()),
            (cluster.address().to_string(), "127.0.0.1:16443".to_owned()),
            (format!("\"targetPort\":{}", cluster.address().port()), "\"targetPort\":16443".to_owned()),
        ];
        let list = |key: &str| case[key].as_array().into_iter().flatten();
        list("setup").for_each(|step| recorded.collect(&step["responseBody"]));
        for step in list("steps") {
            for value in [&step["request"]["body"], &step["response"]["body"], &step["response"]["events"]] {
                recorded.collect(value);
            }
        }
        let node = Regex::new(r"refnode-\d").unwrap();
        for side in [&mut recorded, &mut live] {
            list("setup").for_each(|step| side.collect(&step["body"]));
            list("steps").for_each(|step| side.collect(&step["request"]["body"]));
            if text.contains("ref-world") {
                side.deployment("web");
                for base in ["web-", "j-", "ds-", "st-"] {
                    side.base(base);
                }
            }
            if case["id"] == "controllers/daemonset-denied" {
                // Which node comes first in the slow start is random.
                side.extra.push((node.clone(), "refnode-*"));
            }
        }
        let waits = list("steps").any(|step| step.get("satisfied").is_some());
        Run {
            text,
            client: Client(cluster),
            servers,
            recorded,
            live,
            mismatches: Vec::new(),
            hooks,
            waits,
            uids: HashMap::new(),
            revisions: HashMap::new(),
            others: Vec::new(),
            known: HashMap::new(),
            tokens: Vec::new(),
            case,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.case["id"].as_str().unwrap_or_default()
    }

    pub(crate) fn group(&self) -> &str {
        self.case["group"].as_str().unwrap_or_default()
    }

    pub(crate) fn steps(&self) -> &[Value] {
        self.case["steps"].as_array().map(List::as_slice).unwrap_or_default()
    }

    /// What the names of the case have in common: the hash of its namespace.
    pub(crate) fn short(&self) -> &str {
        self.namespace().strip_prefix("t-").unwrap_or_default()
    }

    /// The first namespace of the setup.
    pub(crate) fn namespace(&self) -> &str {
        let made = self.case["setup"].as_array().into_iter().flatten().find(|step| step["path"] == NAMESPACES);
        made.and_then(|step| step["body"]["metadata"]["name"].as_str()).unwrap_or("default")
    }

    /// Who makes a request.
    pub(crate) fn user(&self, request: &Value) -> String {
        let headers = pairs(&request["headers"]);
        if let Some((_, user)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("impersonate-user")) {
            return user.clone();
        }
        if headers.iter().any(|(_, value)| value == "Bearer SCRUBBED-JWT") {
            return format!("system:serviceaccount:{}:default", self.namespace());
        }
        request["user"].as_str().unwrap_or("system:anonymous").to_owned()
    }

    /// A recorded text with the names of now.
    pub(crate) fn to_live(&self, text: &str) -> String {
        let names = self.known.iter().filter(|((what, _), _)| *what == "name");
        names.fold(to_live(text), |text, ((_, recorded), now)| text.replace(recorded, now))
    }

    fn now(&self, what: &'static str, recorded: &str) -> Option<String> {
        self.known.get(&(what, recorded.to_owned())).cloned()
    }

    /// A recorded body with the names, uids and resourceVersions of now.
    fn body_now(&self, value: &Value, key: &str) -> Value {
        match value {
            Value::Object(map) => {
                let made = map.get("uid").and_then(Value::as_str).and_then(|uid| self.now("created", uid));
                let field = |(key, value): (&Text, &Value)| match &made {
                    Some(made) if key == "creationTimestamp" => (key.clone(), made.clone().into()),
                    _ => (self.to_live(key).into(), self.body_now(value, key)),
                };
                Value::Object(map.iter().map(field).collect())
            }
            Value::Array(list) => list.iter().map(|value| self.body_now(value, key)).collect(),
            Value::String(text) => {
                let known = match key {
                    "resourceVersion" => self.now("revision", text),
                    "uid" => self.uids.get(text.as_str()).cloned(),
                    _ => None,
                };
                let mut now = known.unwrap_or_else(|| self.to_live(text));
                for (recorded, uid) in self.uids.iter().filter(|(recorded, _)| text.contains(*recorded)) {
                    now = now.replace(recorded, uid);
                }
                now.into()
            }
            other => other.clone(),
        }
    }

    /// Learns from a recorded answer and its counterpart what stands for what.
    fn learn(&mut self, recorded: &Value, live: &Value) {
        match (recorded, live) {
            (Value::String(a), Value::String(b))
                if a != b && a.starts_with("kube-api-access-") && b.starts_with("kube-api-access-") =>
            {
                self.known.insert(("name", a.clone().into()), b.clone().into());
            }
            (Value::Object(a), Value::Object(b)) => {
                let text = |key: &str| Some((a.get(key)?.as_str()?.to_owned(), b.get(key)?.as_str()?.to_owned()));
                if let Some((old, new)) = text("uid") {
                    if let Some((_, created)) = text("creationTimestamp") {
                        self.known.insert(("created", old.clone()), created);
                    }
                    self.uids.entry(old).or_insert(new);
                }
                if let Some((old, new)) = text("resourceVersion").filter(|(old, _)| old.len() > 1) {
                    self.known.insert(("revision", old), new);
                }
                if let Some((old, new)) = text("continue") {
                    self.known.insert(("continue", old), new);
                }
                if let (Some((base, _)), Some((old, new))) = (text("generateName"), text("name"))
                    && !base.is_empty()
                    && old != new
                    && old.starts_with(base.get(..58).unwrap_or(&base))
                {
                    self.known.insert(("name", old), new);
                }
                for (key, value) in a {
                    if let Some(other) = b.get(key) {
                        self.learn(value, other);
                    }
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                a.iter().zip(b).for_each(|(a, b)| self.learn(a, b))
            }
            _ => {}
        }
    }

    /// Replays the case.
    pub(crate) async fn go(mut self) -> Vec<Mismatch> {
        if self.set_up().await {
            let id = self.id().to_owned();
            self.tokens = self.client.after_setup(&id, self.namespace()).await;
            let mut watch = Watch::begin(&self).await;
            for index in 0..self.steps().len() {
                let step = self.steps()[index].clone();
                let name = step["name"].as_str().unwrap_or_default();
                self.servers.programs.at_step(Some(index));
                pause(world::before_step(&id, index)).await;
                self.client.before(&id, self.namespace(), index, name).await;
                if world::needs_compaction(&id, name) {
                    continue;
                }
                if let Some(watch) = watch.take_if(|watch| watch.is_step(index)) {
                    watch.finish(&mut self).await;
                } else if step.get("satisfied").is_some() {
                    self.wait(index, &step).await;
                } else if step["request"].is_object() {
                    self.request(index, &step).await;
                } else {
                    self.observed(&step).await;
                }
            }
            self.compare_async().await;
        }
        self.mismatches
    }

    /// Makes what the case stands on; whether that worked.
    async fn set_up(&mut self) -> bool {
        if self.text.contains("ref-world")
            || self.text.contains("ref-cv") && self.id().starts_with("api-basics/table-")
            || self.id() == "api-basics/table-nodes"
        {
            self.client.cluster_world(&PKI.ca, !self.text.contains("ref-world")).await;
        }
        if self.text.contains("ref-world") {
            self.client.world().await;
        }
        if self.text.contains("ref-validation") {
            self.client.namespace("ref-validation", json!({})).await;
        }
        if self.text.contains("istio-system") && self.client.get("/api/v1/namespaces/istio-system").await.status == 404
        {
            self.client.namespace("istio-system", json!({})).await;
        }
        for (index, step) in self.case["setup"].as_array().cloned().unwrap_or_default().iter().enumerate() {
            let path = self.to_live(step["path"].as_str().unwrap_or_default());
            let body = self.body_now(&step["body"], "");
            let answer =
                self.client.call(step["method"].as_str().unwrap_or_default(), &path, crate::client::JSON, &body).await;
            let place = format!("setup {index} {} {path}", step["method"].as_str().unwrap_or_default());
            self.learn(&step["responseBody"], &answer.body);
            if step["status"] != answer.status {
                self.differs("status", place, step["responseBody"].clone(), answer.body);
                return false;
            }
            self.client.settle(&path, answer.status, &answer.body, true, self.waits).await;
            self.body(&place, &step["responseBody"], &answer.body, true);
        }
        true
    }

    async fn wait(&mut self, index: usize, step: &Value) {
        let (own, others) = calls::split(step["webhookCalls"].as_array().cloned().unwrap_or_default().into(), "admin");
        drop(own);
        self.others.extend(others);
        let (id, namespace) = (self.id().to_owned(), self.namespace().to_owned());
        let name = step["name"].as_str().unwrap_or_default();
        let client = self.client.clone();
        let found = poll(wait::limit(&id, name), async || wait::holds(&client, &id, &namespace, step).await).await;
        if step["satisfied"] != found {
            self.differs("status", format!("step {index} {name}"), step["satisfied"].clone(), found.into());
        }
        pause(0.2).await;
    }

    /// What stands now for a recorded value that a request carries.
    pub(crate) fn prepare(&self, index: usize, request: &Value) -> (String, Vec<(String, String)>, Value) {
        let mut path = self.to_live(request["path"].as_str().unwrap_or_default());
        for part in path.clone().split(['?', '&']) {
            let now = match part.split_once('=') {
                Some((name @ "resourceVersion", version)) if version.len() > 2 => {
                    self.now("revision", version).map(|now| format!("{name}={now}"))
                }
                Some((name @ "continue", token)) => {
                    let token = token.replace("%3D", "=").replace("%3d", "=");
                    self.now("continue", &token).map(|now| format!("{name}={}", now.replace('=', "%3D")))
                }
                _ => None,
            };
            if let Some(now) = now {
                path = path.replace(part, &now);
            }
        }
        let body = match world::raw_body(self.id(), index) {
            Some(raw) => raw.into(),
            None => request["body"]
                .as_str()
                .and_then(world::large_pod)
                .unwrap_or_else(|| self.body_now(&request["body"], "")),
        };
        let token = self.tokens.get(index).cloned().unwrap_or_default();
        let header = |(name, value): (String, String)| match value.as_str() {
            "Bearer SCRUBBED-JWT" => (name, format!("Bearer {token}")),
            _ => (name, self.to_live(&value)),
        };
        let body = if self.id() == "identity/tokenreview" && body["spec"]["token"] == "SCRUBBED-JWT" {
            let mut body = body;
            body["spec"]["token"] = token.clone().into();
            body
        } else {
            body
        };
        (path, pairs(&request["headers"]).into_iter().map(header).collect(), body)
    }

    /// Remembers what an answer taught.
    pub(crate) fn learned(&mut self, recorded: &Value, live: &Value) {
        self.learn(recorded, live);
    }

    /// The recording's resourceVersion of an object that the case never saw answered: the current one stands for it.
    pub(crate) async fn current_revision(&self, path: &str, recorded: &Value, body: &mut Value) {
        let version = recorded["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if version.len() > 2 && self.now("revision", version).is_none() {
            let current = self.client.get(path.split('?').next().unwrap_or(path)).await;
            if current.status == 200 {
                body["metadata"]["resourceVersion"] = current.body["metadata"]["resourceVersion"].clone();
            }
        }
    }
}
