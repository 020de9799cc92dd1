//! Reports: what became of scenarios, a replay, a comparison, or the laws, for people and for machines.
//!
//! ```text
//! result ──► JSON ──► without_secrets ──► Page ──┬─► html      one page that needs nothing else
//!   └──► text, for the terminal                  ├─► junit     for CI
//!                                                └─► markdown  for a pull request
//! ```

mod html;
mod junit;
mod markdown;
mod page;
mod scenarios;
mod sources;
#[cfg(test)]
mod tests;
mod text;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use page::{Entry, Latencies, Page, Row, Status};
pub use scenarios::{line, summary};
pub use sources::ResultError;
pub use text::render;

pub use crate::secrets::without_secrets;
pub use crate::style::Style;
