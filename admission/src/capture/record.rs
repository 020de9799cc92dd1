//! One line of a capture log.

use std::borrow::Cow;

use apimachinery::skim::Skim;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::review::{AdmissionReview, Error};

/// The version that [`Writer`](super::Writer) writes.
pub const FORMAT_VERSION: u32 = 1;

/// Lines from this length on are worth looking through before they are read.
const LONG: usize = 1024;

/// One captured request to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// Number of the request within its recording, from 1; 0 if unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub seq: u64,
    /// When the request came: RFC 3339 with microseconds, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Milliseconds since the recording began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t_ms: Option<f64>,
    /// HTTP method; `POST` if the line does not say.
    pub method: String,
    /// URL path, such as `/inject/cluster/c1`; empty if unknown.
    pub path: String,
    /// Query without the question mark, such as `timeout=10s`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// Headers in wire order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The name of the webhook that was called, where the recorder knows it: `namespace.sidecar-injector.istio.io`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook: String,
    /// The HTTP body, verbatim.
    pub body: String,
    /// What the webhook answered, where the recorder saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Answer>,
    /// How long the webhook took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
}

/// A webhook's HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Headers in wire order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The HTTP body, verbatim.
    #[serde(default, deserialize_with = "text_or_json")]
    pub body: String,
}

impl Record {
    /// The review in the body.
    ///
    /// # Errors
    /// As [`AdmissionReview::decode`].
    pub fn review(&self) -> Result<AdmissionReview<'_>, Error> {
        AdmissionReview::decode(self.body.as_bytes())
    }

    /// Reads one line, without its line break.
    ///
    /// # Errors
    /// Says in words what is wrong with the line; the second value is true if the line merely ended too early.
    pub(super) fn parse(line: &[u8]) -> Result<Self, (String, bool)> {
        if let Some(record) = Self::split(line) {
            return Ok(record);
        }
        if let Ok(fields) = serde_json::from_slice::<Fields<'_, String>>(line) {
            return fields.record(line);
        }
        match serde_json::from_slice::<Fields<'_, Body>>(line) {
            Ok(fields) => fields.record(line),
            Err(error) => Err((format!("not a record: {error}"), error.is_eof())),
        }
    }
}

impl Record {
    /// Reads a line whose body is a long text: the text by itself, the rest without it. `None`: read it as any other line.
    fn split(line: &[u8]) -> Option<Self> {
        if line.len() < LONG {
            return None;
        }
        let text = std::str::from_utf8(line).ok()?;
        let mut found = None;
        let mut skim = Skim::new(text);
        skim.members(&["body"], |skim, _| {
            found = Some(skim.text()?);
            Some(())
        })?;
        let (body, place) = found?;
        let rest = [text.get(..place.start)?, text.get(place.end..)?].concat();
        let fields: Fields<'_, String> = serde_json::from_str(&rest).ok()?;
        // A review that has a member of that name is no record.
        if fields.kind.is_some() {
            return None;
        }
        let record = fields.record(line).ok()?;
        Some(Self { body, ..record })
    }
}

impl<B: Into<String>> Fields<'_, B> {
    fn record(self, line: &[u8]) -> Result<Record, (String, bool)> {
        let fields = self;
        if let Some(version) = fields.format_version
            && version > u64::from(FORMAT_VERSION)
        {
            let message = format!(
                "format_version {version} is newer than {FORMAT_VERSION}, the newest that this reader knows: use a newer towtank"
            );
            return Err((message, false));
        }
        if fields.kind.as_deref() == Some("AdmissionReview") {
            let body = String::from_utf8_lossy(line).trim().to_owned();
            return Ok(Record { method: "POST".to_owned(), body, ..Record::default() });
        }
        let Some(body) = fields.body else {
            return Err(("no field \"body\", and not an AdmissionReview either".to_owned(), false));
        };
        Ok(Record {
            seq: fields.seq.unwrap_or_default(),
            time: fields.time,
            t_ms: fields.t_ms,
            method: fields.method.unwrap_or_else(|| "POST".to_owned()),
            path: fields.path.unwrap_or_default(),
            query: fields.query.unwrap_or_default(),
            headers: fields.headers.unwrap_or_default(),
            webhook: fields.webhook.unwrap_or_default(),
            body: body.into(),
            response: fields.response,
            duration_ms: fields.duration_ms,
        })
    }
}

/// What may stand in a line, of any format that is read.
#[derive(Deserialize)]
#[serde(bound(deserialize = "B: Deserialize<'de>"))]
struct Fields<'a, B> {
    format_version: Option<u64>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    seq: Option<u64>,
    time: Option<String>,
    #[serde(alias = "tMs")]
    t_ms: Option<f64>,
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    headers: Option<Vec<(String, String)>>,
    webhook: Option<String>,
    body: Option<B>,
    response: Option<Answer>,
    duration_ms: Option<f64>,
}

struct Body(String);

impl From<Body> for String {
    fn from(body: Body) -> Self {
        body.0
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_json(deserializer).map(Body)
    }
}

/// A string is the text itself; anything else stands for its own JSON text.
fn text_or_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    if raw.get().starts_with('"') {
        serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)
    } else {
        Ok(raw.get().to_owned())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(seq: &u64) -> bool {
    *seq == 0
}
