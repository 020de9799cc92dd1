//! Controllers: what kube-controller-manager does in a cluster.
//!
//! ```text
//! store ──► informer ──► queue ──► a controller's sync ──► client ──► the API, admission included
//!   └─────► cache (objects by owner) ──────┘  └──► events
//! ```
//!
//! Each controller writes as its own service account of `kube-system`, through the same path as a request over HTTP, so
//! webhooks see and refuse what they would see and refuse in a cluster. They read the store, which is never stale.

mod cache;
mod claim;
mod client;
mod context;
mod daemon_set;
mod deployment;
mod discovery;
mod events;
mod hash;
mod informer;
mod kinds;
mod namespace;
mod pods;
mod queue;
mod replica_set;
mod revisions;
mod rolling;
mod runner;
mod service_account;
mod slow_start;
mod stateful_set;
mod template;
mod time;
mod view;
