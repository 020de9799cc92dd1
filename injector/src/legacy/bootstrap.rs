//! What Istio 1.0's agent tells its Envoy at the start: the file `envoy-rev0.json`.

use std::collections::BTreeMap;

use apimachinery::value::{Map, Value, json};

use super::{Generation, shape};
use crate::funcs::go_duration;
use crate::mesh::nanoseconds;

/// Regular expressions that make tags of parts of a statistic's name.
const TAGS: [(&str, &str); 7] = [
    ("cluster_name", r"^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)"),
    ("tcp_prefix", r"^tcp\.((.*?)\.)\w+?$"),
    ("response_code", r"_rq(_(\d{3}))$"),
    ("response_code_class", r"_rq(_(\dxx))$"),
    (
        "http_conn_manager_listener_prefix",
        r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)",
    ),
    ("http_conn_manager_prefix", r"^http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("listener_address", r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
];

/// Port of Envoy's administration; the ProxyConfig's `proxyAdminPort` does not reach this file.
const ADMIN: u16 = 15000;

/// Makes the bootstrap of a proxy from its ProxyConfig (laid over 1.0's defaults), its id, the name in Pilot's certificate,
/// and the environment: `ISTIO_META_x` is metadata, `ISTIO_METAJSON_x` holds an object of metadata.
///
/// # Errors
/// A ProxyConfig, a variable or an address that cannot be read.
pub fn bootstrap(
    proxy_config: &Value,
    node_id: &str,
    pilot_san: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Value, String> {
    let mesh = shape::effective(&json!({ "defaultConfig": proxy_config }), Generation::V1_0)?;
    let config = &mesh["defaultConfig"];
    let text = |field: &str| config[field].as_str().unwrap_or_default();
    let mutual_tls = text("controlPlaneAuthPolicy") == "MUTUAL_TLS";
    // The port of the discovery address is not looked at: it depends on how Pilot is spoken to.
    let (pilot, _) = host_and_port("discoveryAddress", text("discoveryAddress"))?;
    let connect_timeout = duration(text("connectTimeout"));

    let mut clusters = vec![cluster("prometheus_stats", "STATIC", "0.250s", &address(Some("TCP"), "127.0.0.1", ADMIN))];
    let port = if mutual_tls { 15011 } else { 15010 };
    let mut xds = cluster("xds-grpc", "STRICT_DNS", &connect_timeout, &address(None, pilot, port));
    let limits = |priority: &str| {
        json!({
            "priority": priority, "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000,
        })
    };
    xds["circuit_breakers"] = json!({"thresholds": [limits("DEFAULT"), limits("HIGH")]});
    xds["upstream_connection_options"] = json!({"tcp_keepalive": {"keepalive_time": 300}});
    xds["http2_protocol_options"] = json!({});
    if mutual_tls {
        xds["tls_context"] = tls(pilot_san);
    }
    clusters.push(xds);

    let mut out = json!({
        "node": {"id": node_id, "cluster": text("serviceCluster"), "metadata": metadata(environment)?},
        "stats_config": {
            "use_all_default_tags": false,
            "stats_tags": TAGS.map(|(name, regex)| json!({"tag_name": name, "regex": regex})),
        },
        "admin": {"access_log_path": "/dev/null", "address": address(None, "127.0.0.1", ADMIN)},
        "dynamic_resources": {
            "lds_config": {"ads": {}},
            "cds_config": {"ads": {}},
            "ads_config": {
                "api_type": "GRPC",
                "refresh_delay": duration(text("discoveryRefreshDelay")),
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
        },
    });
    if let Some(zipkin) = Some(text("zipkinAddress")).filter(|address| !address.is_empty()) {
        let (host, port) = host_and_port("zipkinAddress", zipkin)?;
        clusters.push(cluster("zipkin", "STRICT_DNS", "1s", &address(None, host, port)));
        out["tracing"] = json!({"http": {"name": "envoy.zipkin", "config": {"collector_cluster": "zipkin"}}});
    }
    if let Some(statsd) = Some(text("statsdUdpAddress")).filter(|address| !address.is_empty()) {
        let (host, port) = host_and_port("statsdUdpAddress", statsd)?;
        out["stats_sinks"] = json!([{"name": "envoy.statsd", "config": {"address": address(None, host, port)}}]);
    }
    out["static_resources"] = json!({"clusters": clusters, "listeners": [statistics()]});
    Ok(out)
}

/// A duration as Go prints it.
fn duration(text: &str) -> String {
    go_duration(nanoseconds(text))
}

fn address(protocol: Option<&str>, host: &str, port: u16) -> Value {
    let mut socket = json!({"address": host, "port_value": port});
    if let Some(protocol) = protocol {
        socket["protocol"] = protocol.into();
    }
    json!({ "socket_address": socket })
}

fn cluster(name: &str, kind: &str, connect_timeout: &str, host: &Value) -> Value {
    json!({
        "name": name, "type": kind, "connect_timeout": connect_timeout, "lb_policy": "ROUND_ROBIN", "hosts": [host],
    })
}

/// Certificates as the secret `istio.<service account>` brings them.
fn tls(pilot_san: &str) -> Value {
    let file = |name: &str| json!({"filename": format!("/etc/certs/{name}")});
    json!({"common_tls_context": {
        "alpn_protocols": ["h2"],
        "tls_certificates": [{"certificate_chain": file("cert-chain.pem"), "private_key": file("key.pem")}],
        "validation_context": {"trusted_ca": file("root-cert.pem"), "verify_subject_alt_name": [pilot_san]},
    }})
}

/// The listener that Prometheus scrapes.
fn statistics() -> Value {
    let route = json!({"match": {"prefix": "/stats/prometheus"}, "route": {"cluster": "prometheus_stats"}});
    let manager = json!({
        "codec_type": "AUTO",
        "stat_prefix": "stats",
        "route_config": {"virtual_hosts": [{"name": "backend", "domains": ["*"], "routes": [route]}]},
        "http_filters": {"name": "envoy.router"},
    });
    json!({
        "address": address(Some("TCP"), "0.0.0.0", 15090),
        "filter_chains": [{"filters": [{"name": "envoy.http_connection_manager", "config": manager}]}],
    })
}

fn metadata(environment: &BTreeMap<String, String>) -> Result<Map, String> {
    let mut out = Map::new();
    for (name, value) in environment {
        if let Some(key) = name.strip_prefix("ISTIO_META_") {
            out.insert(key.to_owned(), value.as_str().into());
        } else if name.starts_with("ISTIO_METAJSON_") {
            let object: Map =
                serde_json::from_str(value).map_err(|e| format!("variable {name} is no JSON object: {e}"))?;
            out.extend(object);
        }
    }
    out.insert("istio".to_owned(), "sidecar".into());
    Ok(out)
}

fn host_and_port<'a>(field: &str, text: &'a str) -> Result<(&'a str, u16), String> {
    let wrong = || format!("{field} {text:?} is not HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { Err(wrong()) } else { Ok((host, port.parse().map_err(|_| wrong())?)) }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::List;

    use super::*;

    fn of(config: &Value, environment: &[(&str, &str)]) -> Result<Value, String> {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        bootstrap(config, "sidecar~1.2.3.4~a.b~c", "spiffe://pilot", &environment)
    }

    #[test]
    fn pilot_is_spoken_to_as_its_policy_says() {
        let port = |out: &Value| out["static_resources"]["clusters"][1]["hosts"][0]["socket_address"].clone();
        let plain = of(&json!({"discoveryAddress": "pilot:1"}), &[]).unwrap();
        assert_eq!(port(&plain), json!({"address": "pilot", "port_value": 15010}));
        let tls = of(&json!({"controlPlaneAuthPolicy": "MUTUAL_TLS"}), &[]).unwrap();
        assert_eq!(port(&tls), json!({"address": "istio-pilot", "port_value": 15011}));
        let names =
            "/static_resources/clusters/1/tls_context/common_tls_context/validation_context/verify_subject_alt_name/0";
        assert_eq!(tls.pointer(names), Some(&json!("spiffe://pilot")));
        assert_eq!(plain.pointer(names), None);
    }

    #[test]
    fn collectors_are_there_only_if_they_are_named() {
        let none = of(&json!({}), &[]).unwrap();
        assert!(none.get("tracing").is_none() && none.get("stats_sinks").is_none());
        let both = of(&json!({"zipkinAddress": "z:9411", "statsdUdpAddress": "[fd00::1]:8125"}), &[]).unwrap();
        assert_eq!(both["static_resources"]["clusters"].as_array().map(List::len), Some(3));
        assert_eq!(both["stats_sinks"][0]["config"]["address"]["socket_address"]["address"], "fd00::1");
        assert!(of(&json!({"zipkinAddress": "z"}), &[]).unwrap_err().contains("zipkinAddress"));
    }

    #[test]
    fn the_environment_is_metadata() {
        let variables = [("ISTIO_META_POD", "p"), ("ISTIO_METAJSON_LABELS", r#"{"app":"a"}"#), ("OTHER", "x")];
        let out = of(&json!({}), &variables).unwrap();
        assert_eq!(out["node"]["metadata"], json!({"POD": "p", "app": "a", "istio": "sidecar"}));
        assert!(of(&json!({}), &[("ISTIO_METAJSON_X", "[]")]).unwrap_err().contains("ISTIO_METAJSON_X"));
    }
}
