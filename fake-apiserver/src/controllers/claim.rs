//! Which objects are a controller's: those it owns, those it adopts, those it lets go.

use std::sync::Arc;

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};

use super::cache::Cache;
use super::client::{Client, Refusal, Verb};
use super::kinds::Kind;
use super::view::{self, controller_reference, is_deleting, place, uid};
use crate::store::Object;

/// Who claims what.
pub(crate) struct Claim<'a> {
    pub(crate) client: &'a Client,
    pub(crate) cache: &'a Cache,
    pub(crate) owner: &'a Value,
    pub(crate) owner_kind: &'static Kind,
    pub(crate) selector: &'a Selector,
    pub(crate) dependent: &'static Kind,
    /// Finalizers that adoption adds (Jobs).
    pub(crate) finalizers: &'static [&'static str],
}

/// The outcome: what is claimed now, and whether something was let go.
pub(crate) struct Claimed {
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) released: bool,
}

impl Claim<'_> {
    /// Keeps what is owned and matches, releases what is owned and does not match, adopts orphans that match. `wanted` limits
    /// adoption and release to some (active pods).
    pub(crate) async fn run(&self, wanted: impl Fn(&Value) -> bool + Sync) -> Result<Claimed, Refusal> {
        let mut claimed = Claimed { objects: Vec::new(), released: false };
        let mut failure = None;
        for object in self.cache.owned(self.dependent, uid(self.owner)) {
            if self.selector.matches(object.labels()) {
                claimed.objects.push(object);
            } else if !is_deleting(self.owner) && wanted(object.value()) {
                match self.release(&object).await {
                    Ok(released) => claimed.released |= released,
                    Err(refusal) => failure = failure.or(Some(refusal)),
                }
            }
        }
        if !is_deleting(self.owner) {
            let mut asked = false;
            for orphan in self.cache.orphans(self.dependent, view::namespace(self.owner)) {
                let matches = self.selector.matches(orphan.labels());
                if !matches || is_deleting(orphan.value()) || !wanted(orphan.value()) {
                    continue;
                }
                if !std::mem::replace(&mut asked, true) && !self.may_adopt().await? {
                    break;
                }
                match self.adopt(&orphan).await {
                    Ok(adopted) => claimed.objects.extend(adopted),
                    Err(refusal) => failure = failure.or(Some(refusal)),
                }
            }
        }
        failure.map_or(Ok(claimed), Err)
    }

    /// Asks the API, not the cache, whether the owner is still there and stays.
    async fn may_adopt(&self) -> Result<bool, Refusal> {
        let (namespace, name) = place(self.owner);
        let fresh = self.client.get(self.owner_kind, namespace, name).await?;
        Ok(uid(fresh.value()) == uid(self.owner) && !is_deleting(fresh.value()))
    }

    async fn adopt(&self, object: &Object) -> Result<Option<Arc<Object>>, Refusal> {
        let mut metadata = json!({
            "uid": uid(object.value()), "ownerReferences": [controller_reference(self.owner, self.owner_kind)],
        });
        if !self.finalizers.is_empty() {
            metadata["finalizers"] = json!(self.finalizers);
        }
        let patch = json!({ "metadata": metadata });
        let place = (object.namespace(), object.name());
        match self.client.patch(Verb::StrategicPatch, self.dependent, place, "", patch).await {
            Ok(_) => Ok(self.cache.get(self.dependent, place.0, place.1)),
            Err(refusal) if refusal.is_not_found() || refusal.reason == "Invalid" => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Takes the owner's reference away; an object that is gone, or is another one by now, needs nothing.
    async fn release(&self, object: &Object) -> Result<bool, Refusal> {
        let patch = json!({ "metadata": {
            "uid": uid(object.value()), "ownerReferences": [{ "$patch": "delete", "uid": uid(self.owner) }],
        }});
        let place = (object.namespace(), object.name());
        match self.client.patch(Verb::StrategicPatch, self.dependent, place, "", patch).await {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_not_found() || refusal.reason == "Invalid" => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}
