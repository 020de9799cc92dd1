//! The injector from outside: over TLS, as a command, and in process over Istio's recorded answers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests: a failure is to end the test"
)]

mod capture;
mod cli;
mod conformance;
mod corpora;
mod equal;
mod properties;
mod same_bytes;
mod serve;
mod settings;
mod support;
