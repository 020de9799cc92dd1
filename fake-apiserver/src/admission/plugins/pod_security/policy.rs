//! What a namespace's labels ask for.

use std::fmt;

use apimachinery::value::Value;

use crate::objects::field::{FieldError, Path};

/// A standard, from the loosest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Level> {
        [Level::Privileged, Level::Baseline, Level::Restricted].into_iter().find(|level| level.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }
}

/// A level at a version of Kubernetes; prints as `restricted:latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    /// The minor version; none is the latest.
    pub(super) minor: Option<u32>,
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minor {
            None => write!(f, "{}:latest", self.level.as_str()),
            Some(minor) => write!(f, "{}:v1.{minor}", self.level.as_str()),
        }
    }
}

/// The three modes of a namespace.
pub(super) struct Policies {
    pub(super) enforce: Standard,
    pub(super) audit: Standard,
    pub(super) warn: Standard,
    /// Labels that make no sense.
    pub(super) errors: Vec<FieldError>,
}

/// `latest`, or `v1.` and a number without leading zeros.
fn version(text: &str) -> Option<Option<u32>> {
    if text == "latest" {
        return Some(None);
    }
    let minor = text.strip_prefix("v1.")?;
    let plain = minor.bytes().all(|byte| byte.is_ascii_digit()) && (minor == "0" || !minor.starts_with('0'));
    if plain { minor.parse().ok().map(Some) } else { None }
}

impl Policies {
    /// Reads the labels. A level that does not exist is the strictest where it is enforced and the loosest elsewhere; a
    /// version that does not exist is the latest; without a level of its own, warning follows what is enforced.
    pub(super) fn of(labels: &Value) -> Policies {
        let loosest = Standard { level: Level::Privileged, minor: None };
        let mut policies = Policies { enforce: loosest, audit: loosest, warn: loosest, errors: Vec::new() };
        let label = |name: &str| labels[format!("pod-security.kubernetes.io/{name}").as_str()].as_str();
        let mut enforced = false;
        for (mode, standard, otherwise) in [
            ("enforce", &mut policies.enforce, Level::Restricted),
            ("audit", &mut policies.audit, Level::Privileged),
            ("warn", &mut policies.warn, Level::Privileged),
        ] {
            if let Some(text) = label(mode) {
                let level = Level::parse(text);
                if level.is_none() {
                    let why = "must be one of privileged, baseline, restricted";
                    policies.errors.push(error(mode, text, why));
                }
                enforced |= mode == "enforce" && level.is_some();
                standard.level = level.unwrap_or(otherwise);
            }
            let mode = format!("{mode}-version");
            if let Some(text) = label(&mode) {
                let minor = version(text);
                if minor.is_none() {
                    policies.errors.push(error(&mode, text, "must be \"latest\" or \"v1.x\""));
                }
                standard.minor = minor.flatten();
            }
        }
        if label("warn").is_none() && enforced && policies.enforce.level > policies.warn.level {
            policies.warn.level = policies.enforce.level;
            if label("warn-version").is_none() {
                policies.warn.minor = policies.enforce.minor;
            }
        }
        policies
    }

    /// What is wrong with the labels, in one line.
    pub(super) fn error_text(&self) -> String {
        crate::objects::field::aggregate(&self.errors)
    }
}

fn error(label: &str, value: &str, why: &str) -> FieldError {
    let root = Path::root("metadata");
    let labels = root.child("labels");
    let label = format!("pod-security.kubernetes.io/{label}");
    FieldError::invalid_str(&labels.key(&label), value, why)
}
