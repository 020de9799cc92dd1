//! The answer to a review, and what it came to.

/// The answer to a webhook call.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// The `AdmissionReview` to send back, with `Content-Type: application/json`.
    pub body: Vec<u8>,
    /// What happened, for logs and metrics.
    pub outcome: Outcome,
}

/// What a review came to. Holds no content of the object.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) uid: String,
    pub(crate) pod: String,
    pub(crate) reason: String,
}

/// The four things that a review can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Injected,
    Skipped,
    Denied,
    Undecodable,
}

impl Outcome {
    /// `injected`, `skipped`, `denied` or `undecodable`.
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Injected => "injected",
            Verdict::Skipped => "skipped",
            Verdict::Denied => "denied",
            Verdict::Undecodable => "undecodable",
        }
    }

    /// Whether the pod was let through without a sidecar.
    pub fn skipped(&self) -> bool {
        self.verdict == Verdict::Skipped
    }

    /// Whether the pod was denied, or the body was no review.
    pub fn failed(&self) -> bool {
        matches!(self.verdict, Verdict::Denied | Verdict::Undecodable)
    }

    /// Whether the body, or the object in it, was not JSON of the right form.
    pub(crate) fn undecodable(&self) -> bool {
        self.verdict == Verdict::Undecodable
    }

    /// The review's uid; empty if it could not be read.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `namespace/name`, or `namespace/generateName***` for a pod that has no name yet.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// The same outcome of another review.
    pub(crate) fn with_uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.uid);
        self
    }

    #[cfg(test)]
    pub(crate) fn for_tests(uid: &str) -> Self {
        Self { verdict: Verdict::Injected, uid: uid.to_owned(), pod: String::new(), reason: String::new() }
    }

    /// Why: the deciding rule's word, or the error's text.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
