//! EndpointSlices: where the pods of a Service are. One slice per Service.

use std::sync::Arc;

use apimachinery::value::{Map, Value, json};

use super::client::Refusal;
use super::context::Context;
use super::informer::Change;
use super::kinds::{self, Kind};
use super::pods;
use super::queue::{BackOff, Queue};
use super::runner::Controller;
use super::view::{
    controller_key, controller_reference, is_deleting, items, labels, name, namespace, place, text, uid,
};
use crate::store::Object;

const SERVICE: &Kind = &kinds::SERVICE;
const SLICE: &Kind = &kinds::ENDPOINT_SLICE;
const MANAGER: &str = "endpointslice-controller.k8s.io";
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The controller of EndpointSlices.
pub(crate) struct EndpointSlices {
    context: Context,
}

impl EndpointSlices {
    pub(crate) fn new(context: Context) -> EndpointSlices {
        EndpointSlices { context }
    }
}

fn selector(service: &Value) -> Option<&Map> {
    service.pointer("/spec/selector")?.as_object().filter(|selector| !selector.is_empty())
}

fn selects(selector: &Map, pod: &Value) -> bool {
    selector.iter().all(|(key, value)| labels(pod).get(key) == Some(value))
}

/// The port of a pod that a Service's port means.
fn target_port(port: &Value, pod: &Value) -> Option<i64> {
    let target = &port["targetPort"];
    let Some(wanted) = target.as_str() else {
        return target.as_i64().filter(|port| *port > 0).or(port["port"].as_i64());
    };
    let containers = items(pod, "/spec/containers").iter();
    let mut ports = containers.flat_map(|container| items(container, "/ports"));
    let protocol = |port: &Value| port["protocol"].as_str().unwrap_or("TCP").to_owned();
    ports.find(|own| own["name"] == wanted && protocol(own) == protocol(port))?["containerPort"].as_i64()
}

fn endpoint(pod: &Value) -> Option<Value> {
    let address = text(pod, "/status/podIP");
    if address.is_empty() || pods::is_finished(pod) {
        return None;
    }
    let (serving, terminating) = (pods::is_ready(pod), is_deleting(pod));
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": { "ready": serving && !terminating, "serving": serving, "terminating": terminating },
        "targetRef": { "kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod) },
    });
    let node = text(pod, "/spec/nodeName");
    if !node.is_empty() {
        endpoint["nodeName"] = node.into();
    }
    Some(endpoint)
}

/// What the slice says.
fn contents(service: &Value, pods: &[Arc<Object>]) -> (Value, Value) {
    let found: Vec<(&Value, Value)> =
        pods.iter().filter_map(|pod| endpoint(pod.value()).map(|endpoint| (pod.value(), endpoint))).collect();
    let Some((first, _)) = found.first() else { return (Value::Null, Value::Null) };
    let ports: Vec<Value> = items(service, "/spec/ports")
        .iter()
        .filter_map(|port| {
            Some(json!({
                "name": port["name"].as_str().unwrap_or_default(),
                "protocol": port["protocol"].as_str().unwrap_or("TCP"),
                "port": target_port(port, first)?,
            }))
        })
        .collect();
    let endpoints: Vec<Value> = found.into_iter().map(|(_, endpoint)| endpoint).collect();
    (endpoints.into(), ports.into())
}

impl Controller for EndpointSlices {
    const NAME: &'static str = "endpoint-slice-controller";
    const WORKERS: usize = 5;
    const BACK_OFF: BackOff = BackOff::ENDPOINT_SLICE;

