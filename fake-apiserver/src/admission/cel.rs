//! CEL expressions of match conditions and policies, on kube-cel.
//!
//! What the library cannot do is an error that says so. Cost is bounded: every turn of a comprehension is charged, and an
//! evaluation that exceeds the limit of kube-apiserver ends with its text.

mod check;
mod conditions;
mod functions;
mod program;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use check::{Environment, Ty, check, type_of};
pub(crate) use conditions::{MatchConditions, variables};
pub(crate) use program::{Budget, Program, Variables};
pub(crate) use value::{from_json, to_json};
