//! Merging the application's Prometheus metrics with the proxy's.

use apimachinery::value::{Map, Value};

use super::status_port;
use crate::engine::Error;
use crate::pod::{self, parse_bool};

/// Ports of the proxy and the agent, which cannot be the application's.
const RESERVED: [(i64, &str); 9] = [
    (15000, "Envoy admin"),
    (15001, "outbound traffic capture"),
    (15004, "pilot debug"),
    (15006, "inbound traffic capture"),
    (15008, "HBONE tunnel"),
    (15020, "pilot-agent status / merged Prometheus"),
    (15021, "Envoy health"),
    (15053, "DNS proxy"),
    (15090, "Envoy Prometheus (already merged)"),
];

/// Annotations whose meaning goes to the agent, by the names that Prometheus sees.
const MERGED: [&str; 4] =
    ["prometheus_io_scrape", "prometheus_io_path", "prometheus_io_port", "prometheus_istio_io_scrape_targets"];

/// What the application said about its metrics.
#[derive(Debug, Default, PartialEq)]
struct Scrape {
    scrape: String,
    path: String,
    port: String,
    targets: Vec<(String, String)>,
}

/// Points Prometheus at the agent, and tells the agent where the application's metrics are.
pub(crate) fn merge(target: &mut Value, mesh: &Value, warnings: &mut Vec<String>) -> Result<(), Error> {
    let annotations = pod::strings(target, "annotations");
    let scrape = read(annotations, warnings);
    if parse_bool(&scrape.scrape) == Some(false) || !enabled(annotations, mesh) {
        return Ok(());
    }
    let agent = status_port(mesh).to_string();
    // The agent's port already: injected before, or the user's own wish.
    if annotated_port(annotations) == Some(agent.as_str()) {
        return Ok(());
    }
    for port in std::iter::once(&scrape.port).filter(|p| !p.is_empty()).chain(scrape.targets.iter().map(|(p, _)| p)) {
        check(port, &agent).map_err(|e| {
            Error::Refused(format!("failed to process pod: invalid prometheus scrape configuration: {e}"))
        })?;
    }
    if scrape != Scrape::default()
        && let Some(proxy) = pod::proxy_mut(target)
    {
        pod::set_env(proxy, "ISTIO_PROMETHEUS_ANNOTATIONS", scrape.to_json());
    }
    if let Some(annotations) = pod::strings_mut(target, "annotations") {
        annotations.retain(|k, _| !MERGED.contains(&&*label(k)));
        for (key, value) in [("port", agent.as_str()), ("path", "/stats/prometheus"), ("scrape", "true")] {
            annotations.insert(format!("prometheus.io/{key}"), value.into());
        }
    }
    Ok(())
}

/// The port that the pod itself annotates, under any name that Prometheus takes for it.
fn annotated_port(annotations: &Map) -> Option<&str> {
    let own = annotations.iter().find(|(key, _)| label(key) == "prometheus_io_port");
    own.and_then(|(_, value)| value.as_str())
}

fn enabled(annotations: &Map, mesh: &Value) -> bool {
    let asked = pod::text(annotations, "prometheus.istio.io/merge-metrics").and_then(parse_bool);
    asked.unwrap_or_else(|| mesh.get("enablePrometheusMerge").and_then(Value::as_bool).unwrap_or(false))
}

/// The name that Prometheus sees: everything but letters and digits is an underscore.
fn label(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn read(annotations: &Map, warnings: &mut Vec<String>) -> Scrape {
    let mut out = Scrape::default();
    for (key, value) in annotations.iter().filter(|(k, _)| k.starts_with("prometheus")) {
        let value = value.as_str().unwrap_or_default();
        match &*label(key) {
            "prometheus_io_scrape" => value.clone_into(&mut out.scrape),
            "prometheus_io_path" => value.clone_into(&mut out.path),
            "prometheus_io_port" => value.clone_into(&mut out.port),
            _ => {}
        }
    }
    let key = "prometheus.istio.io/scrape-targets";
    if let Some(text) = pod::text(annotations, key).filter(|t| !t.trim().is_empty()) {
        match targets(text) {
            Some(targets) => out.targets = targets,
            None => warnings.push(format!("annotation {key}: {text:?} is not a list of port:path and is ignored")),
        }
    }
    if let (true, Some((port, path))) = (out.port.is_empty(), out.targets.first()) {
        out.port.clone_from(port);
        if out.path.is_empty() {
            out.path.clone_from(path);
        }
    }
    out
}

/// `8080:/metrics, 9100`: ports with a path, `/metrics` without one. Whether they are ports is looked at later.
fn targets(text: &str) -> Option<Vec<(String, String)>> {
    let one = |item: &str| {
        let (port, path) = item.split_once(':').unwrap_or((item, ""));
        let port = port.trim();
        let path = if path.trim().is_empty() { "/metrics" } else { path.trim() };
        (!port.is_empty()).then(|| (port.to_owned(), path.to_owned()))
    };
    text.split(',').map(str::trim).filter(|i| !i.is_empty()).map(one).collect()
}

fn check(port: &str, agent: &str) -> Result<(), String> {
    let number = port.parse::<i64>().ok().filter(|n| (1..=65535).contains(n));
    let Some(number) = number else {
        return Err(format!("invalid port {port:?}: it has to be a number from 1 to 65535"));
    };
    if port == agent {
        return Err(format!("port {number} is reserved for Istio (the agent) and cannot be scraped"));
    }
    match RESERVED.iter().find(|(reserved, _)| *reserved == number) {
        Some((_, what)) => Err(format!("port {number} is reserved for Istio ({what}) and cannot be scraped")),
        None => Ok(()),
    }
}

impl Scrape {
    fn to_json(&self) -> String {
        let text = |s: &str| Value::from(s).to_string();
        let targets: Vec<String> = self
            .targets
            .iter()
            .map(|(port, path)| format!(r#"{{"port":{},"path":{}}}"#, text(port), text(path)))
            .collect();
        let targets = if targets.is_empty() { String::new() } else { format!(r#","targets":[{}]"#, targets.join(",")) };
        let (scrape, path, port) = (text(&self.scrape), text(&self.path), text(&self.port));
        format!(r#"{{"scrape":{scrape},"path":{path},"port":{port}{targets}}}"#)
    }
}

/// Tells Prometheus where the merged metrics are served over mutual TLS, if the proxy was told to.
pub(crate) fn secure_port(target: &mut Value) {
    let key = "prometheus.istio.io/secure-port";
    if pod::strings(target, "annotations").contains_key(key) {
        return;
    }
    let port = pod::proxy_mut(target).and_then(|proxy| {
        let env = proxy.get("env")?.as_array()?;
        let entry = env.iter().find(|e| pod::name(e) == "ENVOY_SECURE_MERGED_METRICS_PORT")?;
        entry.get("value")?.as_str().map(str::to_owned)
    });
    let Some(port) = port.filter(|p| !p.is_empty() && p != "0") else { return };
    if let Some(annotations) = pod::strings_mut(target, "annotations") {
        annotations.insert(key.to_owned(), port.into());
    }
}
