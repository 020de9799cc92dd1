//! What a controller works with.

use std::sync::Arc;

use apimachinery::clock::Clock;
use apimachinery::value::Value;

use super::cache::Cache;
use super::client::{Answered, Client, Refusal};
use super::events::Recorder;
use super::kinds::{self, Kind};
use super::view::{name, place, with_status};

/// One controller's tools: the API as its own user, the cluster's objects, its events, the time.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) cache: Arc<Cache>,
    pub(crate) events: Recorder,
    pub(crate) clock: Clock,
}

impl Context {
    /// The time as objects carry it.
    pub(crate) fn now(&self) -> String {
        self.clock.now().rfc3339()
    }

    /// The time in Unix seconds.
    pub(crate) fn seconds(&self) -> i64 {
        super::time::seconds(&self.clock)
    }

    /// Creates a workload's pod and says so in an event about the workload.
    pub(crate) async fn create_pod(&self, pod: Value, owner: &Value, kind: &Kind) -> Result<Answered, Refusal> {
        match self.client.create(&kinds::POD, place(owner).0, pod).await {
            Ok(created) => {
                let message = format!("Created pod: {}", name(created.value()));
                self.events.normal(owner, kind, "SuccessfulCreate", message);
                Ok(created)
            }
            Err(refusal) => {
                if !refusal.namespace_terminating {
                    self.events.warning(owner, kind, "FailedCreate", format!("Error creating: {refusal}"));
                }
                Err(refusal)
            }
        }
    }

    /// Deletes a workload's pod and says so in an event about the workload; a pod that is gone is fine.
    pub(crate) async fn delete_pod(&self, pod: &Value, owner: &Value, kind: &Kind) -> Result<(), Refusal> {
        match self.client.delete(&kinds::POD, place(pod), None).await {
            Ok(_) => {
                self.events.normal(owner, kind, "SuccessfulDelete", format!("Deleted pod: {}", name(pod)));
                Ok(())
            }
            Err(refusal) if refusal.is_not_found() => Ok(()),
            Err(refusal) => {
                self.events.warning(owner, kind, "FailedDelete", format!("Error deleting: {refusal}"));
                Err(refusal)
            }
        }
    }

    /// Writes a status; if the object has changed meanwhile, once more on what is stored now, if it is still the same object.
    pub(crate) async fn write_status(&self, kind: &Kind, object: &Value, status: Value) -> Result<Answered, Refusal> {
        let next = with_status(object, status.clone());
        match self.client.update_status(kind, next).await {
            Err(refusal) if refusal.is_conflict() => {
                let (namespace, name) = place(object);
                let Some(fresh) = self.cache.get(kind, namespace, name) else { return Err(refusal) };
                if super::view::uid(fresh.value()) != super::view::uid(object) {
                    return Err(refusal);
                }
                let next = with_status(fresh.value(), status);
                self.client.update_status(kind, next).await
            }
            result => result,
        }
    }
}
