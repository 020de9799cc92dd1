//! ControllerRevisions: the templates that a StatefulSet or DaemonSet has had.

use std::sync::Arc;

use apimachinery::value::{Value, json};

use super::client::Refusal;
use super::context::Context;
use super::hash::template_hash;
use super::kinds::{self, Kind};
use super::view::{controller_reference, count, int, name, namespace, set_label, text, uid};
use crate::store::Object;

const REVISION: &Kind = &kinds::CONTROLLER_REVISION;

/// Whose revisions.
pub(crate) struct History<'a> {
    pub(crate) context: &'a Context,
    pub(crate) owner: &'a Value,
    pub(crate) kind: &'static Kind,
    /// The label of a revision that has its hash.
    pub(crate) hash_label: &'static str,
}

/// The owner's template as a revision keeps it.
fn data_of(owner: &Value) -> Value {
    let mut template = owner.pointer("/spec/template").cloned().unwrap_or_else(|| json!({}));
    template["$patch"] = "replace".into();
    json!({ "spec": { "template": template } })
}

/// The owner with the template of a revision.
pub(crate) fn with_revision(owner: &Value, revision: &Value) -> Value {
    let mut owner = owner.clone();
    if let Some(template) = revision.pointer("/data/spec/template") {
        let mut template = template.clone();
        if let Some(fields) = template.as_object_mut() {
            fields.remove("$patch");
        }
        owner["spec"]["template"] = template;
    }
    owner
}

/// A revision's number.
fn number(revision: &Object) -> i64 {
    count(revision.value(), "/revision")
}

impl History<'_> {
    /// All revisions, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Object>> {
        let mut all = self.context.cache.owned(REVISION, uid(self.owner));
        all.sort_by_key(|revision| number(revision));
        all
    }

    /// The revision of the present template: found and made the newest, or made. The second answer is the owner's collision
    /// count if it has to be written.
    pub(crate) async fn update(&self) -> Result<(Arc<Object>, Option<i64>), Refusal> {
        let data = data_of(self.owner);
        let all = self.all();
        let next = all.last().map_or(1, |last| number(last) + 1);
        if let Some(found) = all.iter().rev().find(|revision| revision.value().get("data") == Some(&data)) {
            if number(found) + 1 == next {
                return Ok((found.clone(), None));
            }
            let mut revision = found.value().clone();
            revision["revision"] = next.into();
            self.context.client.update(REVISION, revision).await?;
            return self.stored(found.name()).map(|revision| (revision, None));
        }
        let mut collisions = int(self.owner, "/status/collisionCount");
        loop {
            let template = self.owner.pointer("/spec/template").unwrap_or(&Value::Null);
            let hash = template_hash(template, collisions.filter(|collisions| *collisions > 0));
            let revision_name = format!("{}-{hash}", name(self.owner));
            let labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
            let mut revision = json!({
                "metadata": {
                    "name": revision_name, "namespace": namespace(self.owner), "labels": labels,
                    "ownerReferences": [controller_reference(self.owner, self.kind)],
                },
                "data": data, "revision": next,
            });
            if let Some(annotations) = self.owner.pointer("/metadata/annotations") {
                revision["metadata"]["annotations"] = annotations.clone();
            }
            set_label(&mut revision, self.hash_label, &hash);
            match self.context.client.create(REVISION, namespace(self.owner), revision).await {
                Ok(_) => {
                    let news = collisions.filter(|_| int(self.owner, "/status/collisionCount") != collisions);
                    return self.stored(&revision_name).map(|revision| (revision, news));
                }
                Err(refusal) if refusal.is_already_exists() => {
                    let existing = self.stored(&revision_name)?;
                    if existing.value().get("data") == Some(&data) {
                        return Ok((existing, None));
                    }
                    collisions = Some(collisions.unwrap_or(0) + 1);
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }

    fn stored(&self, revision: &str) -> Result<Arc<Object>, Refusal> {
        let found = self.context.cache.get(REVISION, namespace(self.owner), revision);
        found.ok_or_else(|| Refusal::own(format!("controllerrevision \"{revision}\" is gone again")))
    }

    /// The hash in a revision's label.
    pub(crate) fn hash<'a>(&self, revision: &'a Object) -> &'a str {
        revision.labels().get(self.hash_label).and_then(Value::as_str).unwrap_or_default()
    }

    /// Deletes the oldest revisions beyond `revisionHistoryLimit` that are not `live`.
    pub(crate) async fn truncate(&self, live: impl Fn(&Object) -> bool) -> Result<(), Refusal> {
        let limit = int(self.owner, "/spec/revisionHistoryLimit").unwrap_or(10);
        let dead: Vec<_> = self.all().into_iter().filter(|revision| !live(revision)).collect();
        let excess = dead.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        for revision in dead.into_iter().take(excess) {
            let place = (text(revision.value(), "/metadata/namespace"), revision.name());
            match self.context.client.delete(REVISION, place, None).await {
                Err(refusal) if !refusal.is_not_found() => return Err(refusal),
                _ => {}
            }
        }
        Ok(())
    }
}
