//! One review, asked of both sides.

use std::time::Duration;

use admission::capture::{Record, Redactor};
use admission::review::{AdmissionReview, ReplyBody};
use apimachinery::json_patch::Patch;
use apimachinery::schema;
use apimachinery::value::{List, Value, json};
use tokio::time::Instant;

use super::differ::{Difference, Step, differences};
use super::general::Own;
use super::{Change, ChangeKind};
use crate::replay::{Asked, Heard, Verdict, Webhook, Wire, judge};
use crate::secrets::hidden;

/// What came of a review.
pub(super) struct Compared {
    /// What each side made of it, and how long it took; the baseline first.
    pub(super) sides: [(Verdict, Duration); 2],
    pub(super) found: Found,
}

pub(super) enum Found {
    Equal,
    /// A side is what was recorded, and nothing was.
    NotRecorded,
    /// Neither side gave a valid answer.
    Unanswered,
    /// Not an AdmissionReview.
    NoReview(String),
    Different(Box<Differing>),
}

/// A review of which the sides made different things.
#[derive(Default)]
pub(super) struct Differing {
    /// Only one side gave a valid answer.
    pub(super) one_sided: bool,
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) owner: String,
    /// With the pod's own names replaced by placeholders.
    pub(super) changes: Vec<Change>,
    /// Where they are with these names as they are, for each.
    pub(super) literal: Vec<String>,
    /// The same, as they are, secrets and all: for what is sent again.
    pub(super) differences: Vec<Difference>,
    /// Kind and place of each of them.
    pub(super) places: Vec<(ChangeKind, String)>,
    pub(super) before: Value,
    pub(super) after: Value,
    /// The candidate's object as it is.
    pub(super) sent: Value,
}

/// Connections to both sides.
pub(super) struct Pair {
    wires: [Wire; 2],
    /// Takes secrets out of what is shown.
    redactor: Option<Redactor>,
}

impl Pair {
    pub(super) fn new(baseline: &Webhook, candidate: &Webhook, redactor: Option<Redactor>) -> Self {
        Self { wires: [baseline.wire(), candidate.wire()], redactor }
    }

    /// A part of a record's object as it may be shown: without what is a secret in the whole.
    pub(super) fn shown(&self, record: &Record, object: &Value) -> Value {
        match &self.redactor {
            Some(redactor) => {
                let review = serde_json::from_str(&record.body).unwrap_or(Value::Null);
                let shown = hidden(redactor, &json!({ "review": review, "part": object }));
                shown.map_or(Value::Null, |mut shown| shown["part"].take())
            }
            None => object.clone(),
        }
    }

    /// Asks both sides, with this body in place of the record's if there is one.
    pub(super) async fn compare(&mut self, record: &Record, body: Option<&[u8]>) -> Compared {
        let asked = Asked::of(record);
        let [first, second] = &mut self.wires;
        let (first, second) = (timed(first, record, body).await, timed(second, record, body).await);
        let (one, two) = (judge(asked.as_ref(), &first.0), judge(asked.as_ref(), &second.0));
        let found = match (&first.0, &second.0) {
            (Heard::NotRecorded, _) | (_, Heard::NotRecorded) => Found::NotRecorded,
            (Heard::Answer(a, text), Heard::Answer(b, other)) if a == b && text == other && one.1.is_some() => {
                Found::Equal
            }
            _ => match AdmissionReview::decode(body.unwrap_or(record.body.as_bytes())) {
                Ok(review) => {
                    let (one, two) = ((&one.0, one.1.as_ref()), (&two.0, two.1.as_ref()));
                    look(&review, one, two, self.redactor.as_ref())
                }
                Err(error) => Found::NoReview(error.to_string()),
            },
        };
        Compared { sides: [(one.0, first.1), (two.0, second.1)], found }
    }
}

async fn timed(wire: &mut Wire, record: &Record, body: Option<&[u8]>) -> (Heard, Duration) {
    let begun = Instant::now();
    let heard = wire.ask(record, body).await;
    let took = match (&wire, record.duration_ms) {
        (Wire::Recorded, Some(ms)) => Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default(),
        _ => begun.elapsed(),
    };
    (heard, took)
}

/// A side's view of the object: what it is after the patch, or that there is none.
fn applied(object: &Value, verdict: &Verdict, reply: Option<&ReplyBody>) -> (Verdict, Value) {
    match (verdict, reply) {
        (Verdict::Injected, Some(reply)) => {
            let patch = Patch::parse(reply.patch.as_deref().unwrap_or_default());
            match patch.and_then(|patch| patch.apply(object.clone())) {
                Ok(object) => (Verdict::Injected, object),
                Err(error) => (Verdict::Failed(format!("the patch does not apply: {error}")), Value::Null),
            }
        }
        (Verdict::Skipped(_), _) => (verdict.clone(), object.clone()),
        _ => (verdict.clone(), Value::Null),
    }
}

type Answered<'a> = (&'a Verdict, Option<&'a ReplyBody>);

