//! What a law is.

use std::future::Future;
use std::pin::Pin;

use apimachinery::value::Value;

use super::ask::{Asker, Patched, Unpatched};
use super::case::Case;
use super::owned::Pattern;

/// A law in words.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its name on the command line.
    pub name: &'static str,
    /// What holds of a webhook that keeps it.
    pub claim: &'static str,
    /// Why it matters, with what Kubernetes says.
    pub why: &'static str,
    /// What to do about a webhook that breaks it.
    pub remedy: &'static str,
}

/// What a law is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Each CREATE of an object. A breach is shrunk.
    Creates,
    /// Each review.
    Reviews,
    /// The webhook, once, with the first review.
    Webhook,
}

/// What became of one law and one review.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Holds,
    /// The law has nothing to say about this review; why.
    Silent(String),
    Broken(Evidence),
}

/// How a law is seen to be broken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    /// In words, a line for each thing found.
    pub(super) lines: Vec<String>,
    /// The object that the webhook was sent, and what it should have made of it or made of it first; null if the law is
    /// not about objects.
    pub(super) before: Value,
    /// What it made of it.
    pub(super) after: Value,
}

pub(super) type Testing<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// What laws may ask, and what they are told.
pub(super) struct Bench {
    pub(super) ask: Asker,
    /// Places that belong to the webhook.
    pub(super) owns: Vec<Pattern>,
}

/// A law that webhooks can be held against.
pub(super) trait Law: Send + Sync {
    fn about(&self) -> &'static About;

    fn scope(&self) -> Scope {
        Scope::Creates
    }

    fn test<'a>(&'a self, bench: &'a Bench, case: &'a Case) -> Testing<'a>;
}

impl Verdict {
    pub(super) fn broken(line: impl Into<String>) -> Self {
        Self::Broken(Evidence { lines: vec![line.into()], ..Evidence::default() })
    }

    pub(super) fn compared(lines: Vec<String>, before: Value, after: Value) -> Self {
        if lines.is_empty() { Self::Holds } else { Self::Broken(Evidence { lines, before, after }) }
    }
}

impl Bench {
    /// The object that the webhook makes of a case's. A denial, and an answer that is none, are other laws' business.
    pub(super) async fn patched(&self, case: &Case) -> Result<Patched, Verdict> {
        self.ask.patch(case, &case.again()).await.map_err(|unpatched| {
            Verdict::Silent(match unpatched {
                Unpatched::Denied(message) => format!("denied: {message}"),
                Unpatched::Failed(message) => message,
            })
        })
    }

    /// As [`Bench::patched`]; silent if nothing was changed.
    pub(super) async fn changed(&self, case: &Case) -> Result<Patched, Verdict> {
        let patched = self.patched(case).await?;
        if patched.changed() { Ok(patched) } else { Err(Verdict::Silent("the webhook changes nothing".to_owned())) }
    }
}

/// The body of a test: what ends it early is a verdict as well.
pub(super) fn settled(result: Result<Verdict, Verdict>) -> Verdict {
    result.unwrap_or_else(|verdict| verdict)
}
