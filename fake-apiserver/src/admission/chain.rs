//! The admission chain: built-in plugins, policies and webhooks in the order of kube-apiserver.

use super::attributes::Attributes;
use super::cluster::Cluster;
use super::rejection::Rejection;

/// The chain of one apiserver. Share it; every call is independent.
#[derive(Debug, Default)]
pub struct Chain {}

impl Chain {
    /// The mutating phase. The registry calls it on the defaulted object with managedFields, before the name is
    /// generated and before schema validation; `attributes.object` may be another one afterwards.
    ///
    /// # Errors
    /// The Status for the client.
    pub async fn mutate(&self, _cluster: &dyn Cluster, _attributes: &mut Attributes) -> Result<(), Rejection> {
        Ok(())
    }

    /// The validating phase. The registry calls it after schema validation, with the final name, uid and
    /// creationTimestamp in the object, right before the store.
    ///
    /// # Errors
    /// The Status for the client.
    pub async fn validate(&self, _cluster: &dyn Cluster, _attributes: &mut Attributes) -> Result<(), Rejection> {
        Ok(())
    }
}
