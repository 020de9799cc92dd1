//! What a webhook may change of what others wrote.

use std::str::FromStr;

use super::change::Path;

/// Places that belong to a webhook: `spec.containers[*].livenessProbe`, `metadata.annotations[prometheus.io/*]`. Names of
/// fields are joined with dots; names of list items, and field names with dots in them, stand in brackets; `*` stands for
/// any characters of one name. What lies below the place belongs to the webhook too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<String>);

/// A pattern that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("pattern {pattern:?}: {problem}; write it as spec.containers[*].livenessProbe")]
pub struct PatternError {
    pattern: String,
    problem: &'static str,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let bad = |problem| PatternError { pattern: text.to_owned(), problem };
        let (mut steps, mut step, mut rest) = (Vec::new(), String::new(), text.chars());
        while let Some(c) = rest.next() {
            match c {
                '.' | '[' => {
                    if !step.is_empty() {
                        steps.push(std::mem::take(&mut step));
                    }
                    if c == '[' {
                        let (inner, after) = rest.as_str().split_once(']').ok_or_else(|| bad("a [ is not closed"))?;
                        steps.push(inner.to_owned());
                        rest = after.chars();
                    }
                }
                ']' => return Err(bad("a ] without [")),
                c => step.push(c),
            }
        }
        if !step.is_empty() {
            steps.push(step);
        }
        if steps.is_empty() { Err(bad("is empty")) } else { Ok(Self(steps)) }
    }
}

impl Pattern {
    /// Whether the place, or one above it, is meant.
    pub(super) fn owns(&self, path: &Path) -> bool {
        self.0.len() <= path.len() && self.0.iter().zip(path).all(|(pattern, step)| glob(pattern, step))
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let mut last = None;
    for part in parts {
        // Every part but the last may match as early as it can.
        if let Some(part) = last.replace(part) {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// What Istio's sidecar injector changes by its documentation: probes that are asked through the sidecar, the metrics
/// annotations that are merged into the sidecar's, its own containers, and its own annotations and labels.
pub const ISTIO: &[&str] = &[
    "spec.containers[*].livenessProbe",
    "spec.containers[*].readinessProbe",
    "spec.containers[*].startupProbe",
    "spec.containers[*].lifecycle",
    "spec.initContainers[*].livenessProbe",
    "spec.initContainers[*].readinessProbe",
    "spec.initContainers[*].startupProbe",
    "spec.initContainers[*].lifecycle",
    "spec.containers[istio-*]",
    "spec.initContainers[istio-*]",
    "metadata.annotations[prometheus.io/*]",
    "metadata.annotations[*istio.io/*]",
    "metadata.labels[*istio.io/*]",
    "spec.securityContext.fsGroup",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_own_places_and_what_is_below_them() {
        let path = |text: &str| -> Path { text.split('|').map(str::to_owned).collect() };
        let owns = |pattern: &str, text: &str| pattern.parse::<Pattern>().unwrap().owns(&path(text));
        assert!(owns("spec.containers[*].livenessProbe", "spec|containers|app|livenessProbe|httpGet|port"));
        assert!(!owns("spec.containers[*].livenessProbe", "spec|containers|app|image"));
        assert!(owns("metadata.annotations[prometheus.io/*]", "metadata|annotations|prometheus.io/port"));
        assert!(!owns("metadata.annotations[prometheus.io/*]", "metadata|annotations|other"));
        assert!(!owns("spec.containers", "spec"));
        assert!(owns("a*b*c", "a1b2bc") && !owns("a*b*c", "abd") && !owns("ab*b", "ab"));
        assert!(["", "a[b", "a]b"].iter().all(|text| text.parse::<Pattern>().is_err()));
        assert!(ISTIO.iter().all(|text| text.parse::<Pattern>().is_ok()));
    }
}
