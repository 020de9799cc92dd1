//! What differs from run to run, taken out of texts: uids, times, generated names, ports. Both sides of a comparison, the
//! recorded and the one seen now, go through the same rules, each with the names that it has learned.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use apimachinery::value::Value;
use regex::{Captures, Regex};

/// The alphabet of generated names.
const ALPHA: &str = "bcdfghjklmnpqrstvwxz2456789";

/// One side of one case.
#[derive(Default)]
pub(crate) struct Side {
    /// Times within these seconds since 1970 are of the run; others are data.
    window: (i64, i64),
    /// Texts of this run and what the recording has in their place.
    pub(crate) own: Vec<(String, String)>,
    /// resourceVersions, uids and addresses that the case itself chose.
    pub(crate) literals: BTreeSet<String>,
    /// Rules of single cases.
    pub(crate) extra: Vec<(Regex, &'static str)>,
    names: BTreeMap<String, String>,
    hashes: BTreeSet<String>,
    bases: BTreeSet<String>,
    deployments: BTreeSet<String>,
}

macro_rules! patterns {
    ($($name:ident = $pattern:expr;)*) => { $(static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).unwrap());)* };
}

patterns! {
    PEM = r"-----BEGIN ([A-Z ]+)-----(?:\\n|[A-Za-z0-9+/=\s])*?-----END [A-Z ]+-----(?:\\n|\n)?";
    JWT = r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}";
    UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    TIME = r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)";
    ACCESS = r"\bkube-api-access-[a-z0-9]{5}\b";
    EVENT = r"([a-z0-9>*])\.[0-9a-f]{16}\b";
    EPHEMERAL = r"\b(127\.0\.0\.1|10\.96\.0\.\d+):\d+->";
    FINGERPRINT = r"X509SHA256=[0-9a-f]{64}";
    LOST = r#"(?:(?:read|write) tcp [^\s"]+: (?:read|write)|dial tcp [^\s"]+: connect): (?:connection reset by peer|broken pipe)|http2: frame too large"#;
    LOST_EOF = r#"(s\\": )EOF"#;
    TOO_OLD = r"(too old resource version: \d+ \()\d+\)";
    TOO_LARGE = r"(Too large resource version: \d+, current: )\d+";
    QUOTED_RV = r#"(resourceVersion\\+":\\+")\d{2,}"#;
    GO_RV = r#"(resourceVersion: ")\d+""#;
    SERVER_ID = r"\bapiserver-[a-z2-7]{26}\b";
    SERVER = r#"(["\s])\d+\.\d+\.\d+\.\d+:16443\b"#;
    TICK = r"\btick-\d{8}\b";
    HASH = r"(\?hash=)[0-9A-Fa-f]+";
    TEMPLATE_BASE = r"-[bcdfghjklmnpqrstvwxz2456789]{6,10}-$";
}

fn is_alpha(letter: u8) -> bool {
    ALPHA.as_bytes().contains(&letter)
}

/// Replaces matches whose neighbouring bytes are acceptable.
fn replace<'t>(
    text: &'t str,
    pattern: &Regex,
    neighbour: fn(u8) -> bool,
    by: impl Fn(&Captures<'_>) -> String,
) -> Cow<'t, str> {
    let bytes = text.as_bytes();
    pattern.replace_all(text, |captures: &Captures<'_>| {
        let whole = captures.get(0).unwrap();
        let before = whole.start().checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(whole.end());
        if before.into_iter().chain(after).all(|byte| neighbour(*byte)) {
            by(captures)
        } else {
            whole.as_str().to_owned()
        }
    })
}

