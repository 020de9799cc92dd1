//! How a webhook answers: by the program that the case gives it, or with the replies that were recorded.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use apimachinery::value::{List, Text, Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pki::PKI;

/// What a webhook sends back, and how.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The program, for `sleep`, `gzip`, `chunked` and other ways to send.
    pub(crate) how: Value,
}

enum Mode {
    Program(Value),
    /// Adds a container unless it is there.
    Container(String),
    /// Sends the request back beside the response.
    Echo,
    /// The recorded replies, in the order of the steps.
    Recorded(Value),
}

/// A recorded call that got a reply.
struct Recorded {
    uid: String,
    reply: Value,
}

/// The webhooks of one case, by URL path.
pub(crate) struct Programs {
    modes: HashMap<String, Mode>,
    replies: HashMap<String, BTreeMap<usize, Vec<Recorded>>>,
    waits: Vec<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    step: Option<usize>,
    served: HashMap<(String, usize), usize>,
}

/// A recorded text with what stands for this run's CA bundles.
pub(crate) fn to_live(text: &str) -> String {
    text.replace(RECORDED_CA, &PKI.ca).replace(RECORDED_OTHER_CA, &PKI.other_ca)
}
use crate::pki::{RECORDED_CA, RECORDED_OTHER_CA};

impl Programs {
    pub(crate) fn of(case: &Value, hooks: impl Iterator<Item = String>) -> Programs {
        let none = List::new();
        let steps = case["steps"].as_array().unwrap_or(&none);
        let mut replies: HashMap<String, BTreeMap<usize, Vec<Recorded>>> = HashMap::new();
        for (index, step) in steps.iter().enumerate() {
            for call in step["webhookCalls"].as_array().into_iter().flatten() {
                let reply = &call["reply"];
                if reply.get("status").is_some() && reply.get("bodyRaw").is_some() && call["body"].is_object() {
                    let uid = call["body"]["request"]["uid"].as_str().unwrap_or_default().to_owned();
                    let path = call["path"].as_str().unwrap_or_default().to_owned();
                    let recorded = Recorded { uid, reply: reply.clone() };
                    replies.entry(path).or_default().entry(index).or_default().push(recorded);
                }
            }
        }
        let id = case["id"].as_str().unwrap_or_default();
        let programs = case["webhookPrograms"].as_object().cloned().unwrap_or_default();
        let mut paths: Vec<String> = programs.keys().map(Text::to_string).chain(hooks).collect();
        paths.push("/elsewhere".to_owned());
        let mode = |path: &String| {
            let mut program = programs.get(path).cloned().unwrap_or_else(|| json!({}));
            if let Some(times) = program["patchNote"].as_str().and_then(|note| note.strip_prefix("this op ")) {
                let times: usize = times.split(' ').next().and_then(|number| number.parse().ok()).unwrap();
                let operation = program["patch"][0].clone();
                program["patch"] = vec![operation; times].into();
            }
            if id == "transport/patch-makes-too-large"
                && program.as_object().is_some_and(apimachinery::value::Map::is_empty)
            {
                let variable = |n| json!({"name": format!("E{n}"), "value": "z".repeat(100_000)});
                let variables: Vec<Value> = (0..18).map(variable).collect();
                program = json!({"patch": [{"op": "add", "path": "/spec/containers/0/env", "value": variables}]});
            }
            let description = program["desc"].as_str().unwrap_or_default();
            let container =
                description.strip_prefix("adds container ").and_then(|rest| rest.split_once(" unless present"));
            let mode = match container {
                Some((name, _)) => Mode::Container(name.to_owned()),
                None if id.starts_with("failure/echo-request") => Mode::Echo,
                None if explains(&program, case, path) => Mode::Program(program),
                None => Mode::Recorded(program),
            };
            (path.clone(), mode)
        };
        let waits = steps.iter().map(|step| step.get("satisfied").is_some()).collect();
        Programs { modes: paths.iter().map(mode).collect(), replies, waits, state: Mutex::default() }
    }

