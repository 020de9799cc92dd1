//! Which ReplicaSet is the new one; its revision; what is kept of the old ones.

use std::sync::Arc;

use apimachinery::value::{Map, Value, json};

use super::{DEPLOYMENT, REPLICA_SET, Rollout, replicas};
use crate::controllers::client::Refusal;
use crate::controllers::hash::template_hash;
use crate::controllers::rolling::new_replicas;
use crate::controllers::template::same_template;
use crate::controllers::view::{
    annotation, controller_reference, controller_uid, count, int, is_deleting, map_mut, name, namespace,
    set_annotation, set_label, text, uid,
};
use crate::store::Object;

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HASH_LABEL: &str = "pod-template-hash";

/// Annotations of a Deployment that its ReplicaSets do not get.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

fn revision(set: &Value) -> i64 {
    annotation(set, REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

impl Rollout<'_> {
    /// The oldest ReplicaSet with the Deployment's template.
    pub(super) fn find_new(&self) -> Option<Arc<Object>> {
        let template = self.deployment.pointer("/spec/template")?;
        self.all
            .iter()
            .find(|set| set.value().pointer("/spec/template").is_some_and(|own| same_template(own, template)))
            .cloned()
    }

    /// The new ReplicaSet with its annotations up to date; with `create`, it is made if it is not there.
    pub(super) async fn new_replica_set(&mut self, create: bool) -> Result<Option<Arc<Object>>, Refusal> {
        let found = self.find_new();
        let newest = self.old(found.as_ref()).iter().map(|set| revision(set.value())).max().unwrap_or(0);
        let next = newest + 1;
        let Some(found) = found else {
            return if create { self.create(next).await } else { Ok(None) };
        };
        let mut set = found.value().clone();
        let mut changed = self.annotate(&mut set, next, true);
        let min_ready = count(&self.deployment, "/spec/minReadySeconds");
        if count(&set, "/spec/minReadySeconds") != min_ready {
            set["spec"]["minReadySeconds"] = min_ready.into();
            changed = true;
        }
        if changed {
            self.context.client.update(REPLICA_SET, set).await?;
            let now = self.context.cache.get(REPLICA_SET, found.namespace(), found.name());
            return Ok(now.or(Some(found)));
        }
        let mut note = self.set_revision(&revision(&set).to_string());
        if self.has_deadline() && self.condition("Progressing").is_none() {
            let message = format!("Found new replica set \"{}\"", found.name());
            self.set_condition("Progressing", "True", "FoundNewReplicaSet", &message);
            note = true;
        }
        if note {
            self.write_deployment().await?;
        }
        Ok(Some(found))
    }

    async fn create(&mut self, next: i64) -> Result<Option<Arc<Object>>, Refusal> {
        let collisions = int(&self.deployment, "/status/collisionCount");
        let template = self.deployment.pointer("/spec/template").unwrap_or(&Value::Null);
        let hash = template_hash(template, collisions);
        let mut template = template.clone();
        set_label(&mut template, HASH_LABEL, &hash);
        let labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        let mut selector = self.deployment.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
        if let Some(wanted) = map_mut(&mut selector, "matchLabels") {
            wanted.insert(HASH_LABEL.to_owned(), hash.as_str().into());
        }
        let size = if super::is_recreate(&self.deployment) {
            self.wanted()
        } else {
            let all = self.all.iter().map(|set| replicas(set.value())).sum();
            new_replicas(self.wanted(), self.room().surge, 0, all)
        };
        let namespace = namespace(&self.deployment).to_owned();
        let set_name = format!("{}-{hash}", name(&self.deployment));
        let mut set = json!({
            "metadata": {
                "name": set_name, "namespace": namespace, "labels": labels,
                "ownerReferences": [controller_reference(&self.deployment, DEPLOYMENT)],
            },
            "spec": { "replicas": size, "selector": selector, "template": template },
        });
        let min_ready = count(&self.deployment, "/spec/minReadySeconds");
        if min_ready != 0 {
            set["spec"]["minReadySeconds"] = min_ready.into();
        }
        self.annotate(&mut set, next, false);
        let template = set["spec"]["template"].clone();
        let mut existed = false;
        match self.context.client.create(REPLICA_SET, &namespace, set).await {
            Ok(_) => {}
            Err(refusal) if refusal.is_already_exists() => {
                existed = true;
                self.check_collision(&set_name, &template, refusal).await?;
            }
            Err(refusal) if refusal.namespace_terminating => return Ok(None),
            Err(refusal) => return Err(self.note_create_failure(&set_name, refusal).await),
        }
        if !existed && size > 0 {
            let message = format!("Scaled up replica set {set_name} from 0 to {size}");
            self.context.events.normal(&self.deployment, DEPLOYMENT, "ScalingReplicaSet", message);
        }
        let mut note = self.set_revision(&next.to_string());
        if !existed && self.has_deadline() {
            let message = format!("Created new replica set \"{set_name}\"");
            self.set_condition("Progressing", "True", "NewReplicaSetCreated", &message);
            note = true;
        }
        if note {
            self.write_deployment().await?;
        }
        Ok(self.context.cache.get(REPLICA_SET, &namespace, &set_name))
    }

    /// A ReplicaSet of that name exists: ours with this template is fine, anything else counts as a collision of hashes.
    async fn check_collision(&mut self, set: &str, template: &Value, refusal: Refusal) -> Result<(), Refusal> {
        let existing = self.context.cache.get(REPLICA_SET, namespace(&self.deployment), set);
        let Some(existing) = existing else { return Err(refusal) };
        let same = existing.value().pointer("/spec/template").is_some_and(|own| same_template(own, template));
        if same && controller_uid(existing.value()) == uid(&self.deployment) {
            return Ok(());
        }
        let collisions = count(&self.deployment, "/status/collisionCount") + 1;
        if let Some(status) = map_mut(&mut self.deployment, "status") {
            status.insert("collisionCount".to_owned(), collisions.into());
        }
        self.write_deployment().await?;
        Err(refusal)
    }

    async fn note_create_failure(&mut self, set: &str, refusal: Refusal) -> Refusal {
        let message = format!("Failed to create new replica set \"{set}\": {refusal}");
        if self.has_deadline() {
            self.set_condition("Progressing", "False", "ReplicaSetCreateError", &message);
            if let Err(other) = self.write_deployment().await {
                tracing::debug!(refusal = %other, "condition not written");
            }
        }
        self.context.events.warning(&self.deployment, DEPLOYMENT, "ReplicaSetCreateError", message);
        refusal
    }

    /// Copies annotations, sets the revision, and, on a ReplicaSet that is new, its sizes. True if anything changed.
    fn annotate(&self, set: &mut Value, next: i64, exists: bool) -> bool {
        let mut changed = false;
        static NONE: std::sync::LazyLock<Map> = std::sync::LazyLock::new(Map::new);
        let own = self.deployment.pointer("/metadata/annotations").and_then(Value::as_object).unwrap_or(&NONE);
        for (key, value) in own {
            let Some(value) = value.as_str().filter(|_| !NOT_COPIED.contains(&key.as_str())) else { continue };
            if annotation(set, key) != Some(value) {
                set_annotation(set, key, value);
                changed = true;
            }
        }
        let before = annotation(set, REVISION).map(str::to_owned);
        let number = before.as_deref().and_then(|revision| revision.parse::<i64>().ok());
        if before.is_none() || number.is_some_and(|number| number < next) {
            set_annotation(set, REVISION, &next.to_string());
            changed = true;
            if let Some(before) = before.filter(|before| !before.is_empty()) {
                let history = match annotation(set, REVISION_HISTORY) {
                    Some(history) if !history.is_empty() => format!("{history},{before}"),
                    _ => before,
                };
                set_annotation(set, REVISION_HISTORY, &history);
            }
        }
        if !exists {
            let sizes = self.size_annotations();
            set_annotation(set, DESIRED, &sizes.0);
            set_annotation(set, MAX, &sizes.1);
            changed = true;
        }
        changed
    }

    /// `desired-replicas` and `max-replicas` as they should be now.
    pub(super) fn size_annotations(&self) -> (String, String) {
        (self.wanted().to_string(), (self.wanted() + self.room().surge).to_string())
    }

    /// Sets the Deployment's own revision; true if that is news.
    fn set_revision(&mut self, revision: &str) -> bool {
        if annotation(&self.deployment, REVISION) == Some(revision) {
            return false;
        }
        set_annotation(&mut self.deployment, REVISION, revision);
        true
    }

    /// Deletes the oldest of the empty ReplicaSets beyond `revisionHistoryLimit`.
    pub(super) async fn clean_history(&mut self, new: Option<&Arc<Object>>) -> Result<(), Refusal> {
        let Some(limit) = int(&self.deployment, "/spec/revisionHistoryLimit") else { return Ok(()) };
        let limit = usize::try_from(limit).unwrap_or(0);
        let mut old = self.old(new);
        old.retain(|set| !is_deleting(set.value()));
        let excess = old.len().saturating_sub(limit);
        old.sort_by_key(|set| revision(set.value()));
        for set in old.into_iter().take(excess) {
            let value = set.value();
            let busy = count(value, "/status/replicas") != 0 || replicas(value) != 0;
            if busy || count(value, "/metadata/generation") > count(value, "/status/observedGeneration") {
                continue;
            }
            let place = (text(value, "/metadata/namespace"), text(value, "/metadata/name"));
            match self.context.client.delete(REPLICA_SET, place, None).await {
                Err(refusal) if !refusal.is_not_found() => return Err(refusal),
                _ => {}
            }
        }
        Ok(())
    }
}
