//! What a scenario expects.

use std::time::Duration;

use apimachinery::value::{Map, Value};

use super::Error;
use super::reader::At;
use super::steps::{ObjectRef, object};

/// An expectation: where to look, and what to find there.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Where to look.
    pub look: Look,
    /// HTTP status of the last request.
    pub status: Option<u16>,
    /// The Status that the last request was refused with: text that its message holds (`*` stands for anything).
    pub message: Option<String>,
    /// Its reason.
    pub reason: Option<String>,
    /// Texts that the last request's warnings hold.
    pub warnings: Option<Vec<String>>,
    /// The object holds all of this; see `docs/towtank.md` for how lists and strings are compared.
    pub matches: Option<Value>,
    /// The object has none of these fields or items.
    pub lacks: Option<Value>,
    /// Names of containers that the pod (or pod template) has.
    pub containers: Vec<String>,
    /// Names of init containers.
    pub init_containers: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Names of containers, init containers and volumes that it does not have.
    pub without: Vec<String>,
    /// How many items lists have, by their path: `spec.containers`.
    pub lengths: Map,
    /// Annotations; a null is for one that is not there.
    pub annotations: Map,
    /// Labels; a null is for one that is not there.
    pub labels: Map,
    /// How many objects are looked at.
    pub count: Option<u64>,
    /// How many of the pods are ready.
    pub ready: Option<u64>,
    /// Calls of webhooks since the step before the last request.
    pub calls: Option<Vec<Call>>,
    /// Webhooks that the last request did not call, each with a text that the reason holds.
    pub not_called: Vec<(String, String)>,
    /// Events, each with fields that one of the cluster's events has.
    pub events: Vec<Map>,
    /// How long the last request took on the scenario's clock.
    pub took: Option<Duration>,
}

/// Where an expectation looks.
#[derive(Clone, Debug, Default)]
pub enum Look {
    /// At what the last request returned.
    #[default]
    Last,
    /// At an object, read anew.
    Object(ObjectRef),
    /// At all pods with these labels, in all namespaces or one.
    Pods {
        /// Labels.
        labels: Map,
        /// Namespace, if only one is looked at.
        namespace: Option<String>,
    },
    /// The object must not exist.
    Absent(ObjectRef),
}

/// A call of a webhook.
#[derive(Clone, Debug)]
pub struct Call {
    /// The webhook's name.
    pub webhook: String,
    /// How often.
    pub count: Count,
    /// The path, if it matters.
    pub path: Option<String>,
    /// The query, if it matters: `timeout=30s`.
    pub query: Option<String>,
    /// Fields of the review's `request`, if they matter.
    pub request: Option<Value>,
}

/// How often a webhook was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// At least once.
    Some,
    /// Exactly so often.
    Exactly(u64),
}

const FIELDS: [&str; 23] = [
    "object",
    "absent",
    "pods",
    "namespace",
    "status",
    "message",
    "reason",
    "warnings",
    "matches",
    "lacks",
    "containers",
    "initContainers",
    "volumes",
    "without",
    "lengths",
    "annotations",
    "labels",
    "count",
    "ready",
    "calls",
    "notCalled",
    "events",
    "took",
];

pub(super) fn read(at: &At<'_>) -> Result<Expect, Error> {
    if at.map(&FIELDS)?.is_empty() {
        return Err(at.error(format!("expects nothing; known are {}", FIELDS.join(", "))));
    }
    let texts = |key: &str| at.get(key).map(|at| at.texts()).transpose();
    let text = |key: &str| at.get(key).map(|at| at.text().map(str::to_owned)).transpose();
    let map = |key: &str| at.get(key).map(|at| strings(&at)).transpose().map(Option::unwrap_or_default);
    Ok(Expect {
        look: look(at)?,
        status: match at.get("status") {
            None => None,
            Some(at) => Some(u16::try_from(at.number()?).map_err(|_| at.error("want an HTTP status such as 201"))?),
        },
        message: text("message")?,
        reason: text("reason")?,
        warnings: texts("warnings")?,
        matches: at.get("matches").map(|at| at.value.clone()),
        lacks: at.get("lacks").map(|at| at.value.clone()),
        containers: texts("containers")?.unwrap_or_default(),
        init_containers: texts("initContainers")?.unwrap_or_default(),
        volumes: texts("volumes")?.unwrap_or_default(),
        without: texts("without")?.unwrap_or_default(),
        lengths: match at.get("lengths") {
            None => Map::new(),
            Some(at) => {
                for (path, length) in at.any_map()? {
                    at.child(path, length).number()?;
                }
                at.any_map()?.clone()
            }
        },
        annotations: map("annotations")?,
        labels: map("labels")?,
        count: at.get("count").map(|at| at.number()).transpose()?,
        ready: at.get("ready").map(|at| at.number()).transpose()?,
        calls: match at.get("calls") {
            None => None,
            Some(at) => Some(at.one_or_list().iter().map(call).collect::<Result<_, _>>()?),
        },
        not_called: match at.get("notCalled") {
            None => Vec::new(),
            Some(at) => at.one_or_list().iter().map(not_called).collect::<Result<_, _>>()?,
        },
        events: match at.get("events") {
            None => Vec::new(),
            Some(at) => at
                .one_or_list()
                .iter()
                .map(|event| event.map(&["reason", "message", "type"]).cloned())
                .collect::<Result<_, _>>()?,
        },
        took: at.get("took").map(|at| at.duration()).transpose()?,
    })
}

fn look(at: &At<'_>) -> Result<Look, Error> {
    let named: Vec<&str> = ["object", "absent", "pods"].into_iter().filter(|key| at.get(key).is_some()).collect();
    match named[..] {
        [] => Ok(Look::Last),
        ["object"] => Ok(Look::Object(object(&at.need("object")?)?)),
        ["absent"] => Ok(Look::Absent(object(&at.need("absent")?)?)),
        ["pods"] => Ok(Look::Pods {
            labels: strings(&at.need("pods")?)?,
            namespace: at.get("namespace").map(|at| at.text().map(str::to_owned)).transpose()?,
        }),
        _ => Err(at.error(format!("{} look at different places: make it two steps", named.join(" and ")))),
    }
}

fn strings(at: &At<'_>) -> Result<Map, Error> {
    let map = at.any_map()?;
    for (key, value) in map {
        if !value.is_string() && !value.is_null() {
            return Err(at.child(key, value).error("want a string (quote it), or null"));
        }
    }
    Ok(map.clone())
}

fn call(at: &At<'_>) -> Result<Call, Error> {
    let mut call = Call { webhook: String::new(), count: Count::Some, path: None, query: None, request: None };
    if let Some(name) = at.value.as_str() {
        call.webhook = name.to_owned();
        return Ok(call);
    }
    at.map(&["webhook", "count", "path", "query", "request"])?;
    call.webhook = at.need("webhook")?.text()?.to_owned();
    if let Some(count) = at.get("count") {
        call.count = Count::Exactly(count.number()?);
    }
    call.path = at.get("path").map(|at| at.text().map(str::to_owned)).transpose()?;
    call.query = at.get("query").map(|at| at.text().map(str::to_owned)).transpose()?;
    call.request = at.get("request").map(|at| at.value.clone());
    Ok(call)
}

fn not_called(at: &At<'_>) -> Result<(String, String), Error> {
    if let Some(name) = at.value.as_str() {
        return Ok((name.to_owned(), String::new()));
    }
    at.map(&["webhook", "why"])?;
    let why = at.get("why").map(|at| at.text().map(str::to_owned)).transpose()?.unwrap_or_default();
    Ok((at.need("webhook")?.text()?.to_owned(), why))
}
