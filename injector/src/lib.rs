//! sidecar-injector: an Istio-compatible sidecar injection webhook.
//!
//! The library is pure: bytes and configuration in, bytes and a decision out; no clock, no I/O, no globals.
//!
//! ```text
//! cli, serve ──► review, kube, lint ──► injector ──► modern, legacy ──► engine, config
//!                         │                │                             (shared types)
//!                      outcome ◄── cache ◄─┘
//!
//! modern:  decide ──► validate ──► data ──► template ──► overlay ──► postprocess ──► patch
//! legacy:  decide ─────────────────────────► template ─────────────────────────────► patch
//!
//! template ──► funcs ──► value ──► mesh
//! ```

pub mod boxed;
mod cache;
pub mod capture;
pub mod cli;
pub mod config;
mod data;
pub mod decide;
mod engine;
pub mod funcs;
mod golang;
mod injector;
pub mod iptables;
pub mod kube;
mod legacy;
pub mod lint;
pub mod mesh;
mod modern;
mod outcome;
mod overlay;
pub mod patch;
mod pod;
mod postprocess;
mod review;
pub mod serve;
mod status;
pub mod template;
mod validate;
pub mod value;
pub mod webhooks;

pub use engine::{Error, Injected, Printed};
pub use injector::{Examined, Injector};
pub use legacy::bootstrap as bootstrap_1_0;
pub use outcome::{Outcome, Reviewed};
