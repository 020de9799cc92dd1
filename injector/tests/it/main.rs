//! The injector from outside: over TLS, as a command, and in process over Istio's recorded answers.

mod cli;
mod conformance;
mod equal;
mod properties;
mod serve;
mod support;
