//! What became of scenarios and of a replay: for people and for machines.

mod replayed;
mod scenarios;
mod text;

pub use replayed::{Counts, Replayed};
pub use scenarios::{line, summary};
pub use text::{Style, render};
