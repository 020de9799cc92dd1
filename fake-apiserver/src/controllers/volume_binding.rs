//! What is said about claims that no volume can be bound to. Volumes themselves are nobody's here: a claim stays pending.

use std::sync::Arc;

use apimachinery::value::Value;

use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::view::{is_deleting, text};

const CLAIM: &Kind = &kinds::PERSISTENT_VOLUME_CLAIM;
const CLASSES: &str = "storageclasses.storage.k8s.io";

/// The controller that looks at claims.
pub(crate) struct VolumeBinding {
    context: Context,
}

impl VolumeBinding {
    pub(crate) fn new(context: Context) -> VolumeBinding {
        VolumeBinding { context }
    }

    /// Says why a claim waits.
    fn explain(&self, claim: &Value) {
        let events = &self.context.events;
        let class_name = text(claim, "/spec/storageClassName");
        if class_name.is_empty() {
            let message = "no persistent volumes available for this claim and no storage class is set";
            return events.normal(claim, CLAIM, "FailedBinding", message.to_owned());
        }
        let Some(class) = self.context.cache.store().get(CLASSES, "", class_name) else {
            let message = format!("storageclass.storage.k8s.io {class_name:?} not found");
            return events.warning(claim, CLAIM, "ProvisioningFailed", message);
        };
        if text(class.value(), "/volumeBindingMode") == "WaitForFirstConsumer" {
            let message = "waiting for first consumer to be created before binding";
            return events.normal(claim, CLAIM, "WaitForFirstConsumer", message.to_owned());
        }
        let provisioner = text(class.value(), "/provisioner");
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
        );
        events.normal(claim, CLAIM, "ExternalProvisioning", message);
    }
}

impl Controller for VolumeBinding {
    const NAME: &'static str = "persistentvolume-controller";
    const WORKERS: usize = 1;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::PERSISTENT_VOLUME_CLAIM]
    }

    fn observe(&self, _kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if !change.deleted && change.previous.is_none() {
            queue.add(change.object.key());
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let Some(claim) = self.context.cache.by_key(CLAIM, &key) else { return Ok(()) };
        let claim = claim.value();
        let waits = text(claim, "/spec/volumeName").is_empty() && text(claim, "/status/phase") != "Bound";
        if waits && !is_deleting(claim) {
            self.explain(claim);
        }
        Ok(())
    }
}
