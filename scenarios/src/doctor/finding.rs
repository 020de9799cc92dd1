//! What was found.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and may hurt one day.
    Warning,
    /// Pods are refused, or have no sidecar.
    Problem,
}

impl Level {
    /// `ok`, `warning` or `problem`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What: `webhook istio-sidecar-injector/namespace.sidecar-injector.istio.io`, `namespace shop`, …
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing is to be done.
    pub remedy: String,
}

/// What was found so far, in order.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    fn add(&mut self, level: Level, subject: &str, found: impl Into<String>, remedy: &str) {
        let (subject, remedy) = (subject.to_owned(), remedy.to_owned());
        self.0.push(Finding { level, subject, found: found.into(), remedy });
    }

    pub(super) fn ok(&mut self, subject: &str, found: impl Into<String>) {
        self.add(Level::Ok, subject, found, "");
    }

    pub(super) fn warning(&mut self, subject: &str, found: impl Into<String>, remedy: &str) {
        self.add(Level::Warning, subject, found, remedy);
    }

    pub(super) fn problem(&mut self, subject: &str, found: impl Into<String>, remedy: &str) {
        self.add(Level::Problem, subject, found, remedy);
    }
}
