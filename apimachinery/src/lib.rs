//! Kubernetes objects as JSON values: YAML, schema tables, selectors, JSON Patch, strategic merge, Status.
//!
//! Everything here works on [`value::Value`], never on typed structs, so that fields which this code has never
//! heard of pass through untouched.
//!
//! ```text
//! yaml ──► Value ──► merge ──► Value      labels, quantity, clock, skim, status: leaves, each on its own
//!                      │
//!                      └── schema (merge keys, list types, defaults …)
//!          Value ──► json_patch ──► Value
//! ```

pub mod clock;
pub mod go;
pub mod go_json;
pub mod json_patch;
pub mod labels;
pub mod merge;
pub mod quantity;
pub mod schema;
pub mod skim;
pub mod status;
pub mod value;
pub mod yaml;
