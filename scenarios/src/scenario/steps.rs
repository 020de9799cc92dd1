//! The steps of a scenario.

use std::fmt;
use std::time::Duration;

use apimachinery::value::{Map, Text, Value};

use super::Error;
use super::expect::{self, Expect};
use super::load::Files;
use super::reader::{At, suggestion};

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its line in the file.
    pub line: usize,
    /// What is done.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Creates objects, or changes those that exist.
    Apply(Vec<Value>),
    /// Creates objects.
    Create(Vec<Value>),
    /// Patches an object.
    Patch {
        /// Which.
        object: ObjectRef,
        /// The patch.
        patch: Value,
        /// How it is to be read.
        r#type: PatchType,
    },
    /// Deletes an object.
    Delete(ObjectRef),
    /// Sets labels; null takes one away.
    Label {
        /// Of which object.
        object: ObjectRef,
        /// The labels.
        labels: Map,
    },
    /// Reads an object, for a following `expect`.
    Get(ObjectRef),
    /// Makes a webhook misbehave.
    Fault(Fault),
    /// Replaces a workload's pods, as `kubectl rollout restart` does.
    Restart(ObjectRef),
    /// Lets time pass.
    Advance(Duration),
    /// Looks at what has come of it.
    Expect(Box<Expect>),
}

impl StepKind {
    /// The word in the file.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Apply(_) => "apply",
            Self::Create(_) => "create",
            Self::Patch { .. } => "patch",
            Self::Delete(_) => "delete",
            Self::Label { .. } => "label",
            Self::Get(_) => "get",
            Self::Fault(_) => "fault",
            Self::Restart(_) => "restart",
            Self::Advance(_) => "advance",
            Self::Expect(_) => "expect",
        }
    }
}

/// How a patch is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchType {
    /// Strategic merge, kubectl's default.
    #[default]
    Strategic,
    /// JSON merge patch (RFC 7386).
    Merge,
    /// JSON patch (RFC 6902): a list of operations.
    Json,
}

impl PatchType {
    /// The media type that says so.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// An object by name: `pod/shop/web`, or `namespace/shop` for what is in no namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// Kind in any case, singular or plural, or a resource with its group: `deployment`, `pods`, `jobs.batch`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// Reads `kind/namespace/name` or `kind/name`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, "", name),
            [kind, namespace, name] => (kind, namespace, name),
            _ => return None,
        };
        if kind.is_empty() || name.is_empty() || parts.len() == 3 && namespace.is_empty() {
            return None;
        }
        Some(Self { kind: kind.to_lowercase(), namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A webhook's misbehaviour.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The webhook.
    pub webhook: String,
    /// What it does.
    pub kind: FaultKind,
    /// For how long, on the scenario's clock; `None`: until another `fault`.
    pub lasts: Option<Duration>,
}

/// What a misbehaving webhook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Behaves again.
    None,
    /// Nothing listens any more.
    Refuse,
    /// Takes the request and closes the connection.
    Close,
    /// Answers, but only after this time.
    Delay(Duration),
    /// Answers every call with this HTTP status and no review.
    Status(u16),
}

const STEPS: [&str; 10] =
    ["apply", "create", "patch", "delete", "label", "get", "fault", "restart", "advance", "expect"];

pub(super) fn read(at: &At<'_>, files: &Files) -> Result<Step, Error> {
    let map = at.any_map()?;
    let (word, value) = match (map.len(), map.iter().next()) {
        (1, Some((word, value))) => (word.as_str(), at.child(word, value)),
        _ => return Err(at.error(format!("a step is one of {}, and just one", STEPS.join(", ")))),
    };
    let kind = match word {
        "apply" => StepKind::Apply(files.objects(&value)?),
        "create" => StepKind::Create(files.objects(&value)?),
        "patch" => {
            value.map(&["object", "type", "patch"])?;
            let r#type = match value.get("type") {
                None => PatchType::default(),
                Some(at) => match at.text()? {
                    "strategic" => PatchType::Strategic,
                    "merge" => PatchType::Merge,
                    "json" => PatchType::Json,
                    other => {
                        return Err(at.error(format!("no patch type {other:?}; known are strategic, merge and json")));
                    }
                },
            };
            StepKind::Patch {
                object: object(&value.need("object")?)?,
                patch: value.need("patch")?.value.clone(),
                r#type,
            }
        }
        "delete" => StepKind::Delete(object(&value)?),
        "label" => {
            value.map(&["object", "labels"])?;
            let labels = value.need("labels")?;
            for (key, label) in labels.any_map()? {
                if !label.is_string() && !label.is_null() {
                    return Err(labels
                        .child(key, label)
                        .error("a label is a string (quote it), or null to take it away"));
                }
            }
            StepKind::Label { object: object(&value.need("object")?)?, labels: labels.any_map()?.clone() }
        }
        "get" => StepKind::Get(object(&value)?),
        "fault" => StepKind::Fault(fault(&value)?),
        "restart" => StepKind::Restart(object(&value)?),
        "advance" => StepKind::Advance(value.duration()?),
        "expect" => StepKind::Expect(Box::new(expect::read(&value)?)),
        other => return Err(value.error(format!("no such step; {}", suggestion(other, &STEPS)))),
    };
    Ok(Step { line: at.line(), kind })
}

pub(super) fn object(at: &At<'_>) -> Result<ObjectRef, Error> {
    let text = at.text()?;
    ObjectRef::parse(text)
        .ok_or_else(|| at.error(format!("want kind/namespace/name or kind/name, such as pod/shop/web, found {text:?}")))
}

fn fault(at: &At<'_>) -> Result<Fault, Error> {
    let map = at.map(&["webhook", "refuse", "close", "delay", "status", "clear", "for"])?;
    let webhook = at.need("webhook")?.text()?.to_owned();
    let kinds: Vec<&Text> = map.keys().filter(|key| *key != "webhook" && *key != "for").collect();
    let [word] = kinds[..] else {
        return Err(at.error("one of refuse, close, delay, status and clear is needed"));
    };
    let value = at.need(word)?;
    let mut lasts = at.get("for").map(|at| at.duration()).transpose()?;
    // `refuse: 60s` says how long, `refuse: true` until further notice.
    let mut time = |value: &At<'_>| -> Result<(), Error> {
        if value.value != &Value::Bool(true) {
            lasts = Some(value.duration().map_err(|_| value.error("want a duration such as 60s, or true"))?);
        }
        Ok(())
    };
    let kind = match word.as_str() {
        "refuse" => {
            time(&value)?;
            FaultKind::Refuse
        }
        "close" => {
            time(&value)?;
            FaultKind::Close
        }
        "delay" => FaultKind::Delay(value.duration()?),
        "status" => match u16::try_from(value.number()?) {
            Ok(code @ 100..=599) => FaultKind::Status(code),
            _ => return Err(value.error("want an HTTP status from 100 to 599")),
        },
        _ => FaultKind::None,
    };
    Ok(Fault { webhook, kind, lasts })
}
