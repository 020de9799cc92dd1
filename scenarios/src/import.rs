//! Reviews out of what people have: audit logs, injector logs, single reviews, OPA inputs; into a capture log.
//!
//! ```text
//! lines ──► form of each line ─┬─► audit event ──► rebuild ──► a record for each webhook's call
//!                              ├─► AdmissionReview, record, {"input": …}
//!                              └─► Istio 1.0 injector log
//! else: documents (YAML, JSON) ──► AdmissionReview, {"input": …}, List
//!                              └──► manifests ──► the reviews of their pods, as an apiserver would send them
//! ```
//!
//! Line by line, so that memory does not grow with the log; only documents of several lines are read whole.

mod audit;
mod istio;
mod manifests;
mod rebuild;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use manifests::manifests;

use admission::capture::{Error as LineError, Reader, Record};
use apimachinery::value::{List, Value, json};
use apimachinery::yaml;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An apiserver's audit log, JSON lines.
    Audit,
    /// The log of Istio 1.0's sidecar injector, at level debug.
    Istio,
    /// AdmissionReviews or OPA inputs, one JSON object a line.
    Lines,
    /// AdmissionReviews or OPA inputs as YAML or JSON documents.
    Documents,
}

/// Documents are read whole, up to this many bytes.
const DOCUMENTS: usize = 256 << 20;

/// What became of the input.
#[derive(Debug, Default)]
pub struct Imported {
    /// Reviews written.
    pub reviews: u64,
    /// What was passed over, by the reason, and how often.
    pub passed_over: BTreeMap<String, u64>,
    /// What could not be read: line and problem. Only the first hundred.
    pub problems: Vec<String>,
    /// How many could not be read.
    pub unreadable: u64,
    /// Manifests (Pods, Deployments, …) that were found: [`manifests`] makes reviews of them.
    pub manifests: List,
}

impl Imported {
    fn pass_over(&mut self, why: &str) {
        *self.passed_over.entry(why.to_owned()).or_default() += 1;
    }

    fn problem(&mut self, name: &str, what: &str) {
        self.unreadable += 1;
        if self.problems.len() < 100 {
            self.problems.push(format!("{name}: {what}"));
        }
    }
}

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Documents are read whole, and these are too many.
    #[error("{name}: larger than {DOCUMENTS} bytes, and no JSON lines: split it, or say with --format what it is")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// No cluster to create manifests in.
    #[error("cannot start a cluster for the manifests: {0}")]
    Cluster(String),
    /// The log cannot be written.
    #[error("cannot write the log: {0}")]
    Write(#[source] std::io::Error),
}

/// Reads everything of a source, and hands each record to `write`.
///
/// # Errors
/// [`Error`]. What cannot be read is counted in `imported`, and reading goes on.
pub fn import(
    name: &str,
    mut reader: Reader,
    format: Option<Format>,
    imported: &mut Imported,
    mut write: impl FnMut(&Record) -> std::io::Result<()>,
) -> Result<(), Error> {
    let mut format = format;
    let mut istio = istio::Log::default();
    let (mut whole, mut lines) = (String::new(), 0);
    let mut put = |imported: &mut Imported, record: Record| {
        imported.reviews += 1;
        write(&record).map_err(Error::Write)
    };
    while let Some(line) = reader.next_line() {
        let line = match line {
            Ok(line) => line,
            // The rest of a YAML document would be another one.
            Err(error) => {
                imported.problem(name, &error.to_string());
                continue;
            }
        };
        match *format.get_or_insert_with(|| detect(line.text)) {
            Format::Istio => {
                if let Some(record) = istio.line(&String::from_utf8_lossy(line.text), imported) {
                    put(imported, record)?;
                }
            }
            Format::Documents => {
                if whole.len() + line.text.len() > DOCUMENTS {
                    return Err(Error::TooLarge { name: name.to_owned() });
                }
                // Empty lines are not handed on; in a document they may be content.
                for _ in lines + 1..line.number {
                    whole.push('\n');
                }
                lines = line.number;
                whole.push_str(&String::from_utf8_lossy(line.text));
                whole.push('\n');
            }
            Format::Audit | Format::Lines => {
                let at = line.number;
                match serde_json::from_slice::<Value>(line.text) {
                    Ok(value) if audit::is_event(&value) => match audit::reviews(&value) {
                        Ok(records) => {
                            for record in records {
                                put(imported, record)?;
                            }
                        }
                        Err(why) => imported.pass_over(why),
                    },
                    Ok(value) if value.get("body").is_some() => match line.record() {
                        Ok(record) => put(imported, record)?,
                        Err(error) => imported.problem(name, &error.to_string()),
                    },
                    Ok(value) => match reviews(value, &mut imported.manifests) {
                        Ok(records) => {
                            for record in records {
                                put(imported, record)?;
                            }
                        }
                        Err(why) => imported.problem(name, &format!("line {at}: {why}")),
                    },
                    Err(error) if error.is_eof() && !line.whole => {
                        imported.problem(name, &LineError::Torn { line: at }.to_string());
                    }
                    // The message might quote what stands there.
                    Err(error) => imported.problem(name, &format!("line {at}: no JSON (column {})", error.column())),
                }
            }
        }
    }
    if let Some(record) = istio.end(imported) {
        put(imported, record)?;
    }
    if !whole.trim().is_empty() {
        for document in yaml::documents(&whole) {
            match document {
                Ok(document) if document.value.is_null() => {}
                Ok(document) => match reviews(document.value, &mut imported.manifests) {
                    Ok(records) => {
                        for record in records {
                            put(imported, record)?;
                        }
                    }
                    Err(why) => imported.problem(name, &format!("document at line {}: {why}", document.line)),
                },
                Err(error) => imported.problem(name, &format!("line {}: no YAML or JSON", error.line)),
            }
        }
    }
    Ok(())
}

