//! What two webhooks make of the same reviews, and where they differ.
//!
//! ```text
//! log ──► review ──► baseline  ─┐
//!            └─────► candidate ─┴─► differences of the pods ──► classes ──► Comparison
//! ```
//! Differences are those of the objects after the patches, not of the patches' text. They are grouped into classes by what
//! changed, so that a new image in four thousand pods is one line. Memory does not grow with the log: classes, examples and
//! listed pods have limits, and what is beyond them is counted.

mod model;

pub use model::{Change, ChangeKind, Class, Comparison, Example, FORMAT_VERSION, PodRow, Side, Tallies};
