//! A kube-apiserver in a process, for trying admission webhooks.
//!
//! ```text
//! http ──► access          who asks, and may they
//!   ├────► discovery       what is served: APIs, schemas, health
//!   └────► registry ──► admission ──► (webhooks)
//!              │  └───► objects       decoding, defaults, validation, managed fields, patches: pure functions
//!              └──────► core ──► kinds, store, auth: the state of a cluster
//! controllers ──► registry            ordinary clients, in the same process
//! ```
//!
//! Objects are written with [`value::json`], or with serde_json's macro of that name:
//!
//! ```
//! # use fake_apiserver::FakeApiserver;
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = FakeApiserver::builder().namespace("shop", []).start().await?;
//! let pod = serde_json::json!({
//!     "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "web"},
//!     "spec": {"containers": [{"name": "app", "image": "nginx"}]},
//! });
//! assert_eq!(cluster.create(pod).await?["spec"]["serviceAccountName"], "default");
//! # Ok(())
//! # }
//! ```
//!
//! A cluster is a value; clients reach it over TLS with its kubeconfig:
//!
//! ```
//! use fake_apiserver::FakeApiserver;
//! use k8s_openapi::api::core::v1::ConfigMap;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = FakeApiserver::builder().namespace("shop", [("istio-injection", "enabled")]).start().await?;
//! let kubeconfig = kube::config::Kubeconfig::from_yaml(cluster.kubeconfig())?;
//! let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
//! let maps: kube::Api<ConfigMap> = kube::Api::namespaced(kube::Client::try_from(config)?, "shop");
//! let map = maps.get("kube-root-ca.crt").await?;
//! assert_eq!(map.data.unwrap_or_default()["ca.crt"], cluster.ca_pem());
//! println!("{}", cluster.trace()); // who asked for what, which webhooks were called, and why not
//! # Ok(())
//! # }
//! ```

mod access;
pub mod admission;
mod audit;
mod auth;
mod builder;
mod controllers;
mod core;
mod discovery;
mod error;
mod fault;
mod http;
mod kinds;
mod memo;
mod metrics;
mod node;
mod objects;
mod random;
mod refusal;
mod registry;
mod request;
mod respond;
mod service;
mod store;
mod table;
mod time;
mod trace;
mod version;

pub use crate::http::OnlyRefusals;
pub use apimachinery::value;
pub use audit::{Level as AuditLevel, Policy as AuditPolicy, PolicyError as AuditPolicyError};
pub use auth::rbac::Authorization;
pub use builder::{Builder, FakeApiserver, Response};
pub use error::Error;
pub use fault::{Fault, FaultError};
pub use metrics::Metrics;
pub use node::Workload;
pub use service::Service;
pub use trace::{Request, Requests};
pub use version::{KubernetesVersion, KubernetesVersionError};
