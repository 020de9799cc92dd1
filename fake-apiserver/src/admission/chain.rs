//! The admission chain: built-in plugins, policies and webhooks in the order of kube-apiserver.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attributes::Attributes;
use super::client::{Client, Connector};
use super::cluster::Cluster;
use super::memory::Memory;
use super::plugins::{Choice, Measured, Plugins};
use super::policy::{self, Policies};
use super::rejection::Rejection;
use super::trace::Phase;
use super::webhook::{self, Reinvocation, Webhooks};

/// How long a late answer waits for the front.
const GRACE: Duration = Duration::from_millis(250);

/// The chain of one apiserver. Share it; every call is independent.
#[derive(Default)]
pub struct Chain {
    plugins: Plugins,
    policies: Policies,
    webhooks: Webhooks,
    client: Client,
    memory: Memory,
}

impl Chain {
    /// The chain with all built-in plugins, dialling webhooks over TCP.
    pub fn new() -> Self {
        Self::default()
    }

    /// The chain with another way to reach webhooks.
    pub fn with_connector(connector: Arc<dyn Connector>) -> Self {
        Self { client: Client::new(connector), ..Self::default() }
    }

    /// The same chain with other plugins than the default ones; a name that nobody knows, or one that is both enabled and
    /// disabled, is an error in the words of kube-apiserver.
    pub(crate) fn with_plugins(mut self, choice: &Choice) -> Result<Self, String> {
        self.plugins = Plugins::choose(choice)?;
        Ok(self)
    }

    /// Switches built-in plugins off by name (`--disable-admission-plugins`).
    ///
    /// # Errors
    /// The name of a plugin that there is not.
    pub fn disable(&mut self, names: &[&str]) -> Result<(), String> {
        self.plugins.disable(names)
    }

    /// The mutating phase. The registry calls it on the defaulted object with managedFields, before the name is
    /// generated and before schema validation; `attributes.object` may be another one afterwards.
    ///
    /// A second round follows when a webhook changed the object: all built-in plugins again, and the webhooks with
    /// reinvocationPolicy IfNeeded after whose call something changed (vectors `reinvocation/*`).
    ///
    /// # Errors
    /// The Status for the client.
    pub async fn mutate(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        let started = Instant::now();
        let result = self.mutate_rounds(cluster, attributes).await;
        let result = in_time(result, attributes).await;
        if let Some(metrics) = cluster.metrics() {
            metrics.step(true, attributes.operation.as_str(), result.is_err(), started.elapsed());
        }
        result
    }

    async fn mutate_rounds(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        let mut reinvocation = Reinvocation::default();
        let mut policies = policy::Rounds::default();
        let memory = (!attributes.unseen).then_some(&self.memory);
        loop {
            let before = attributes.object.as_ref().map(|object| object["spec"].clone());
            self.plugins.mutate(cluster, attributes)?;
            if let (Some(memory), Some(before), Some(object)) = (memory, before, &mut attributes.object) {
                memory.specs.settle(&before, object);
            }
            if self.plugins.has("MutatingAdmissionPolicy") && cluster.version().has_policies(true) {
                let measured = Measured::start(cluster, attributes, "MutatingAdmissionPolicy", true);
                reinvocation.due |= measured.end(self.policies.mutate(cluster, attributes, &mut policies))?;
            }
            if self.plugins.has("MutatingAdmissionWebhook") {
                let hooks = self.webhooks.of(Phase::Mutating, cluster);
                let measured = Measured::start(cluster, attributes, "MutatingAdmissionWebhook", true);
                measured
                    .end(webhook::mutate(&hooks, &self.client, memory, cluster, attributes, &mut reinvocation).await)?;
            }
            if reinvocation.again || !reinvocation.due {
                return Ok(());
            }
            reinvocation.again = true;
        }
    }

    /// The validating phase. The registry calls it after schema validation, with the final name, uid and
    /// creationTimestamp in the object, right before the store.
    ///
    /// # Errors
    /// The Status for the client.
    pub async fn validate(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        let started = Instant::now();
        let result = self.validate_all(cluster, attributes).await;
        if let Some(metrics) = cluster.metrics() {
            metrics.step(false, attributes.operation.as_str(), result.is_err(), started.elapsed());
        }
        result
    }

    async fn validate_all(&self, cluster: &dyn Cluster, attributes: &mut Attributes) -> Result<(), Rejection> {
        self.plugins.validate(cluster, attributes)?;
        if self.plugins.has("ValidatingAdmissionPolicy") && cluster.version().has_policies(false) {
            let measured = Measured::start(cluster, attributes, "ValidatingAdmissionPolicy", false);
            measured.end(self.policies.validate(cluster, attributes))?;
        }
        if self.plugins.has("ValidatingAdmissionWebhook") {
            let hooks = self.webhooks.of(Phase::Validating, cluster);
            let measured = Measured::start(cluster, attributes, "ValidatingAdmissionWebhook", false);
            let result = measured.end(webhook::validate(&hooks, &self.client, cluster, attributes).await);
            in_time(result, attributes).await?;
        }
        self.plugins.quota(cluster, attributes)
    }
}

/// Whoever is late hears of the request's timeout and of nothing else. The HTTP front answers at the deadline with a
/// text of its own (vector `failure/client-timeout-shorter`); the pause lets it.
async fn in_time(result: Result<(), Rejection>, attributes: &Attributes) -> Result<(), Rejection> {
    match (&result, attributes.deadline) {
        (Err(_), Some(deadline)) if Instant::now() >= deadline => {
            tokio::time::sleep(GRACE).await;
            Err(Rejection::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout"))
        }
        _ => result,
    }
}
