//! ResourceQuotas: how much of each is used.

use std::collections::BTreeMap;
use std::sync::Arc;

use apimachinery::value::{Value, json};

use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::view::{is_deleting, text};
use crate::admission::quota;

const QUOTA: &Kind = &kinds::RESOURCE_QUOTA;

/// The controller of their status.
pub(crate) struct ResourceQuotas {
    context: Context,
}

impl ResourceQuotas {
    pub(crate) fn new(context: Context) -> ResourceQuotas {
        ResourceQuotas { context }
    }

    /// What is used of the things that a quota limits.
    fn used(&self, namespace: &str, quota: &Value, hard: &Value) -> Value {
        let mut tables: BTreeMap<(&str, &str), quota::Usage> = BTreeMap::new();
        let mut used = apimachinery::value::Map::new();
        for key in hard.as_object().into_iter().flatten().map(|(key, _)| key.as_str()) {
            let (group, resource) = quota::counted(key);
            let usage = tables.entry((group, resource)).or_insert_with(|| {
                let table = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
                let objects = self.context.cache.store().list(&table, namespace).0;
                quota::total(quota, group, resource, objects.iter().map(|object| object.value()))
            });
            used.insert(key.to_owned(), quota::text(key, usage.get(key).copied().unwrap_or(0)).into());
        }
        used.into()
    }
}

impl Controller for ResourceQuotas {
    const NAME: &'static str = "resourcequota-controller";
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &[
            QUOTA,
            &kinds::POD,
            &kinds::SERVICE,
            &kinds::CONFIG_MAP,
            &kinds::SECRET,
            &kinds::PERSISTENT_VOLUME_CLAIM,
            &kinds::REPLICATION_CONTROLLER,
            &kinds::REPLICA_SET,
            &kinds::DEPLOYMENT,
            &kinds::STATEFUL_SET,
            &kinds::JOB,
            &kinds::CRON_JOB,
        ]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == QUOTA && !change.deleted {
            queue.add(change.object.key());
        }
        // What only changes counts as it did, but for pods that end and services of another type.
        let differs = |pointer: &str| {
            change
                .previous
                .is_some_and(|previous| text(previous.value(), pointer) != text(change.object.value(), pointer))
        };
        if change.previous.is_none() || change.deleted || differs("/status/phase") || differs("/spec/type") {
            for quota in self.context.cache.list(QUOTA, change.object.namespace()) {
                queue.add(quota.key());
            }
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let Some(stored) = self.context.cache.by_key(QUOTA, &key) else { return Ok(()) };
        let quota = stored.value();
        if is_deleting(quota) {
            return Ok(());
        }
        let hard = &quota["spec"]["hard"];
        let status = json!({ "hard": hard, "used": self.used(stored.namespace(), quota, hard) });
        if quota["status"] == status || hard.is_null() {
            return Ok(());
        }
        self.context.write_status(QUOTA, quota, status).await.map(|_| ())
    }
}
