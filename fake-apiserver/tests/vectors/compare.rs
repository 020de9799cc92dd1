//! Differences between the recording and now, and what they look like.

use std::fmt::{self, Write as _};

use apimachinery::value::{Value, json};

use crate::run::Run;
use crate::shape::outline;

/// Headers that differ from run to run, or belong to the connection.
const IGNORED: [&str; 12] = [
    "audit-id",
    "date",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-kubernetes-pf-flowschema-uid",
    "x-kubernetes-pf-prioritylevel-uid",
    "etag",
    "last-modified",
    "vary",
    "accept-ranges",
    "warning",
];

/// One difference: of which kind, where, and the two sides.
pub(crate) struct Mismatch {
    /// `status`, `body`, `headers`, `calls`, `review`, `order`, `time`, `watch`, `audit`, `error`.
    pub(crate) class: &'static str,
    pub(crate) place: String,
    pub(crate) recorded: Value,
    pub(crate) live: Value,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  [{}] {}", self.class, self.place)?;
        let mut lines = Vec::new();
        differences("", &self.recorded, &self.live, &mut lines);
        let more = lines.len().saturating_sub(12);
        lines.iter().take(12).try_for_each(|line| writeln!(f, "    {line}"))?;
        if more > 0 { writeln!(f, "    and {more} more") } else { Ok(()) }
    }
}

/// Every path at which two values differ.
fn differences(path: &str, recorded: &Value, live: &Value, lines: &mut Vec<String>) {
    match (recorded, live) {
        (a, b) if a == b => {}
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(key))) {
                let null = Value::Null;
                match (a.get(key), b.get(key)) {
                    (Some(_), None) => lines.push(format!("{path}/{key}: only recorded: {}", short(&a[key]))),
                    (None, Some(_)) => lines.push(format!("{path}/{key}: only now: {}", short(&b[key]))),
                    (a, b) => differences(&format!("{path}/{key}"), a.unwrap_or(&null), b.unwrap_or(&null), lines),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{index}"), a, b, lines);
            }
        }
        (a, b) => {
            lines.push(format!("{path}: recorded {}\n    {} now {}", short(a), " ".repeat(path.len() + 3), short(b)))
        }
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

impl Run {
    pub(crate) fn differs(&mut self, class: &'static str, place: impl Into<String>, recorded: Value, live: Value) {
        self.mismatches.push(Mismatch { class, place: place.into(), recorded, live });
    }

    /// Compares two bodies; `volatile` as in [`crate::text::Side::object`].
    pub(crate) fn body(&mut self, place: &str, recorded: &Value, live: &Value, volatile: bool) {
        self.recorded.collect(recorded);
        self.live.collect(live);
        let (a, b) = (self.recorded.object(recorded, volatile), self.live.object(live, volatile));
        if a != b {
            self.differs("body", place, a, b);
        }
    }

    /// Compares the headers of two responses; warnings in their order.
    pub(crate) fn headers(&mut self, place: &str, recorded: &[(String, String)], live: &[(String, String)]) {
        let view = |headers: &[(String, String)], side: &crate::text::Side| {
            let kept = headers.iter().filter(|(name, _)| !IGNORED.contains(&name.to_lowercase().as_str()));
            let mut fields: Vec<Value> =
                kept.map(|(name, value)| json!([name.to_lowercase(), side.text(value)])).collect();
            fields.sort_by_key(Value::to_string);
            let warnings = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("warning"));
            let warnings: Vec<String> = warnings.map(|(_, value)| side.text(value)).collect();
            json!({"headers": fields, "warnings": warnings})
        };
        let (a, b) = (view(recorded, &self.recorded), view(live, &self.live));
        if a != b {
            self.differs("headers", place, a, b);
        }
    }

    /// The same object in the recording is the same one now, and changed when it changed there.
    pub(crate) fn identity(&mut self, place: &str, recorded: &Value, live: &Value) {
        let (a, b) = (&recorded["metadata"], &live["metadata"]);
        let (Some(recorded_uid), Some(uid)) = (a["uid"].as_str(), b["uid"].as_str()) else { return };
        if recorded.get("items").is_some() || self.waits {
            return;
        }
        if self.uids.get(recorded_uid).is_some_and(|known| known != uid) {
            self.differs("body", format!("{place} uid"), json!("the same object as before"), json!("another one"));
        }
        let kinds = ["Pod", "ConfigMap", "Lease", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
        if !recorded["kind"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
            return;
        }
        let text = |value: &Value| value["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let pair = (text(a), text(b));
        let seen = self.revisions.entry(recorded_uid.to_owned()).or_default();
        let differs = seen.iter().find(|(old, new)| (*old == pair.0) != (*new == pair.1)).cloned();
        seen.push(pair.clone());
        if let Some((old, _)) = differs {
            let word = |same: bool| if same { "unchanged" } else { "changed" };
            let same = old == pair.0;
            self.differs("body", format!("{place} resourceVersion"), json!(word(same)), json!(word(!same)));
        }
    }

    /// The order of keys in two JSON texts whose contents are equal.
    pub(crate) fn order(&mut self, place: &str, recorded: &str, live: &str) {
        let view = |text: &str, side: &crate::text::Side| {
            let mut keys = String::new();
            for key in outline(text) {
                let _ = writeln!(keys, "{key}");
            }
            side.text(&keys).lines().map(str::to_owned).collect::<Vec<String>>()
        };
        let (a, b) = (view(recorded, &self.recorded), view(live, &self.live));
        if a != b {
            let at = a.iter().zip(&b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
            let near = |keys: &[String]| json!(keys.iter().skip(at.saturating_sub(3)).take(8).collect::<Vec<_>>());
            self.differs("order", place, near(&a), near(&b));
        }
    }
}
