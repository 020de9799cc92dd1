//! Straight at a webhook: the recorded bytes, to the recorded path.

use std::future::Future;
use std::pin::Pin;

use admission::capture::Record;

use super::target::{Subject, Target, Verdict, Worker};
use super::wire::{Asked, Webhook, Wire, judge};

/// Hands each record's body, byte for byte as it was captured, to a webhook.
pub struct Direct(Webhook);

impl Direct {
    /// At this webhook.
    #[must_use]
    pub const fn new(webhook: Webhook) -> Self {
        Self(webhook)
    }
}

impl Target for Direct {
    fn worker(&self) -> Box<dyn Worker> {
        Box::new(DirectWorker(self.0.wire()))
    }
}

struct DirectWorker(Wire);

impl Worker for DirectWorker {
    fn send<'a>(&'a mut self, record: &'a Record) -> Pin<Box<dyn Future<Output = (Subject, Verdict)> + Send + 'a>> {
        Box::pin(async move {
            // Not a review: the webhook still gets it, it is what was captured; only the report cannot say whose it was.
            let asked = Asked::of(record);
            let heard = self.0.ask(record, None).await;
            let verdict = match judge(asked.as_ref(), &heard).0 {
                // What is torn further on was taken for a review.
                Verdict::Failed(_) if asked.is_some() && record.review().is_err() => judge(None, &heard).0,
                verdict => verdict,
            };
            (asked.map_or_else(Subject::unknown, |asked| asked.subject), verdict)
        })
    }
}
