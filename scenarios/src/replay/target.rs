//! What a record is replayed at, and what can become of it.

use std::future::Future;
use std::pin::Pin;

use admission::capture::Record;
use admission::review::Received;
use serde::Deserialize;

use super::Traced;

/// Something that records can be replayed at. Each worker has its own connection.
pub trait Target: Send + Sync {
    /// A worker, which sends one record at a time.
    fn worker(&self) -> Box<dyn Worker>;
}

/// Sends records, one at a time.
pub trait Worker: Send {
    /// Sends one record and says what came of it.
    fn send<'a>(&'a mut self, record: &'a Record) -> Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>>;

    /// What admission did with the last record, if the target knows; without log and line.
    fn traced(&mut self) -> Option<Traced> {
        None
    }
}

/// What became of one review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed, with a patch that changes the object.
    Injected,
    /// Allowed, and nothing changed; the text says why, where the webhook or the apiserver does.
    Skipped(String),
    /// Refused; the message.
    Denied(String),
    /// What it was about cannot be done again this way; why. It was not sent.
    NotReplayable(String),
    /// No valid answer: transport, protocol, or an error of the apiserver.
    Failed(String),
}

/// What a review is about, as the report groups it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Namespace, `-` if there is none.
    pub namespace: String,
    /// Kind of the controlling owner, `-` if there is none.
    pub owner: String,
}

impl Subject {
    /// Reads it from a review's object; what cannot be read is `-`.
    #[must_use]
    pub fn of(request: &Received<'_>) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Object {
            metadata: Metadata,
        }
        #[derive(Deserialize, Default)]
        #[serde(default, rename_all = "camelCase")]
        struct Metadata {
            owner_references: Option<Vec<Owner>>,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Owner {
            kind: String,
            controller: Option<bool>,
        }
        let object = request.object.or(request.old_object);
        let object: Object = object.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let owners = object.metadata.owner_references.unwrap_or_default();
        let owner = owners.iter().find(|owner| owner.controller == Some(true)).or(owners.first());
        Self::new(&request.namespace, owner.map_or("", |owner| &owner.kind))
    }

    pub(crate) fn new(namespace: &str, owner: &str) -> Self {
        Self { namespace: or_dash(namespace), owner: or_dash(owner) }
    }

    /// Of a record in which there is no review.
    #[must_use]
    pub fn unknown() -> Self {
        Self { namespace: "-".to_owned(), owner: "-".to_owned() }
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
