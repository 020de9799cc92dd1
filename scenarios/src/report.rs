//! What became of a replay: for people and for machines.

mod replayed;
mod text;

pub use replayed::{Counts, Replayed};
pub use text::{Style, render};
