//! Pods that are more than simulated: something in this process, or reachable from it, stands behind them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use apimachinery::value::Value;

/// What is behind a pod: its containers' logs and its ports.
pub trait Workload: Send + Sync {
    /// All lines that a container has printed, oldest first, each with its time in microseconds since 1970.
    fn log(&self, container: &str) -> Vec<(i64, String)>;

    /// Where a port of the pod is really served; none: connections are refused.
    fn connect(&self, port: u16) -> Option<SocketAddr>;
}

/// The workloads of a cluster, by namespace and labels of their pods.
#[derive(Default)]
pub(crate) struct Workloads(pub(crate) Vec<Selected>);

/// Namespace and labels of pods, and what stands behind them.
type Selected = (String, BTreeMap<String, String>, Arc<dyn Workload>);

impl Workloads {
    /// What stands behind a pod.
    pub(crate) fn of(&self, pod: &Value) -> Option<&Arc<dyn Workload>> {
        let labels = &pod["metadata"]["labels"];
        let found = self.0.iter().find(|(namespace, wanted, _)| {
            pod["metadata"]["namespace"] == namespace.as_str()
                && wanted.iter().all(|(key, value)| labels[key.as_str()] == value.as_str())
        });
        found.map(|(_, _, workload)| workload)
    }
}