/// Every object in a value.
pub(crate) fn walk<'v>(value: &'v Value, visit: &mut dyn FnMut(&'v apimachinery::value::Map)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|value| walk(value, visit));
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

fn cut(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

impl Side {
    /// A side that has learned nothing yet.
    pub(crate) fn new(window: (i64, i64), literals: BTreeSet<String>) -> Side {
        Side { window, literals, ..Side::default() }
    }

    /// Learns generated names and template hashes from an object.
    pub(crate) fn collect(&mut self, value: &Value) {
        walk(value, &mut |map| self.learn(map));
    }

    fn learn(&mut self, map: &apimachinery::value::Map) {
        let text = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(base) = text("generateName").map(|base| cut(base, 58)) {
            self.base(base);
            if let Some(name) = text("name")
                && let Some(suffix) = name.strip_prefix(base)
                && suffix.len() == 5
                && suffix.bytes().all(is_alpha)
            {
                self.names.insert(name.to_owned(), format!("{base}*****"));
            }
        }
        if let Some(kind) = text("kind")
            && ["ReplicaSet", "Job", "DaemonSet", "ReplicationController", "Deployment"].contains(&kind)
            && let Some(name) = map.get("metadata").and_then(|meta| meta["name"].as_str())
        {
            if kind == "Deployment" {
                self.deployments.insert(name.to_owned());
            }
            self.base(&format!("{name}-"));
        }
        for key in ["pod-template-hash", "controller-revision-hash", "currentRevision", "updateRevision"] {
            if let Some(hash) = text(key).filter(|hash| hash.len() >= 5)
                && (key.ends_with("hash") || hash.contains('-'))
            {
                self.hashes.insert(hash.rsplit('-').next().unwrap_or(hash).to_owned());
            }
        }
    }

    /// What generated names begin with.
    pub(crate) fn base(&mut self, base: &str) {
        if !TEMPLATE_BASE.is_match(base) {
            self.bases.insert(base.to_owned());
        }
    }

    /// A Deployment whose ReplicaSets occur in texts only.
    pub(crate) fn deployment(&mut self, name: &str) {
        self.deployments.insert(name.to_owned());
    }

    /// Names of pods and template hashes that only occur in texts.
    fn generated(&self, mut text: String) -> String {
        for name in self.deployments.iter().rev() {
            text = suffixed(&text, &format!("{name}-"), 7..=10, |base, _| format!("{base}<hash>"));
        }
        for base in self.bases.iter().rev() {
            text = suffixed(&text, base, 5..=5, |base, _| format!("{base}*****"));
            text = suffixed(&text, &format!("{base}<hash>-"), 5..=5, |base, _| format!("{base}*****"));
        }
        text
    }

    fn is_of_the_run(&self, time: &str) -> bool {
        let Ok(time) = format!("{time}Z").parse::<jiff::Timestamp>() else { return false };
        (self.window.0..=self.window.1).contains(&time.as_second())
    }

    /// The text without what differs from run to run.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut s = text.to_owned();
        for (own, recorded) in &self.own {
            if s.contains(own) {
                s = s.replace(own, recorded);
            }
        }
        let mut rewrite = |pattern: &Regex, hint: &str, by: &str| {
            if s.contains(hint)
                && let Cow::Owned(new) = pattern.replace_all(&s, by)
            {
                s = new;
            }
        };
        rewrite(&PEM, "-----BEGIN ", "SCRUBBED-PEM-$1");
        rewrite(&JWT, "eyJ", "SCRUBBED-JWT");
        for (name, masked) in self.names.iter().rev() {
            if s.contains(name) {
                s = s.replace(name, masked);
            }
        }
        for hash in &self.hashes {
            s = whole_words(&s, hash, "<hash>");
        }
        let mut rewrite = |pattern: &Regex, hint: &str, by: &str| {
            if s.contains(hint)
                && let Cow::Owned(new) = pattern.replace_all(&s, by)
            {
                s = new;
            }
        };
        // Which error of a socket that was closed or reset comes first is a race.
        if [":18448/", ":18452/", ":18453/"].iter().any(|port| text.contains(port)) {
            rewrite(&LOST, "", "<connection lost>");
            rewrite(&LOST_EOF, "EOF", "$1<connection lost>");
        }
        s = self.generated(s);
        let mut rewrite = |pattern: &Regex, hint: &str, by: &str| {
            if s.contains(hint)
                && let Cow::Owned(new) = pattern.replace_all(&s, by)
            {
                s = new;
            }
        };
        rewrite(&ACCESS, "kube-api-access-", "kube-api-access-*****");
        rewrite(&TOO_OLD, "too old resource version", "$1<rv>)");
        rewrite(&TOO_LARGE, "Too large resource version", "$1<rv>");
        rewrite(&QUOTED_RV, "resourceVersion\\", "$1<rv>");
        rewrite(&GO_RV, "resourceVersion: ", "$1<rv>\"");
        rewrite(&SERVER_ID, "apiserver-", "apiserver-<id>");
        rewrite(&SERVER, ":16443", "$1<server>");
        rewrite(&EVENT, ".", "$1.<evt>");
        rewrite(&EPHEMERAL, "->", "$1:<port>->");
        rewrite(&FINGERPRINT, "X509SHA256=", "X509SHA256=<fp>");
        rewrite(&TICK, "tick-", "tick-<sched>");
        rewrite(&HASH, "?hash=", "$1<hash>");
        for (pattern, by) in &self.extra {
            rewrite(pattern, "", by);
        }
        s = s.replace("(combined from similar events): ", "");
        let s = replace(
            &s,
            &UUID,
            |byte| !byte.is_ascii_alphanumeric() && byte != b'-',
            |captures| {
                let uid = &captures[0];
                if uid.starts_with("00000000-0000-0000-0000-") || self.literals.contains(uid) {
                    uid.to_owned()
                } else {
                    "<uid>".to_owned()
                }
            },
        );
        let s = replace(
            &s,
            &TIME,
            |_| true,
            |captures| match captures.get(2) {
                _ if !self.is_of_the_run(&captures[1]) => captures[0].to_owned(),
                None => "<time>".to_owned(),
                Some(fraction) => format!("<time.{}>", fraction.as_str().len() - 1),
            },
        );
        s.into_owned()
    }
}

/// Replaces a word where neither letters nor digits touch it.
fn whole_words(text: &str, word: &str, by: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut last = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let touches = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        if at < last || touches(at.checked_sub(1).and_then(|at| bytes.get(at))) || touches(bytes.get(end)) {
            continue;
        }
        out.push_str(&text[last..at]);
        out.push_str(by);
        last = end;
    }
    out.push_str(&text[last..]);
    out
}

/// Replaces `base` followed by so many letters of generated names.
fn suffixed(
    text: &str,
    base: &str,
    lengths: std::ops::RangeInclusive<usize>,
    by: impl Fn(&str, &str) -> String,
) -> String {
    if !text.contains(base) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut last = 0;
    for (at, _) in text.match_indices(base) {
        let start = at + base.len();
        let length = bytes[start..].iter().take_while(|byte| is_alpha(**byte)).count();
        let end = start + length;
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let touches = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            || bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if at < last || touches || !lengths.contains(&length) {
            continue;
        }
        out.push_str(&text[last..at]);
        out.push_str(&by(base, &text[start..end]));
        last = end;
    }
    out.push_str(&text[last..]);
    out
}
