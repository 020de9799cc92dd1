//! Sizes of a Deployment's ReplicaSets.

use std::cmp::Reverse;
use std::sync::Arc;

use super::replica_sets::{DESIRED, MAX};
use super::{DEPLOYMENT, REPLICA_SET, Rollout, is_recreate, replicas};
use crate::controllers::client::Refusal;
use crate::controllers::rolling::{new_replicas, old_to_remove, proportion};
use crate::controllers::view::{annotation, count, is_deleting, set_annotation};
use crate::store::Object;

fn available(set: &Object) -> i64 {
    count(set.value(), "/status/availableReplicas")
}

fn total(sets: &[Arc<Object>]) -> i64 {
    sets.iter().map(|set| replicas(set.value())).sum()
}

fn annotated(set: &Object, key: &str) -> Option<i64> {
    annotation(set.value(), key)?.parse().ok()
}

impl Rollout<'_> {
    /// Whether `spec.replicas` was changed since the ReplicaSets got their sizes.
    pub(super) fn is_scaling(&self) -> bool {
        self.all
            .iter()
            .filter(|set| replicas(set.value()) > 0)
            .any(|set| annotated(set, DESIRED).is_some_and(|desired| desired != self.wanted()))
    }

    /// Gives a ReplicaSet a size and says so in an event; true if it had another one.
    pub(super) async fn resize(&self, set: &Arc<Object>, size: i64) -> Result<bool, Refusal> {
        if replicas(set.value()) == size {
            return Ok(false);
        }
        self.write_size(set, size).await?;
        Ok(true)
    }

    /// Writes size and size annotations, whichever are not so yet.
    async fn write_size(&self, set: &Arc<Object>, size: i64) -> Result<(), Refusal> {
        let before = replicas(set.value());
        let (desired, max) = self.size_annotations();
        let annotated = |key, wanted: &str| annotation(set.value(), key) == Some(wanted);
        if before == size && annotated(DESIRED, &desired) && annotated(MAX, &max) {
            return Ok(());
        }
        // A newer state of it than the one that was listed may be stored: only the size is to change.
        let stored = self.context.cache.get(REPLICA_SET, set.namespace(), set.name());
        let mut next = stored.as_ref().unwrap_or(set).value().clone();
        next["spec"]["replicas"] = size.into();
        set_annotation(&mut next, DESIRED, &desired);
        set_annotation(&mut next, MAX, &max);
        self.context.client.update(REPLICA_SET, next).await?;
        if before != size {
            let way = if before < size { "up" } else { "down" };
            let message = format!("Scaled {way} replica set {} from {before} to {size}", set.name());
            self.context.events.normal(&self.deployment, DEPLOYMENT, "ScalingReplicaSet", message);
        }
        Ok(())
    }

    /// Lets the new ReplicaSet grow as far as there is room, or shrink to what is wanted. True if it changed.
    pub(super) async fn grow_new(&self, new: &Arc<Object>) -> Result<bool, Refusal> {
        let (wanted, size) = (self.wanted(), replicas(new.value()));
        if size > wanted {
            return self.resize(new, wanted).await;
        }
        let all = total(&self.with_new(Some(new)));
        self.resize(new, new_replicas(wanted, self.room().surge, size, all)).await
    }

    /// Lets the old ReplicaSets shrink: first the pods that are not available anyway, then as many as the new ones make up
    /// for. True if anything changed.
    pub(super) async fn shrink_old(&self, new: &Arc<Object>) -> Result<bool, Refusal> {
        let mut old = self.old(Some(new));
        if total(&old) == 0 {
            return Ok(false);
        }
        let (wanted, room) = (self.wanted(), self.room());
        let all = total(&self.with_new(Some(new)));
        let mut may_go = old_to_remove(all, wanted, room.unavailable, replicas(new.value()), available(new));
        if may_go <= 0 {
            return Ok(false);
        }
        old.retain(|set| replicas(set.value()) > 0);
        let mut sizes: Vec<i64> = old.iter().map(|set| replicas(set.value())).collect();
        for (set, size) in old.iter().zip(&mut sizes) {
            let gone = may_go.min(*size - available(set)).max(0);
            *size -= gone;
            may_go -= gone;
        }
        let ready = available(new) + old.iter().map(|set| available(set)).sum::<i64>();
        let mut spare = (ready - (wanted - room.unavailable)).max(0);
        for size in &mut sizes {
            let gone = spare.min(*size).max(0);
            *size -= gone;
            spare -= gone;
        }
        let mut changed = false;
        for (set, size) in old.iter().zip(sizes) {
            changed |= self.resize(set, size).await?;
        }
        Ok(changed)
    }

    /// Follows a change of `spec.replicas`: one active ReplicaSet gets it all, several in the middle of a rollout get their
    /// shares.
    pub(super) async fn scale_all(&self, new: Option<&Arc<Object>>) -> Result<(), Refusal> {
        let all = self.with_new(new);
        let active: Vec<_> = all.iter().filter(|set| replicas(set.value()) > 0).cloned().collect();
        let only = match active.as_slice() {
            [] => new.cloned().or_else(|| self.all.last().cloned()),
            [only] => Some(only.clone()),
            _ => None,
        };
        if let Some(only) = only {
            return self.resize(&only, self.wanted()).await.map(|_| ());
        }
        if let Some(new) = new.filter(|new| self.is_saturated(new)) {
            for set in active.iter().filter(|set| set.name() != new.name()) {
                self.resize(set, 0).await?;
            }
            return Ok(());
        }
        if is_recreate(&self.deployment) { Ok(()) } else { self.scale_in_proportion(active).await }
    }

    fn is_saturated(&self, new: &Object) -> bool {
        let wanted = self.wanted();
        annotated(new, DESIRED) == Some(wanted) && replicas(new.value()) == wanted && available(new) == wanted
    }

    async fn scale_in_proportion(&self, mut active: Vec<Arc<Object>>) -> Result<(), Refusal> {
        let wanted = self.wanted();
        let surge = self.room().surge;
        let allowed = if wanted > 0 { wanted + surge } else { 0 };
        let to_add = allowed - total(&active);
        // The largest first; among equals the newest grows, the oldest shrinks.
        if to_add > 0 {
            active.reverse();
        }
        active.sort_by_key(|set| Reverse(replicas(set.value())));
        let mut added = 0;
        let mut sizes = Vec::new();
        for set in &active {
            let size = replicas(set.value());
            let before = annotated(set, MAX).filter(|max| *max > 0);
            let before = before.unwrap_or_else(|| count(&self.deployment, "/status/replicas"));
            let total = if wanted == 0 { 0 } else { wanted + surge };
            let share = if to_add == 0 { 0 } else { proportion(size, to_add, added, total, before) };
            added += share;
            sizes.push(size + share);
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + to_add - added).max(0);
        }
        for (set, size) in active.iter().zip(sizes) {
            if !is_deleting(set.value()) {
                self.write_size(set, size).await?;
            }
        }
        Ok(())
    }
}
