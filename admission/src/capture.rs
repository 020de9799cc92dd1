//! The capture log: AdmissionReviews as they came, one JSON object a line, plain, gzip or zstd.
//!
//! ```text
//! {"format_version":1,"seq":1,"t_ms":0.0,"method":"POST","path":"/inject","query":"timeout=10s",
//!  "headers":[["Host","istiod.istio-system.svc:443"]],"body":"{\"kind\":\"AdmissionReview\",…}",
//!  "response":{"status":200,"headers":[],"body":"{…}"},"duration_ms":0.4}
//! ```
//! (on one line; `body` is the verbatim text of the HTTP body). Only `body` is required.
//!
//! # Compatibility
//! | | line without `format_version` | version 1 | version 2 and later |
//! |---|---|---|---|
//! | this reader | read (older recorders wrote `tMs` and no version) | read | the line is refused, and says so |
//!
//! A writer raises the version only when a field that exists changes its meaning or a new one must not be overlooked. A
//! field that may be overlooked is added without a new version: readers ignore fields that they do not know. Two more
//! forms are read because people have them: `body` as a JSON object in place of text, and a line that is a bare
//! `AdmissionReview`.

//!
//! # Recording
//! ```text
//! a server ──► Recorder::record ──► queue ──► thread: Redactor ──► lines ──► frames ──► capture-TIME.jsonl.zst, …
//!              (never waits)     (bounded,                                   (zstd)     (by size and age)
//!                                 counts drops)
//! ```
//! A process that is killed loses what was in the queue and the lines of the last second, and nothing that
//! [`Counts::written`] has counted; the file it was writing ends with a whole frame, or with a torn one that a [`Reader`]
//! reports after everything before it.

mod files;
mod queue;
mod reader;
mod record;
mod recorder;
pub mod redact;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

pub use files::logs;
pub use reader::{Error, Line, MAX_LINE, Reader};
pub use record::{Answer, FORMAT_VERSION, Record};
pub use recorder::{Answered, Counts, Exchange, Notice, Options, Recorder};
pub use redact::Redactor;
pub use segments::Fsync;
pub use writer::{Compression, Writer};

use writer::encode;
