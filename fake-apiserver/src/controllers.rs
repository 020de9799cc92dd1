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
mod cron_job;
mod daemon_set;
mod deployment;
mod discovery;
mod disruption;
mod endpoint_slice;
mod events;
mod garbage;
mod hash;
mod informer;
mod job;
mod kinds;
mod namespace;
mod node_ttl;
mod nodes;
mod pods;
mod queue;
mod replica_set;
mod resource_quota;
mod revisions;
mod role_aggregation;
mod rolling;
mod runner;
mod server;
mod service_account;
mod slow_start;
mod stateful_set;
mod template;
#[cfg(test)]
mod tests;
mod time;
mod view;
mod volume_binding;

use std::sync::Arc;

use tokio::task::JoinSet;

use self::cache::Cache;
use self::client::{Api, Client};
use self::context::Context;
use self::events::{Stamps, recorder};
use self::runner::Runner;
use crate::admission::UserInfo;
use crate::core::Shared;
use crate::registry::internal::CONTROLLER_AGENT;

/// Running controllers; dropping them stops them.
pub(crate) struct Controllers {
    _tasks: JoinSet<()>,
}

/// What every controller is made from.
struct Maker<'a> {
    core: &'a Shared,
    api: Arc<dyn Api>,
    cache: Arc<Cache>,
    stamps: Arc<Stamps>,
    runner: Runner,
}

impl Maker<'_> {
    /// The tools of one controller: the account that it writes as, the component that its events name.
    fn context(&mut self, account: &str, component: &'static str) -> Context {
        let client = Client::new(self.api.clone(), server::user(self.core, account));
        let clock = self.core.clock;
        let (events, writer) = recorder(component, client.clone(), clock, self.stamps.clone());
        self.runner.spawn(writer.run());
        Context { client, cache: self.cache.clone(), events, clock }
    }

    /// The same for a component that is no controller: a user and a user agent of its own.
    fn context_as(&mut self, user: UserInfo, agent: &'static str, component: &'static str) -> Context {
        let client = Client::new(server::Server::new(self.core.clone(), agent), user);
        let clock = self.core.clock;
        let (events, writer) = recorder(component, client.clone(), clock, self.stamps.clone());
        self.runner.spawn(writer.run());
        Context { client, cache: self.cache.clone(), events, clock }
    }
}

/// Starts all controllers of a cluster.
pub(crate) fn start(core: &Shared) -> Controllers {
    let cache = Arc::new(Cache::new(core.store.clone()));
    let mut maker = Maker {
        core,
        api: server::Server::new(core.clone(), CONTROLLER_AGENT),
        cache: cache.clone(),
        stamps: Arc::default(),
        runner: Runner::new(cache),
    };
    let discovery = server::discovery(core);

    let context = maker.context("service-account-controller", "service-account-controller");
    maker.runner.add(service_account::ServiceAccounts::new(context));
    let context = maker.context("root-ca-cert-publisher", "root-ca-cert-publisher");
    maker.runner.add(service_account::RootCa::new(context, core.authority.pem()));
    let context = maker.context("namespace-controller", "namespace-controller");
    maker.runner.add(namespace::Namespaces::new(context, discovery.clone()));

    let context = maker.context("deployment-controller", "deployment-controller");
    maker.runner.add(deployment::Deployments::new(context));
    let context = maker.context("replicaset-controller", "replicaset-controller");
    maker.runner.add(replica_set::Replicas::<replica_set::ReplicaSets>::new(context));
    let context = maker.context("replication-controller", "replication-controller");
    maker.runner.add(replica_set::Replicas::<replica_set::ReplicationControllers>::new(context));
    let context = maker.context("statefulset-controller", "statefulset-controller");
    maker.runner.add(stateful_set::StatefulSets::new(context));
    let context = maker.context("daemon-set-controller", "daemonset-controller");
    maker.runner.add(daemon_set::DaemonSets::new(context));
    let context = maker.context("job-controller", "job-controller");
    maker.runner.add(job::Jobs::new(context));
    let context = maker.context("cronjob-controller", "cronjob-controller");
    maker.runner.add(cron_job::CronJobs::new(context));
    let context = maker.context("endpointslice-controller", "endpoint-slice-controller");
    maker.runner.add(endpoint_slice::EndpointSlices::new(context));

    let account = "clusterrole-aggregation-controller";
    let context = maker.context_as(server::user(core, account), account, account);
    maker.runner.add(role_aggregation::RoleAggregation::new(context));
    let context = maker.context("resourcequota-controller", "resourcequota-controller");
    maker.runner.add(resource_quota::ResourceQuotas::new(context));
    let context = maker.context("disruption-controller", "controllermanager");
    maker.runner.add(disruption::Disruptions::new(context));
    let context = maker.context("persistent-volume-binder", "persistentvolume-controller");
    maker.runner.add(volume_binding::VolumeBinding::new(context));
    let context = maker.context("ttl-controller", "ttl-controller");
    maker.runner.add(node_ttl::NodeTtl::new(context));

    let context = maker.context("generic-garbage-collector", "garbage-collector-controller");
    maker.runner.spawn(garbage::GarbageCollector::new(context, discovery).run());
    if core.nodes > 0 {
        nodes::add(&mut maker, core.nodes);
    }
    Controllers { _tasks: maker.runner.start() }
}
