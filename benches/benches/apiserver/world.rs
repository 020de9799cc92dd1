//! A cluster to measure in: a namespace, so many webhooks, and pods to create.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use fake_apiserver::FakeApiserver;

use crate::hook::{self, Hook, IN_MEMORY};

/// Where the pods go.
pub(crate) const PODS: &str = "/api/v1/namespaces/bench/pods";

/// How clients and webhooks are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Requests in the process, webhooks over TLS in memory.
    Memory,
    /// TLS over TCP for both.
    Tcp,
}

impl Wire {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wire::Memory => "in memory",
            Wire::Tcp => "TCP + TLS",
        }
    }
}

/// A cluster with so many webhooks.
pub(crate) async fn cluster(wire: Wire, hooks: usize) -> Result<Arc<FakeApiserver>, Box<dyn Error>> {
    cluster_of(wire, hooks, false, 0).await
}

/// The same with controllers, and simulated nodes.
pub(crate) async fn cluster_of(
    wire: Wire,
    hooks: usize,
    controllers: bool,
    nodes: u32,
) -> Result<Arc<FakeApiserver>, Box<dyn Error>> {
    let hook = Hook::new()?;
    let ca = hook.ca.clone();
    let mut builder = FakeApiserver::builder().controllers(controllers).nodes(nodes).namespace("bench", []);
    let address = match wire {
        Wire::Tcp => hook.listen().await?.to_string(),
        Wire::Memory => {
            builder = builder.connector(Arc::new(hook));
            IN_MEMORY.to_owned()
        }
    };
    if hooks > 0 {
        builder = builder.object(hook::configuration(hooks, &address, &ca));
    }
    Ok(Arc::new(builder.start().await?))
}

/// An ordinary pod as a controller posts it.
pub(crate) fn pod() -> Bytes {
    Bytes::from(benches::large::ordinary().to_string())
}
