//! What a record is replayed at, and what can become of it.

use std::future::Future;
use std::pin::Pin;

use admission::capture::Record;
use admission::review::Received;
use apimachinery::skim::Skim;

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
        let object = request.object.or(request.old_object);
        let owner = object.and_then(|raw| owner_kind(&mut Skim::new(raw.get()), true));
        Self::new(&request.namespace, owner.unwrap_or_default())
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

/// The kind of the controlling owner of the object that stands here, or of the first owner; empty if there is none. Without
/// `rest` it stops behind the metadata.
pub(super) fn owner_kind<'a>(object: &mut Skim<'a>, rest: bool) -> Option<&'a str> {
    let (mut kind, mut whole) = ("", false);
    let walked = object.members(&["metadata"], |skim, _| {
        skim.members(&["ownerReferences"], |skim, _| {
            kind = owner_of(skim)?;
            Some(())
        })?;
        whole = true;
        rest.then_some(())
    });
    (walked.is_some() || whole && !rest).then_some(kind)
}

/// The same of the owner references that stand here.
pub(super) fn owner_of<'a>(references: &mut Skim<'a>) -> Option<&'a str> {
    let (mut first, mut controlling) = (None, None);
    references.items(|skim| {
        let (mut kind, mut controls) = ("", false);
        skim.members(&["kind", "controller"], |skim, member| {
            match member {
                0 => kind = skim.plain()?,
                _ => controls = skim.value()? == "true",
            }
            Some(())
        })?;
        first.get_or_insert(kind);
        if controls {
            controlling.get_or_insert(kind);
        }
        Some(())
    })?;
    Some(controlling.or(first).unwrap_or_default())
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
