//! Go `text/template`, as Istio's ConfigMaps use it.
//!
//! The text is parsed by `gotmpl` (a port of Go's parser), then compiled once into a small tree of our own whose function
//! names and variables are already resolved; so an unknown function or variable is refused when the ConfigMap is loaded.
//! The tree is executed over [`Value`]s that *borrow* the pod, the values and the mesh configuration: nothing is converted
//! before a template asks for it, and Go's differences between structs, string maps and free-form maps are kept (an absent
//! struct field is an error, an absent map key prints `<no value>`, `index` on a string map gives `""`).

mod comments;
mod compile;
mod exec;
use crate::funcs::Context;
pub use crate::value::{self, MAX_OUTPUT, Shape, Value, format};

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

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    program: compile::Program,
}

impl Template {
    /// Parses `text` between the given delimiters (`("{{", "}}")`, or `("[[", "]]")` in Istio 1.0 and 1.1).
    ///
    /// # Errors
    /// A syntax error, an unknown function, an undefined variable or an undefined named template, with its line and text.
    pub fn parse(name: &str, text: &str, delimiters: (&str, &str)) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), program: compile::compile(name, text, delimiters)? })
    }

    /// The name that it was parsed under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Renders the template with `data` as dot.
    ///
    /// # Errors
    /// Whatever Go would refuse too (a field that a struct does not have, wrong argument types, a failed function), and
    /// output beyond [`MAX_OUTPUT`].
    pub fn render<'a>(&'a self, data: &Value<'a>, context: &Context<'_>) -> Result<String, Error> {
        exec::run(&self.name, &self.program, data, context)
    }
}

#[cfg(test)]
mod tests;
