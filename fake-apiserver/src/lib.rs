//! A kube-apiserver in a process, for trying admission webhooks.
//!
//! ```text
//! http ──► registry ──► admission ──► (webhooks)
//!              │  └───► objects      decoding, defaults, validation, managed fields, patches: pure functions
//!              └──────► store        objects, resourceVersions, watch history
//! ```

pub use error::Error;

pub mod admission;
#[allow(dead_code, reason = "the server that starts them lands next")]
mod controllers;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod objects;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod auth;
mod error;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod http;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod random;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod registry;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod store;
