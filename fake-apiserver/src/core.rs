//! One cluster: everything that a request needs, shared by all of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use apimachinery::clock::Clock;

use crate::admission::Chain;
use crate::audit::Audit;
use crate::auth::Authority;
use crate::auth::rbac::Authorization;
use crate::auth::tokens::Tokens;
use crate::fault::Faults;
use crate::kinds::Registry;
use crate::metrics::Metrics;
use crate::objects::memory::Memory;
use crate::random::Random;
use crate::store::Store;
use crate::trace::Log;
use crate::version::KubernetesVersion;

/// The state of a cluster.
pub(crate) struct Core {
    pub(crate) store: Arc<Store>,
    /// Whether controllers run; without them, what a namespace needs is done in their stead.
    pub(crate) has_controllers: bool,
    /// How many nodes are simulated.
    pub(crate) nodes: u32,
    /// What stands behind pods.
    pub(crate) workloads: crate::node::Workloads,
    pub(crate) registry: Registry,
    pub(crate) random: Random,
    pub(crate) clock: Clock,
    pub(crate) authority: Authority,
    pub(crate) tokens: Tokens,
    pub(crate) authorization: Authorization,
    pub(crate) chain: Chain,
    pub(crate) services: HashMap<(String, String, u16), SocketAddr>,
    pub(crate) traces: Log,
    pub(crate) metrics: Metrics,
    pub(crate) memory: Memory,
    pub(crate) audit: Audit,
    pub(crate) faults: Faults,
    pub(crate) version: KubernetesVersion,
    /// Where the server listens, once it does.
    pub(crate) address: OnceLock<SocketAddr>,
}

/// A cluster's state as the parts of the server hold it.
pub(crate) type Shared = Arc<Core>;