fn look(
    review: &AdmissionReview<'_>,
    baseline: Answered<'_>,
    candidate: Answered<'_>,
    redactor: Option<&Redactor>,
) -> Found {
    let request = &review.request;
    let parse = |raw: &serde_json::value::RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let object = request.object.map(parse).unwrap_or_default();
    let described = request.object.or(request.old_object).map(parse).unwrap_or_default();
    let (one, before) = applied(&object, baseline.0, baseline.1);
    let (two, after) = applied(&object, candidate.0, candidate.1);
    let failed = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_));
    if failed(&one) && failed(&two) {
        return Found::Unanswered;
    }
    let mut found = Vec::new();
    if std::mem::discriminant(&one) != std::mem::discriminant(&two) {
        found.push(outside(ChangeKind::Decision, &["decision"], Some(words(&one)), Some(words(&two))));
    } else if let (Verdict::Denied(was), Verdict::Denied(is)) = (&one, &two) {
        if was != is {
            found.push(outside(ChangeKind::Decision, &["decision", "message"], Some(was.clone()), Some(is.clone())));
        }
    } else {
        let kind = &request.kind;
        found = differences(&before, &after, schema::lookup(&kind.group, &kind.version, &kind.kind));
    }
    if let (Some(one), Some(two)) = (baseline.1, candidate.1) {
        beside(one, two, &mut found);
    }
    if found.is_empty() {
        return Found::Equal;
    }
    let own = Own::of(&described, &request.namespace, &request.uid);
    let places = found.iter().map(|difference| (difference.kind, own.path_of(difference))).collect();
    let kind = schema::lookup(&request.kind.group, &request.kind.version, &request.kind.kind);
    let sent = after.clone();
    let (shown, before, after) = match redactor.map(|redactor| shown(redactor, &described, &before, &after, &found)) {
        Some(Some((before, after, outside))) => {
            // Where the decisions differ, the objects were not compared.
            let compared = found.len() > outside.len();
            let mut shown = if compared { differences(&before, &after, kind) } else { Vec::new() };
            shown.extend(outside);
            (shown, before, after)
        }
        _ => (found.clone(), before, after),
    };
    Found::Different(Box::new(Differing {
        one_sided: failed(&one) || failed(&two),
        uid: request.uid.to_string(),
        namespace: request.namespace.to_string(),
        name: name(&described, &request.name),
        owner: owner(&described),
        changes: shown.iter().map(|difference| own.change(difference)).collect(),
        literal: shown.iter().map(|difference| own.literal_path(difference)).collect(),
        differences: found,
        places,
        sent,
        before,
        after,
    }))
}

/// Both objects, and the differences that are not of them, without secrets and what quotes one; none if there are none.
fn shown(
    redactor: &Redactor,
    described: &Value,
    before: &Value,
    after: &Value,
    found: &[Difference],
) -> Option<(Value, Value, Vec<Difference>)> {
    let outside = |difference: &&Difference| {
        matches!(difference.kind, ChangeKind::Decision | ChangeKind::Warning | ChangeKind::AuditAnnotation)
    };
    let mut beside: Vec<Difference> = found.iter().filter(outside).cloned().collect();
    let texts: Vec<_> = beside.iter().map(|difference| (&difference.before, &difference.after)).collect();
    let all = json!({ "object": described, "before": before, "after": after, "texts": texts });
    // What cannot be redacted is not shown.
    let mut hidden = hidden(redactor, &all).unwrap_or_default();
    if hidden == all {
        return None;
    }
    for (at, difference) in beside.iter_mut().enumerate() {
        let text = |side: usize, value: &Option<Value>| value.as_ref().map(|_| hidden["texts"][at][side].clone());
        (difference.before, difference.after) = (text(0, &difference.before), text(1, &difference.after));
    }
    Some((hidden["before"].take(), hidden["after"].take(), beside))
}

/// Differences of what goes with an answer beside the patch.
fn beside(one: &ReplyBody, two: &ReplyBody, found: &mut Vec<Difference>) {
    for gone in one.warnings.iter().filter(|text| !two.warnings.contains(text)) {
        found.push(outside(ChangeKind::Warning, &["warnings"], Some(gone.clone()), None));
    }
    for come in two.warnings.iter().filter(|text| !one.warnings.contains(text)) {
        found.push(outside(ChangeKind::Warning, &["warnings"], None, Some(come.clone())));
    }
    let (before, after) = (&one.audit_annotations, &two.audit_annotations);
    for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
        if before.get(key) != after.get(key) {
            let kind = ChangeKind::AuditAnnotation;
            found.push(outside(kind, &["auditAnnotations", key], before.get(key).cloned(), after.get(key).cloned()));
        }
    }
}

fn outside(kind: ChangeKind, path: &[&str], before: Option<String>, after: Option<String>) -> Difference {
    let path = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
    Difference { kind, path, before: before.map(Value::from), after: after.map(Value::from) }
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Injected => "injected".to_owned(),
        Verdict::Skipped(why) => format!("skipped: {why}"),
        Verdict::Denied(message) => format!("denied: {message}"),
        Verdict::NotReplayable(why) => format!("not sent: {why}"),
        Verdict::Failed(error) => format!("failed: {error}"),
    }
}

fn name(object: &Value, asked: &str) -> String {
    let metadata = &object["metadata"];
    match (asked, metadata["name"].as_str(), metadata["generateName"].as_str()) {
        ("", Some(name), _) if !name.is_empty() => name.to_owned(),
        ("", _, Some(prefix)) => format!("{prefix}…"),
        (asked, ..) => asked.to_owned(),
    }
}

/// `Deployment/web` where a ReplicaSet says so by its name, else the controlling owner as it is.
fn owner(object: &Value) -> String {
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array().map(List::as_slice).unwrap_or_default();
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true).or(owners.first()) else {
        return String::new();
    };
    let text = |key: &str| owner[key].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let hash = metadata["labels"]["pod-template-hash"].as_str().unwrap_or_default();
    match name.strip_suffix(hash).and_then(|name| name.strip_suffix('-')) {
        Some(name) if kind == "ReplicaSet" && !hash.is_empty() => format!("Deployment/{name}"),
        _ => format!("{kind}/{name}"),
    }
}
