//! Probes of the application go through the agent, which the kubelet can reach without mutual TLS.

use apimachinery::value::{Map, Value, json};

use super::{Settings, status_port};
use crate::pod::{self, PROXY, parse_bool};

/// The variable that tells the agent what to probe.
const PROBERS: &str = "ISTIO_KUBE_APP_PROBERS";
/// The annotation that switches the rewriting for a pod.
const REWRITE: &str = "sidecar.istio.io/rewriteAppHTTPProbers";

/// Rewrites all probes and HTTP lifecycle handlers, and records what they were for the agent.
pub(crate) fn rewrite(target: &mut Value, settings: &Settings<'_>, warnings: &mut Vec<String>) {
    if !wanted(target, settings, warnings) || pod::proxy_mut(target).is_none() {
        return;
    }
    let mesh_port = status_port(settings.mesh);
    let annotated = pod::text(pod::strings(target, "annotations"), "status.sidecar.istio.io/port");
    let agent_port = annotated.and_then(|p| p.parse().ok()).unwrap_or(mesh_port);
    let mut recorded = Map::new();
    for key in ["initContainers", "containers"] {
        for container in pod::list_mut(target, key).into_iter().flatten() {
            if pod::name(container) != PROXY {
                Container::new(container, mesh_port, agent_port).rewrite(container, &mut recorded, warnings);
            }
        }
    }
    if recorded.is_empty() {
        return;
    }
    let Some(proxy) = pod::proxy_mut(target) else { return };
    if settings.again {
        let old = proxy.get("env").and_then(Value::as_array).into_iter().flatten().find(|e| pod::name(e) == PROBERS);
        let old = old.and_then(|e| e.get("value")).and_then(Value::as_str).and_then(|t| serde_json::from_str(t).ok());
        if let Some(Value::Object(old)) = old {
            let unchanged = recorded.keys().all(|k| old.contains_key(k));
            if unchanged {
                return;
            }
            recorded.extend(old);
        }
        pod::set_env(proxy, PROBERS, Value::Object(recorded).to_string());
    } else if let Some(env) = pod::env_mut(proxy) {
        env.push(json!({ "name": PROBERS, "value": Value::Object(recorded).to_string() }));
    }
}

fn wanted(target: &Value, settings: &Settings<'_>, warnings: &mut Vec<String>) -> bool {
    let default = settings.values.pointer("/sidecarInjectorWebhook/rewriteAppHTTPProbe");
    let default = default.and_then(Value::as_bool).unwrap_or(false);
    match pod::text(pod::strings(target, "annotations"), REWRITE) {
        None => default,
        Some(text) => parse_bool(text).unwrap_or_else(|| {
            warnings.push(format!(
                "annotation {REWRITE}: {text:?} is neither \"true\" nor \"false\" and counts as not set"
            ));
            default
        }),
    }
}

/// One container's name and named ports.
struct Container {
    name: String,
    ports: Vec<(String, Value)>,
    mesh_port: i64,
    agent_port: i64,
}

impl Container {
    fn new(container: &Value, mesh_port: i64, agent_port: i64) -> Self {
        let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
        let named = ports.filter_map(|p| Some((p.get("name")?.as_str()?.to_owned(), p.get("containerPort")?.clone())));
        Self { name: pod::name(container).to_owned(), ports: named.collect(), mesh_port, agent_port }
    }

    fn rewrite(&self, container: &mut Value, recorded: &mut Map, warnings: &mut Vec<String>) {
        for (probe, short) in [("readinessProbe", "readyz"), ("livenessProbe", "livez"), ("startupProbe", "startupz")] {
            if let Some(probe) = container.get_mut(probe).filter(|p| p.is_object()) {
                let path = format!("/app-health/{}/{short}", self.name);
                self.handler(probe, &path, true, recorded, warnings);
            }
        }
        for (hook, short) in [("preStop", "prestopz"), ("postStart", "poststartz")] {
            if let Some(hook) = container.get_mut("lifecycle").and_then(|l| l.get_mut(hook)).filter(|h| h.is_object()) {
                let path = format!("/app-lifecycle/{}/{short}", self.name);
                self.handler(hook, &path, false, recorded, warnings);
            }
        }
    }

