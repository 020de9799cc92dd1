//! What became of scenarios and of a replay: for people and for machines.

mod scenarios;
mod text;

pub use scenarios::{line, summary};
pub use text::render;

pub use crate::style::Style;