    fn follows(&self) -> &'static [&'static Kind] {
        &[&kinds::SERVICE, &kinds::POD, &kinds::ENDPOINT_SLICE, &kinds::NODE]
    }

    fn observe(&self, kind: &'static Kind, change: &Change<'_>, queue: &Queue) {
        if kind == SERVICE {
            return queue.add(change.object.key());
        }
        if kind == SLICE {
            if let Some(owner) = controller_key(change.object.value(), SERVICE) {
                queue.add(owner);
            }
            return;
        }
        if *kind == kinds::NODE {
            if change.deleted || change.previous.is_none() {
                self.context.cache.list(SERVICE, "").iter().for_each(|service| queue.add(service.key()));
            }
            return;
        }
        for service in self.context.cache.list(SERVICE, change.object.namespace()) {
            let of = selector(service.value());
            if of.is_some_and(|selector| change.states().any(|pod| selects(selector, pod.value()))) {
                queue.add(service.key());
            }
        }
    }

    async fn sync(&self, key: Arc<str>, _queue: &Queue) -> Result<(), Refusal> {
        let cache = &self.context.cache;
        let Some(stored) = cache.by_key(SERVICE, &key) else { return Ok(()) };
        let service = stored.value();
        let Some(selector) = selector(service).filter(|_| !is_deleting(service)) else { return Ok(()) };
        if text(service, "/spec/type") == "ExternalName" {
            return Ok(());
        }
        let mut pods = cache.list(&kinds::POD, stored.namespace());
        pods.retain(|pod| selects(selector, pod.value()));
        // A pod on a node that is not known is left out until it is (`controllers/service-endpoints`), and told of.
        let mut missing = Vec::new();
        pods.retain(|pod| match text(pod.value(), "/spec/nodeName") {
            "" => false,
            node if cache.get(&kinds::NODE, "", node).is_some() => true,
            node => {
                if endpoint(pod.value()).is_some() {
                    let (namespace, name) = (stored.namespace(), stored.name());
                    missing.push(format!(
                        "skipping Pod {} for Service {namespace}/{name}: Node {node} Not Found",
                        pod.name()
                    ));
                }
                false
            }
        });
        self.write(&stored, &pods).await?;
        self.tell(service, missing)
    }
}

impl EndpointSlices {
    /// Says which pods were left out. As that is a failure, the Service is looked at again after a while.
    fn tell(&self, service: &Value, missing: Vec<String>) -> Result<(), Refusal> {
        let message = match missing.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            _ => format!("[{}]", missing.join(", ")),
        };
        let (namespace, name) = place(service);
        let text = format!("Error updating Endpoint Slices for Service {namespace}/{name}: {message}");
        self.context.events.warning(service, SERVICE, "FailedToUpdateEndpointSlices", text);
        Err(Refusal { code: 500, reason: "InternalError".to_owned(), message, namespace_terminating: false })
    }

    /// Writes the Service's slice if it says something else.
    async fn write(&self, stored: &Object, pods: &[Arc<Object>]) -> Result<(), Refusal> {
        let (service, cache) = (stored.value(), &self.context.cache);
        let (endpoints, ports) = contents(service, pods);
        let mine = cache.owned(SLICE, uid(service)).into_iter().next();
        if let Some(slice) = mine {
            let same = |field: &str, wanted: &Value| slice.value().get(field).unwrap_or(&Value::Null) == wanted;
            if same("endpoints", &endpoints) && same("ports", &ports) {
                return Ok(());
            }
            let mut next = slice.value().clone();
            next["endpoints"] = endpoints;
            next["ports"] = ports;
            return self.context.client.update(SLICE, next).await.map(|_| ());
        }
        let mut marks = json!({
            "endpointslice.kubernetes.io/managed-by": MANAGER, "kubernetes.io/service-name": stored.name(),
        });
        if text(service, "/spec/clusterIP") == "None" {
            marks["service.kubernetes.io/headless"] = "".into();
        }
        let slice = json!({
            "metadata": {
                "generateName": format!("{}-", stored.name()), "namespace": stored.namespace(), "labels": marks,
                "annotations": { TRIGGER: text(service, "/metadata/creationTimestamp") },
                "ownerReferences": [controller_reference(service, SERVICE)],
            },
            "addressType": items(service, "/spec/ipFamilies").first().and_then(Value::as_str).unwrap_or("IPv4"),
            "endpoints": endpoints, "ports": ports,
        });
        match self.context.client.create(SLICE, place(service).0, slice).await {
            Err(refusal) if !refusal.namespace_terminating => Err(refusal),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_ports_are_looked_up_in_the_pod() {
        let pod = json!({ "spec": { "containers": [{ "ports": [{ "name": "http", "containerPort": 8080 }] }] } });
        assert_eq!(target_port(&json!({ "port": 80, "targetPort": "http" }), &pod), Some(8080));
        assert_eq!(target_port(&json!({ "port": 80, "targetPort": "admin" }), &pod), None);
        assert_eq!(target_port(&json!({ "port": 80 }), &pod), Some(80));
    }

    #[test]
    fn pods_without_address_are_nowhere() {
        assert_eq!(endpoint(&json!({ "status": { "phase": "Pending" } })), None);
        let ready = json!({ "metadata": { "name": "p" }, "status": {
            "podIP": "10.1.2.3", "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
        }});
        let found = endpoint(&ready).unwrap();
        assert_eq!(found["conditions"], json!({ "ready": true, "serving": true, "terminating": false }));
    }
}
