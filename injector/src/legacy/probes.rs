//! HTTP probes through the sidecar (Istio 1.1 to 1.8): kubelet asks the sidecar's status port, the sidecar asks the
//! application.

use apimachinery::value::{Map, Value, json};

/// What rewriting one pod's probes comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rewrite {
    /// The text of `ISTIO_KUBE_APP_PROBERS`: path on the status port to the probe's own `httpGet`.
    pub(crate) probers: Option<String>,
    /// Index of the container, name of the probe, and its new `httpGet`.
    pub(crate) replaced: Vec<(usize, &'static str, Value)>,
}

/// Works out the rewriting for these containers; the container `istio-proxy` is left alone, and so is a probe whose
/// named port does not exist, because the sidecar would not know where to ask.
pub(crate) fn rewrite(containers: &[Value], status_port: u16) -> Rewrite {
    let mut probers = Map::new();
    let mut replaced = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let name = container["name"].as_str().unwrap_or_default();
        if name == super::PROXY {
            continue;
        }
        for (probe, word) in [("readinessProbe", "readyz"), ("livenessProbe", "livez")] {
            let Some(get) = container[probe]["httpGet"].as_object() else { continue };
            let Some(port) = get.get("port").and_then(|port| resolve(port, container)) else { continue };
            let path = format!("/app-health/{name}/{word}");
            let mut asked = get.clone();
            asked.insert("port".to_owned(), port);
            asked.retain(|_, v| !(v.is_null() || v.as_str() == Some("")));
            let mut new = get.clone();
            new.insert("path".to_owned(), json!(path));
            new.insert("port".to_owned(), json!(status_port));
            if new.get("scheme").and_then(Value::as_str) == Some("HTTPS") {
                new.insert("scheme".to_owned(), json!("HTTP"));
            }
            probers.insert(path, Value::Object(asked));
            replaced.push((index, probe, Value::Object(new)));
        }
    }
    let probers = (!probers.is_empty()).then(|| Value::Object(probers).to_string());
    Rewrite { probers, replaced }
}

/// A port number, or the number behind a port's name.
fn resolve(port: &Value, container: &Value) -> Option<Value> {
    let Some(name) = port.as_str() else { return Some(port.clone()) };
    if let Ok(number) = name.parse::<u16>() {
        return Some(json!(number));
    }
    let ports = container["ports"].as_array()?;
    ports.iter().find(|p| p["name"] == name).map(|p| p["containerPort"].clone())
}

/// The value of `--statusPort` among the sidecar's arguments, as `--statusPort N` or `--statusPort=N`.
pub(crate) fn status_port(proxy: &Value) -> Option<u16> {
    let args: Vec<&str> = proxy["args"].as_array()?.iter().filter_map(Value::as_str).collect();
    let after = args.iter().position(|a| *a == "--statusPort").and_then(|at| args.get(at + 1)).copied();
    let joined = args.iter().find_map(|a| a.strip_prefix("--statusPort="));
    after.or(joined)?.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_probes_are_recorded_and_replaced_others_stay() {
        let containers = [
            json!({"name": "istio-proxy", "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15020}}}),
            json!({
                "name": "app", "ports": [{"name": "http", "containerPort": 80}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 3333, "scheme": "HTTPS"}},
                "livenessProbe": {"httpGet": {"path": "/live", "port": "http", "httpHeaders": [{"name": "a", "value": "b"}]}},
            }),
            json!({"name": "other", "livenessProbe": {"exec": {"command": ["true"]}}, "readinessProbe": {"httpGet": {"port": "nope"}}}),
        ];
        let rewrite = rewrite(&containers, 15020);
        assert_eq!(
            rewrite.probers.unwrap(),
            r#"{"/app-health/app/livez":{"httpHeaders":[{"name":"a","value":"b"}],"path":"/live","port":80},"/app-health/app/readyz":{"path":"/ready","port":3333,"scheme":"HTTPS"}}"#
        );
        assert_eq!(rewrite.replaced.len(), 2);
        let (index, probe, new) = &rewrite.replaced[0];
        assert_eq!((*index, *probe), (1, "readinessProbe"));
        assert_eq!(*new, json!({"path": "/app-health/app/readyz", "port": 15020, "scheme": "HTTP"}));
        assert_eq!(rewrite.replaced[1].2["httpHeaders"][0]["name"], "a");
    }

    #[test]
    fn the_status_port_is_read_from_the_arguments() {
        for (args, port) in [
            (json!(["--statusPort", "15020"]), Some(15020)),
            (json!(["proxy", "--statusPort=15021"]), Some(15021)),
            (json!(["--statusPort"]), None),
            (json!(["--statusPort", "0"]), None),
            (json!(null), None),
        ] {
            assert_eq!(status_port(&json!({"args": args})), port);
        }
    }
}
