//! ClusterRoles that collect the rules of others (`aggregationRule`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use apimachinery::labels::Selector;
use apimachinery::value::{Value, json};

use super::client::{Refusal, Verb};
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::view::{items, labels};
use crate::store::Object;

const ROLE: &Kind = &kinds::CLUSTER_ROLE;

/// The controller of such roles.
pub(crate) struct RoleAggregation {
    context: Context,
    /// The roles that collect.
    collectors: Mutex<BTreeSet<Arc<str>>>,
}

impl RoleAggregation {
    pub(crate) fn new(context: Context) -> RoleAggregation {
        RoleAggregation { context, collectors: Mutex::default() }
    }
}

fn selectors(role: &Value) -> impl Iterator<Item = Selector> + '_ {
    let selectors = items(role, "/aggregationRule/clusterRoleSelectors").iter();
    selectors.filter_map(|selector| Selector::from_label_selector(selector).ok())
}

/// The rules of all roles that are selected, by selector and name, each rule once.
fn collected(collector: &Object, roles: &[Arc<Object>]) -> Vec<Value> {
    let (mut rules, mut seen) = (Vec::new(), BTreeSet::new());
    for selector in selectors(collector.value()) {
        let selected = roles.iter().filter(|role| role.name() != collector.name());
        for role in selected.filter(|role| selector.matches(labels(role.value()))) {
            for rule in items(role.value(), "/rules") {
                if seen.insert(rule.to_string()) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}

impl Controller for RoleAggregation {
    const NAME: &'static str = "clusterrole-aggregation-controller";
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &[ROLE]
    }

    fn observe(&self, _kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        let role = change.object.value();
        let bootstrapped = labels(role).contains_key("kubernetes.io/bootstrapping");
        if bootstrapped && change.previous.is_none() && !change.deleted {
            // A new cluster's roles are there with their rules.
            if !role["aggregationRule"].is_null() {
                self.collectors.lock().unwrap_or_else(PoisonError::into_inner).insert(change.object.key());
            }
            return;
        }
        let mut collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        if change.deleted || role["aggregationRule"].is_null() {
            collectors.remove(&change.object.key());
        } else {
            collectors.insert(change.object.key());
        }
        for key in collectors.iter() {
            let Some(collector) = self.context.cache.by_key(ROLE, key) else { continue };
            let concerned = *key == change.object.key()
                || selectors(collector.value())
                    .any(|selector| change.states().any(|role| selector.matches(labels(role.value()))));
            if concerned {
                queue.add(key.clone());
            }
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let Some(collector) = self.context.cache.by_key(ROLE, &key) else { return Ok(()) };
        if collector.value()["aggregationRule"].is_null() {
            return Ok(());
        }
        let rules = collected(&collector, &self.context.cache.list(ROLE, ""));
        if items(collector.value(), "/rules") == rules.as_slice() {
            return Ok(());
        }
        let patch = json!({ "rules": rules });
        match self.context.client.patch(Verb::MergePatch, ROLE, ("", collector.name()), "", patch).await {
            Err(refusal) if !refusal.is_not_found() => Err(refusal),
            _ => Ok(()),
        }
    }
}