    /// Which step is being replayed.
    pub(crate) fn at_step(&self, step: Option<usize>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).step = step;
    }

    /// The answer to a review at a path.
    pub(crate) fn answer(&self, path: &str, review: &Value) -> Reply {
        match self.modes.get(path) {
            None => build(&json!({}), review),
            Some(Mode::Program(program)) => build(program, review),
            Some(Mode::Echo) => build(&json!({"review": {"request": review["request"]}}), review),
            Some(Mode::Container(name)) => {
                let containers = review["request"]["object"]["spec"]["containers"].as_array();
                let there = containers.is_some_and(|list| list.iter().any(|container| container["name"] == **name));
                let add = json!({"op": "add", "path": "/spec/containers/-", "value": {"name": name, "image": name}});
                build(&json!({"patch": if there { json!([]) } else { json!([add]) }}), review)
            }
            Some(Mode::Recorded(program)) => self.recorded(path, program, review),
        }
    }

    fn recorded(&self, path: &str, program: &Value, review: &Value) -> Reply {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(by_step), Some(step)) = (self.replies.get(path), state.step) else { return build(program, review) };
        let waits = self.waits.get(step).copied().unwrap_or(false);
        let found = match by_step.get(&step) {
            Some(list) if waits => list.last(),
            Some(list) => {
                let served = state.served.entry((path.to_owned(), step)).or_default();
                *served += 1;
                list.get((*served - 1).min(list.len() - 1))
            }
            None => {
                let earlier = by_step.range(..step).next_back().and_then(|(_, list)| list.last());
                let later = by_step.range(step..).next().and_then(|(_, list)| list.first());
                earlier.or(later)
            }
        };
        let Some(recorded) = found else { return build(program, review) };
        let reply = &recorded.reply;
        let mut body = to_live(reply["bodyRaw"].as_str().unwrap_or_default());
        if !recorded.uid.is_empty() {
            body = body.replace(&recorded.uid, review["request"]["uid"].as_str().unwrap_or_default());
        }
        let status = reply["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
        Reply {
            status,
            headers: pairs(&reply["headers"]),
            body: body.into_bytes(),
            how: json!({"sleep": program["sleep"]}),
        }
    }
}

/// Header fields from a list of pairs.
pub(crate) fn pairs(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.as_array().into_iter().flatten().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// Whether the program says what the webhook was recorded replying; it may have been a function of the request.
fn explains(program: &Value, case: &Value, path: &str) -> bool {
    let calls = case["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|step| step["webhookCalls"].as_array().into_iter().flatten());
    for call in calls.filter(|call| call["path"] == *path && call["body"].is_object()) {
        let reply = &call["reply"];
        let Some(raw) = reply["bodyRaw"].as_str() else { continue };
        let untold = raw.is_empty() && program.as_object().is_some_and(apimachinery::value::Map::is_empty);
        if program.get("hugeBody").is_some() || program.get("closeConnection").is_some() || untold {
            continue;
        }
        let built = build(program, &call["body"]);
        let built_text = String::from_utf8_lossy(&built.body).into_owned();
        if reply["status"] != built.status || !same_reply(&built_text, raw) {
            return false;
        }
    }
    true
}

/// Equal as JSON, with patches compared by what they say; or as text.
fn same_reply(a: &str, b: &str) -> bool {
    let parse = |text: &str| {
        let mut value: Value = serde_json::from_str(text).ok()?;
        if let Some(patch) = value.pointer_mut("/response/patch")
            && let Some(bytes) = patch.as_str().and_then(|text| STANDARD.decode(text).ok())
            && let Ok(parsed) = serde_json::from_slice(&bytes)
        {
            *patch = parsed;
        }
        Some(value)
    };
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a == b,
        _ => false,
    }
}

/// What a program answers to a review.
fn build(program: &Value, review: &Value) -> Reply {
    let uid = &review["request"]["uid"];
    let status = program["httpStatus"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let mut headers = pairs(&program["headers"]);
    headers.iter_mut().for_each(|(_, value)| *value = to_live(value));
    if program.get("headers").is_none() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let body = if let Some(raw) = program["rawBody"].as_str() {
        raw.replace("$UID", uid.as_str().unwrap_or_default()).into_bytes()
    } else if let Some(megabytes) = program["hugeBody"].as_u64() {
        let message = "x".repeat(usize::try_from(megabytes << 20).unwrap());
        let response = json!({"uid": uid, "allowed": true, "status": {"message": message}});
        json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})
            .to_string()
            .into_bytes()
    } else {
        envelope(program, review).to_string().into_bytes()
    };
    Reply { status, headers, body, how: program.clone() }
}

fn envelope(program: &Value, review: &Value) -> Value {
    let mut envelope = json!({"apiVersion": review["apiVersion"], "kind": review["kind"]});
    update(&mut envelope, &program["review"]);
    if program["omitResponse"] == true {
        return envelope;
    }
    let mut response = json!({"uid": review["request"]["uid"], "allowed": true});
    for key in ["allowed", "uid"] {
        if let Some(value) = program.get(key) {
            response[key] = value.clone();
        }
    }
    let bytes = match (program.get("patchRaw").and_then(Value::as_str), program.get("patch")) {
        (Some(raw), _) => Some(STANDARD.encode(raw)),
        (None, Some(patch)) => Some(STANDARD.encode(patch.to_string())),
        (None, None) => None,
    };
    if let Some(patch) = program.get("patchVerbatim").and_then(Value::as_str).map(str::to_owned).or(bytes) {
        response["patch"] = patch.into();
        response["patchType"] = "JSONPatch".into();
    }
    for key in ["patchType", "status", "warnings", "auditAnnotations"] {
        if let Some(value) = program.get(key) {
            response[key] = value.clone();
        }
    }
    update(&mut response, &program["response"]);
    envelope["response"] = response;
    envelope
}

/// Sets fields; `$omit` takes one out.
fn update(target: &mut Value, with: &Value) {
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in with.as_object().into_iter().flatten() {
        if value == "$omit" {
            target.remove(key);
        } else {
            target.insert(key.clone(), value.clone());
        }
    }
}
