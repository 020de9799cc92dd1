//! The server as its clients see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod binary;
mod client;
mod go;
mod memory;
mod notes;
mod observe;
mod properties;
mod raw;
mod simulated_network;
#[path = "../support/mod.rs"]
mod support;
