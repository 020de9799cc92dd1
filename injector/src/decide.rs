//! Whether a pod is injected, and why: every rule that was looked at leaves a line.

pub(crate) mod rules;

use serde::Serialize;

/// The outcome of looking at the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether the pod gets a sidecar.
    pub inject: bool,
    /// The rule that decided, as a machine-readable word: see [`Reason::word`].
    pub reason: Reason,
    /// One line per rule in the order in which they were looked at; the last one decided.
    pub rules: Vec<RuleLine>,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleLine {
    /// The rule, such as `hostNetwork` or `label sidecar.istio.io/inject`.
    pub rule: String,
    /// What was found, and what follows.
    pub found: String,
    /// Whether this rule decided.
    pub decided: bool,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The pod is on the host's network.
    HostNetwork,
    /// The namespace is never injected.
    IgnoredNamespace,
    /// The label `sidecar.istio.io/inject`.
    Label,
    /// The annotation `sidecar.istio.io/inject`.
    Annotation,
    /// A `neverInjectSelector`.
    NeverSelector,
    /// An `alwaysInjectSelector`.
    AlwaysSelector,
    /// The configuration's policy.
    Policy,
    /// A policy that is neither `enabled` nor `disabled`.
    InvalidPolicy,
}

impl Reason {
    /// The word for logs, metrics and audit annotations.
    pub const fn word(self) -> &'static str {
        match self {
            Self::HostNetwork => "host-network",
            Self::IgnoredNamespace => "ignored-namespace",
            Self::Label => "label",
            Self::Annotation => "annotation",
            Self::NeverSelector => "never-selector",
            Self::AlwaysSelector => "always-selector",
            Self::Policy => "policy",
            Self::InvalidPolicy => "invalid-policy",
        }
    }
}

/// Collects the lines.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    rules: Vec<RuleLine>,
}

impl Trail {
    /// A rule that did not decide.
    pub(crate) fn pass(&mut self, rule: impl Into<String>, found: impl Into<String>) {
        self.rules.push(RuleLine { rule: rule.into(), found: found.into(), decided: false });
    }

    /// The rule that decides.
    pub(crate) fn decide(
        mut self,
        inject: bool,
        reason: Reason,
        rule: impl Into<String>,
        found: impl Into<String>,
    ) -> Decision {
        self.rules.push(RuleLine { rule: rule.into(), found: found.into(), decided: true });
        Decision { inject, reason, rules: self.rules }
    }
}

impl Decision {
    /// The deciding rule and what it found, as one line for people.
    pub fn summary(&self) -> String {
        let line = self.rules.last().map(|l| format!("{}: {}", l.rule, l.found)).unwrap_or_default();
        format!("{} ({line})", if self.inject { "injected" } else { "not injected" })
    }
}