    /// Rewrites a probe or a lifecycle handler (`exec`, `sleep` and a handler's `grpc` stay as they are).
    fn handler(&self, handler: &mut Value, path: &str, probe: bool, recorded: &mut Map, warnings: &mut Vec<String>) {
        let kinds: &[&str] = if probe { &["httpGet", "grpc", "tcpSocket"] } else { &["httpGet", "tcpSocket"] };
        let Some(&kind) = kinds.iter().find(|k| handler.get(**k).is_some_and(Value::is_object)) else { return };
        let timeout = handler.get("timeoutSeconds").filter(|t| t.as_i64() != Some(0)).cloned();
        let Some(object) = handler.as_object_mut() else { return };
        let Some(mut action) = object.remove(kind) else { return };
        let port = self.port(&action);
        // Rewritten before: what it was is recorded already, or could not be. A name is never looked at for that, nor is
        // a gRPC port.
        let written = action.get("port").and_then(Value::as_i64).filter(|_| kind != "grpc");
        let done = written == Some(self.mesh_port)
            || written == Some(self.agent_port) && action.get("path").and_then(Value::as_str) == Some(path);
        match &port {
            Some(_) if done => {}
            Some(port) => {
                let mut kept = action.clone();
                if let Some(kept) = kept.as_object_mut() {
                    kept.insert("port".to_owned(), port.clone());
                    kept.retain(|key, value| !is_left_out(key, value));
                }
                let mut entry = Map::new();
                entry.insert(kind.to_owned(), kept);
                entry.extend(timeout.map(|t| ("timeoutSeconds".to_owned(), t)));
                recorded.insert(path.to_owned(), Value::Object(entry));
            }
            None => warnings.push(format!(
                "container {:?}: the port of {path} has no number, so its probe can never succeed; name the port in the container's ports",
                self.name
            )),
        }
        let mut http = Map::new();
        if kind == "httpGet"
            && let Some(old) = action.as_object_mut()
        {
            http = std::mem::take(old);
            if http.get("scheme").and_then(Value::as_str) == Some("HTTPS") {
                http.insert("scheme".to_owned(), "HTTP".into());
            }
        }
        http.insert("path".to_owned(), path.into());
        http.insert("port".to_owned(), self.agent_port.into());
        object.insert("httpGet".to_owned(), Value::Object(http));
    }

    /// The number of a handler's port; a text is a name, looked up in the container's ports.
    fn port(&self, action: &Value) -> Option<Value> {
        match action.get("port")? {
            Value::String(name) => self.ports.iter().find(|(n, _)| n == name).map(|(_, number)| number.clone()),
            number => Some(number.clone()),
        }
    }
}

/// What Go leaves out when it writes a handler. A gRPC service is a pointer, so an empty one is there.
fn is_left_out(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() && key != "service",
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is recorded for a probe of a container with the port `http` (8080) and the port `status` (15020).
    fn recorded(probe: Value) -> Option<Value> {
        let mut container = json!({
            "name": "app", "livenessProbe": probe,
            "ports": [{"name": "http", "containerPort": 8080}, {"name": "status", "containerPort": 15020}],
        });
        let mut recorded = Map::new();
        Container::new(&container, 15020, 15021).rewrite(&mut container, &mut recorded, &mut Vec::new());
        assert_eq!(container["livenessProbe"]["httpGet"]["port"], 15021);
        recorded.remove("/app-health/app/livez")
    }

    #[test]
    fn what_is_recorded_is_what_istio_records() {
        for (probe, expected) in [
            (
                json!({"httpGet": {"port": "http", "path": "", "host": ""}, "timeoutSeconds": 0}),
                Some(json!({"httpGet": {"port": 8080}})),
            ),
            (json!({"httpGet": {"port": "8080"}}), None),
            (json!({"tcpSocket": {"port": 15020}}), None),
            (json!({"tcpSocket": {"port": "status"}}), Some(json!({"tcpSocket": {"port": 15020}}))),
            (json!({"grpc": {"port": 15020, "service": ""}}), Some(json!({"grpc": {"port": 15020, "service": ""}}))),
            (json!({"httpGet": {"port": 15021, "path": "/app-health/app/livez"}}), None),
            (
                json!({"httpGet": {"port": 15021, "path": "/own"}}),
                Some(json!({"httpGet": {"port": 15021, "path": "/own"}})),
            ),
        ] {
            assert_eq!(recorded(probe.clone()), expected, "{probe}");
        }
    }
}
