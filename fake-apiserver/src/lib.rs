//! A kube-apiserver in a process, for trying admission webhooks.
//!
//! ```text
//! http ──► registry ──► admission ──► (webhooks)
//!              │  └───► objects      decoding, defaults, validation, managed fields, patches: pure functions
//!              └──────► store        objects, resourceVersions, watch history
//! ```

pub mod admission;
mod auth;
mod builder;
mod controllers;
mod core;
mod discovery;
mod error;
mod http;
#[allow(dead_code, reason = "the verbs that use it land next")]
mod objects;
mod random;
mod registry;
mod store;
mod table;
mod time;
mod trace;

pub use auth::rbac::Authorization;
pub use builder::{Builder, FakeApiserver, Response};
pub use error::Error;
pub use trace::{Request, Requests};
