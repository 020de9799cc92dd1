//! Admission: built-in plugins and webhooks, in the order and with the effects of kube-apiserver.

mod attributes;
mod chain;
mod cluster;
mod rejection;
mod trace;

pub use attributes::{Attributes, GroupVersionKind, GroupVersionResource, Operation, UserInfo};
pub use chain::Chain;
pub use cluster::{AccessQuery, Cluster, DecodeError, Equivalent};
pub use rejection::Rejection;
pub use trace::{Entry, Outcome, Phase, Trace};
