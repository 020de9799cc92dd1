//! Admission: built-in plugins, policies and webhooks, in the order and with the effects of kube-apiserver.
//!
//! ```text
//! chain ──► plugins                       one small module each
//!   ├─────► policy ───► cel               expressions
//!   └─────► webhook ──► cel
//!              └──────► client            HTTP and TLS as client-go does it
//! attributes, cluster, rejection, trace, warnings: what all of them speak about
//! golang: Go's words for what went wrong
//! ```

mod attributes;
mod cel;
mod chain;
mod client;
mod cluster;
mod config_validation;
mod golang;
mod memory;
mod plugins;
mod policy;
mod rejection;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trace;
mod warnings;
mod webhook;

pub use attributes::{Attributes, GroupVersionKind, GroupVersionResource, Operation, UserInfo};
pub(crate) use cel::{Budget, Program, Variables, from_json};
pub use chain::Chain;
pub use client::{Connection, Connector, InProcess, Io, TcpConnector};
pub use cluster::{AccessQuery, Cluster, DecodeError, Equivalent};
pub(crate) use config_validation::validate as validate_configuration;
pub(crate) use plugins::Choice as PluginChoice;
pub(crate) use plugins::resource_quota as quota;
pub use rejection::Rejection;
pub use trace::{Entry, Outcome, Phase, Trace};
pub use warnings::header_texts;
