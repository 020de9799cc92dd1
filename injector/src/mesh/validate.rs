//! What Istio refuses in a ProxyConfig that it can read.

use std::net::IpAddr;

use apimachinery::go::quote;
use apimachinery::value::Value;

use super::nanoseconds;

const MILLISECOND: i128 = 1_000_000;

/// Everything that is wrong with the fields that a ProxyConfig sets. What it leaves out has a valid default.
pub(crate) fn problems(config: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut note = |what: &str, why: Result<(), String>| wrong.extend(why.err().map(|why| format!("{what}{why}")));
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str);
    for (field, what) in [
        ("/configPath", "config path must be set"),
        ("/binaryPath", "binary path must be set"),
        ("/serviceCluster", "service cluster must be specified"),
        ("/discoveryAddress", "discovery address must be set to the proxy discovery service"),
    ] {
        note("", if text(field) == Some("") { Err(what.to_owned()) } else { Ok(()) });
    }
    if let Some(duration) = text("/drainDuration") {
        note("", drain(nanoseconds(duration)));
    }
    if let Some(address) = text("/discoveryAddress").filter(|a| !a.is_empty()) {
        note("invalid discovery address: ", address_ok(address));
    }
    for tracer in ["lightstep", "zipkin", "datadog"] {
        let Some(settings) = config.pointer(&format!("/tracing/{tracer}")) else { continue };
        let address = settings.get("address").and_then(Value::as_str).unwrap_or_default();
        note(&format!("invalid {tracer} config: "), address_ok(&address.replacen("$(HOST_IP)", "127.0.0.1", 1)));
    }
    for (pointer, what) in [
        ("/statsdUdpAddress", "statsd udp"),
        ("/envoyMetricsServiceAddress", "envoy metrics service"),
        ("/envoyMetricsService/address", "envoy metrics service"),
        ("/envoyAccessLogService/address", "envoy access log service"),
    ] {
        if let Some(address) = text(pointer).filter(|a| !a.is_empty()) {
            note(&format!("invalid {what} address {}: ", quote(address)), address_ok(address));
        }
    }
    for (field, what) in [("proxyAdminPort", "invalid proxy admin port: "), ("statusPort", "invalid status port: ")] {
        if let Some(port) = config.get(field).and_then(Value::as_f64) {
            note(what, port_ok(port));
        }
    }
    for (field, names) in
        [("controlPlaneAuthPolicy", &["NONE", "MUTUAL_TLS"][..]), ("interceptionMode", &["REDIRECT", "TPROXY", "NONE"])]
    {
        if let Some(value) = text(&format!("/{field}")).filter(|v| !names.contains(v)) {
            note("", Err(format!("unknown value {} for {field}", quote(value))));
        }
    }
    let of = |field: &str| config.get(field).filter(|v| !v.is_null());
    if let Some(value) = of("holdApplicationUntilProxyStarts").filter(|v| !v.is_boolean()) {
        note("", Err(format!("holdApplicationUntilProxyStarts: {value} is not a boolean")));
    }
    let number = |v: &Value| v.as_str().map_or(v.is_i64(), |text| text.parse::<i32>().is_ok());
    if let Some(value) = of("concurrency").filter(|v| !number(v)) {
        note("", Err(format!("concurrency: {value} is not a whole number")));
    }
    wrong
}

fn drain(nanoseconds: i128) -> Result<(), String> {
    let wrong = |why: &str| Err(why.to_owned());
    if nanoseconds < MILLISECOND {
        return wrong("invalid drain duration: duration must be greater than 1ms");
    }
    if nanoseconds % MILLISECOND != 0 {
        return wrong("invalid drain duration: only durations to ms precision are supported");
    }
    if nanoseconds % (1000 * MILLISECOND) != 0 {
        return wrong("drain time only supports durations to seconds precision");
    }
    Ok(())
}

fn port_ok(port: f64) -> Result<(), String> {
    let fine = (1.0..=65535.0).contains(&port);
    if fine { Ok(()) } else { Err(format!("port number {port} must be in the range 1..65535")) }
}

/// `host:port`, `[v6]:port`.
fn address_ok(address: &str) -> Result<(), String> {
    let split = |why: &str| Err(format!("unable to split {}: address {address}: {why}", quote(address)));
    let (host, port) = match address.rsplit_once(':') {
        None => return split("missing port in address"),
        Some((host, port)) => match host.strip_prefix('[') {
            Some(host) => match host.strip_suffix(']') {
                Some(host) => (host, port),
                None => return split("missing port in address"),
            },
            None if host.contains(':') => return split("too many colons in address"),
            None => (host, port),
        },
    };
    let number: i64 = port
        .parse()
        .map_err(|_| format!("port ({port}) is not a number: strconv.Atoi: parsing {}: invalid syntax", quote(port)))?;
    if !(1..=65535).contains(&number) {
        return Err(format!("port number {number} must be in the range 1..65535"));
    }
    if is_host(host) || host.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("{} is not a valid hostname or an IP address", quote(host)))
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let trimmed = name.strip_suffix('.').unwrap_or(name);
    let last = trimmed.rsplit('.').next().unwrap_or_default();
    name.len() <= 255 && trimmed.split('.').all(label) && last.parse::<i64>().is_err()
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        for (config, says) in [
            (json!({}), &[][..]),
            (json!({"concurrency": -1, "discoveryAddress": "istiod.istio-system.svc:15012"}), &[]),
            (
                json!({"discoveryAddress": "[fd00::1]:15012", "tracing": {"zipkin": {"address": "$(HOST_IP):9411"}}}),
                &[],
            ),
            (json!({"discoveryAddress": ""}), &["discovery address must be set to the proxy discovery service"]),
            (
                json!({"discoveryAddress": "a:b"}),
                &["invalid discovery address: port (b) is not a number: strconv.Atoi: parsing \"b\": invalid syntax"],
            ),
            (
                json!({"discoveryAddress": "a_b:1"}),
                &["invalid discovery address: \"a_b\" is not a valid hostname or an IP address"],
            ),
            (
                json!({"drainDuration": "0s", "statusPort": 0}),
                &[
                    "invalid drain duration: duration must be greater than 1ms",
                    "invalid status port: port number 0 must be in the range 1..65535",
                ],
            ),
            (json!({"drainDuration": "1.5s"}), &["drain time only supports durations to seconds precision"]),
            (
                json!({"tracing": {"zipkin": {}}}),
                &["invalid zipkin config: unable to split \"\": address : missing port in address"],
            ),
            (
                json!({"holdApplicationUntilProxyStarts": "yes", "concurrency": "2"}),
                &["holdApplicationUntilProxyStarts: \"yes\" is not a boolean"],
            ),
            (json!({"interceptionMode": "BOGUS"}), &["unknown value \"BOGUS\" for interceptionMode"]),
        ] {
            assert_eq!(problems(&config), says, "{config}");
        }
    }
}
