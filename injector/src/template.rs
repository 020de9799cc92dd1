//! Go `text/template`, as Istio's ConfigMaps use it.

/// Why a template was refused at load or failed on a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template {name:?}, line {line}: {message}")]
pub struct Error {
    /// The template's name, as in the ConfigMap.
    pub name: String,
    /// Line of the template's text, from 1.
    pub line: usize,
    /// What is wrong, with the offending text.
    pub message: String,
}
