//! sidecar-injector: an Istio-compatible sidecar injection webhook.
//!
//! The library is pure: bytes and configuration in, bytes and a decision out; no clock, no I/O, no globals.
//!
//! ```text
//! review ──► decide ──► template ──► overlay ──► postprocess ──► patch
//!               │           │
//!            config      data, funcs, mesh
//! ```

pub mod boxed;
mod cache;
pub mod cli;
pub mod config;
mod data;
pub mod decide;
pub mod funcs;
mod injector;
pub mod iptables;
pub mod kube;
mod legacy;
pub mod lint;
pub mod mesh;
mod modern;
mod overlay;
pub mod patch;
mod pod;
mod postprocess;
mod quantity;
mod review;
pub mod serve;
mod status;
pub mod template;
mod validate;

pub use injector::{Error, Examined, Injected, Injector, Printed};
pub use review::{Outcome, Reviewed};