/// What the first line that holds anything says.
fn detect(line: &[u8]) -> Format {
    if let Ok(value) = serde_json::from_slice::<Value>(line)
        && value.is_object()
    {
        return if audit::is_event(&value) { Format::Audit } else { Format::Lines };
    }
    // A whole line of a log begins with its time: 2019-01-31T12:00:00.000000Z.
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
    let timed = text.len() > 20 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit) && text.as_bytes()[4] == b'-';
    if timed || text.contains("AdmissionReview for Kind=") {
        return Format::Istio;
    }
    // A torn or damaged line of JSON lines begins like one; a pretty-printed document has its brace alone.
    if text.trim_start().starts_with('{') && text.trim().len() > 2 { Format::Lines } else { Format::Documents }
}

/// The reviews of one object.
fn reviews(value: Value, manifests: &mut List) -> Result<Vec<Record>, &'static str> {
    let record = |body: Value, response: Option<Value>| Record {
        method: "POST".to_owned(),
        body: body.to_string(),
        response: response.map(|response| admission::capture::Answer {
            status: 200,
            headers: Vec::new(),
            body: json!({ "kind": body["kind"], "apiVersion": body["apiVersion"], "response": response }).to_string(),
        }),
        ..Record::default()
    };
    // OPA's own input, a decision log's event, Gatekeeper's `input.review`.
    for wrapped in [value.get("input"), value.get("review").filter(|_| value.get("kind").is_none())] {
        if let Some(inner) = wrapped.filter(|inner| inner.is_object()) {
            return reviews(inner.clone(), manifests);
        }
    }
    match value["kind"].as_str() {
        Some("AdmissionReview") if value["request"].is_object() => {
            let mut value = value;
            let response = value["response"].take();
            if let Some(members) = value.as_object_mut() {
                members.remove("response");
            }
            Ok(vec![record(value, Some(response).filter(Value::is_object))])
        }
        Some("AdmissionReview") => Err("an AdmissionReview without a request"),
        Some(kind) if kind == "EventList" || (kind.ends_with("List") && value["items"].is_array()) => {
            let mut all = Vec::new();
            for item in value["items"].as_array().into_iter().flatten() {
                if audit::is_event(item) {
                    all.extend(audit::reviews(item).unwrap_or_default());
                } else {
                    all.extend(reviews(item.clone(), manifests)?);
                }
            }
            Ok(all)
        }
        // A bare request, as Gatekeeper and OPA hand it on.
        _ if value["uid"].is_string() && value["operation"].is_string() && value["kind"].is_object() => {
            Ok(vec![record(
                json!({ "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": value }),
                None,
            )])
        }
        _ if manifests::is_manifest(&value) => {
            if manifests.len() >= manifests::MOST {
                return Err("more manifests than one import takes: import them in parts");
            }
            manifests.push(value);
            Ok(Vec::new())
        }
        _ => Err("neither an AdmissionReview, nor an OPA input, nor an audit event, nor a manifest"),
    }
}
