//! How long kubelets may keep secrets and config maps: an annotation on each node that grows with the cluster.

use std::sync::Arc;

use apimachinery::value::json;

use super::client::{Refusal, Verb};
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::queue::Queue;
use super::runner::Controller;
use super::view::text;

const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";
/// Up to so many nodes, so many seconds.
const STEPS: [(usize, u32); 4] = [(100, 0), (500, 15), (1000, 30), (2000, 60)];
/// Beyond the last step.
const LONGEST: u32 = 300;

/// The controller of that annotation.
pub(crate) struct NodeTtl {
    context: Context,
}

impl NodeTtl {
    pub(crate) fn new(context: Context) -> NodeTtl {
        NodeTtl { context }
    }
}

fn seconds(nodes: usize) -> u32 {
    STEPS.iter().find(|(limit, _)| nodes <= *limit).map_or(LONGEST, |(_, seconds)| *seconds)
}

impl Controller for NodeTtl {
    const NAME: &'static str = "ttl-controller";
    const WORKERS: usize = 5;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::NODE]
    }

    fn observe(&self, _kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if !change.deleted {
            queue.add(change.object.key());
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let Some(node) = self.context.cache.by_key(&kinds::NODE, &key) else { return Ok(()) };
        let wanted = seconds(self.context.cache.store().count("nodes")).to_string();
        if text(node.value(), "/metadata/annotations/node.alpha.kubernetes.io~1ttl") == wanted {
            return Ok(());
        }
        let patch = json!({"metadata": {"annotations": {ANNOTATION: wanted}}});
        match self.context.client.patch(Verb::StrategicPatch, &kinds::NODE, ("", &key), "", patch).await {
            Err(refusal) if !refusal.is_not_found() => Err(refusal),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_nodes_keep_longer() {
        assert_eq!([1, 100, 101, 2000, 5000].map(seconds), [0, 0, 15, 60, 300]);
    }
}
