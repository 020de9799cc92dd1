//! What the injector knows of the cluster: kubelet versions, and the id ranges of OpenShift's namespaces.

use std::collections::BTreeMap;

use apimachinery::value::Value;

use super::Ids;
use crate::config::NativeSidecars;

/// The first Kubernetes minor version whose kubelets run native sidecars without a feature gate.
const NATIVE_SINCE: (u64, u64) = (1, 33);

#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// Node name to whether its kubelet runs native sidecars.
    nodes: BTreeMap<String, bool>,
    all_native: bool,
    namespaces: BTreeMap<String, NamespaceIds>,
}

#[derive(Debug, Default)]
struct NamespaceIds {
    user: Option<i64>,
    group: Option<i64>,
}

impl Cluster {
    pub(crate) fn new(objects: &[Value]) -> Self {
        let mut out = Self::default();
        for object in objects {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let Some(name) = text("/metadata/name") else { continue };
            match text("/kind") {
                Some("Node") => {
                    let native = text("/status/nodeInfo/kubeletVersion").is_some_and(runs_native);
                    out.nodes.insert(name.to_owned(), native);
                }
                Some("Namespace") => {
                    let annotation = |key: &str| object.pointer("/metadata/annotations")?.get(key)?.as_str();
                    let user = annotation("openshift.io/sa.scc.uid-range").and_then(last_of_range);
                    // Groups that make no sense do not fall back to the users.
                    let group = match annotation("openshift.io/sa.scc.supplemental-groups") {
                        Some(groups) => last_of_range(groups),
                        None => user,
                    };
                    out.namespaces.insert(name.to_owned(), NamespaceIds { user, group });
                }
                _ => {}
            }
        }
        out.all_native = out.nodes.values().all(|native| *native);
        out
    }

    /// Whether a pod gets a native sidecar; `node` is the node that it is bound to, if any.
    pub(crate) fn native(&self, setting: NativeSidecars, node: Option<&str>) -> bool {
        match setting {
            NativeSidecars::Enabled => true,
            NativeSidecars::Disabled => false,
            NativeSidecars::Auto => node.and_then(|n| self.nodes.get(n)).copied().unwrap_or(self.all_native),
        }
    }

    /// The ids of OpenShift's restricted range in a namespace; 1337 without one.
    pub(crate) fn openshift_ids(&self, namespace: &str) -> Ids {
        let default = Ids::default();
        self.namespaces.get(namespace).map_or(default, |ids| Ids {
            user: ids.user.unwrap_or(default.user),
            group: ids.group.unwrap_or(default.group),
        })
    }
}

/// `v1.33.1-gke.100` and the like; what does not parse counts as old.
fn runs_native(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| part.get(..end).unwrap_or(""));
        digits.parse::<u64>().ok()
    });
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= NATIVE_SINCE,
        _ => false,
    }
}

/// The last id of the first block of `1000650000/10000` or `1000650000-1000659999`.
fn last_of_range(text: &str) -> Option<i64> {
    let block = text.split(',').next()?.trim();
    if let Some((start, size)) = block.split_once('/') {
        let (start, size): (i64, i64) = (start.trim().parse().ok()?, size.trim().parse().ok()?);
        return start.checked_add(size)?.checked_sub(1);
    }
    block.split_once('-')?.1.trim().parse().ok()
}
