//! The annotations that Istio validates before it injects; all that are wrong are named at once.

use std::net::IpAddr;

use apimachinery::quantity::Quantity;
use serde_json::{Map, Value};

use crate::data::{PROXY_CONFIG, annotated_config};
use crate::pod::parse_bool;

type Check = fn(&str) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    ("istio.io/reroute-virtual-interfaces", interfaces),
    ("prometheus.istio.io/merge-metrics", boolean),
    (PROXY_CONFIG, config),
    ("readiness.status.sidecar.istio.io/applicationPorts", ports_or_star),
    ("readiness.status.sidecar.istio.io/failureThreshold", unsigned),
    ("readiness.status.sidecar.istio.io/initialDelaySeconds", unsigned),
    ("readiness.status.sidecar.istio.io/periodSeconds", unsigned),
    ("sidecar.istio.io/interceptionMode", interception),
    ("sidecar.istio.io/proxyCPU", quantity),
    ("sidecar.istio.io/proxyCPULimit", quantity),
    ("sidecar.istio.io/proxyMemory", quantity),
    ("sidecar.istio.io/proxyMemoryLimit", quantity),
    ("status.sidecar.istio.io/port", port),
    ("traffic.sidecar.istio.io/excludeInboundPorts", ports),
    ("traffic.sidecar.istio.io/excludeInterfaces", interfaces),
    ("traffic.sidecar.istio.io/excludeOutboundIPRanges", excluded_ranges),
    ("traffic.sidecar.istio.io/excludeOutboundPorts", ports),
    ("traffic.sidecar.istio.io/includeInboundPorts", ports_or_star),
    ("traffic.sidecar.istio.io/includeOutboundIPRanges", included_ranges),
    ("traffic.sidecar.istio.io/kubevirtInterfaces", interfaces),
];

/// Checks a pod's annotations; the error names every invalid one with its value.
pub(crate) fn annotations(annotations: &Map<String, Value>) -> Result<(), String> {
    if annotations.is_empty() {
        return Ok(());
    }
    let mut wrong = Vec::new();
    for (name, check) in CHECKS {
        if let Some(value) = annotations.get(*name).and_then(Value::as_str)
            && let Err(why) = check(value)
        {
            wrong.push(format!("invalid value '{value}' for annotation '{name}': {why}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn boolean(value: &str) -> Result<(), String> {
    parse_bool(value).map(drop).ok_or_else(|| "not a boolean, use true or false".to_owned())
}

fn unsigned(value: &str) -> Result<(), String> {
    digits(value)
        .and_then(|n| u32::try_from(n).ok())
        .map(drop)
        .ok_or_else(|| "not a number from 0 to 4294967295".to_owned())
}

/// Go's `ParseUint`: digits only.
fn digits(value: &str) -> Option<u64> {
    value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok())?
}

fn port(value: &str) -> Result<(), String> {
    digits(value)
        .and_then(|n| u16::try_from(n).ok())
        .map(drop)
        .ok_or_else(|| format!("{value:?} is not a port number from 0 to 65535"))
}

fn ports(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    value.split(',').try_for_each(|item| port(item.trim()))
}

fn ports_or_star(value: &str) -> Result<(), String> {
    if value == "*" { Ok(()) } else { ports(value) }
}

fn interception(value: &str) -> Result<(), String> {
    if matches!(value, "REDIRECT" | "TPROXY" | "NONE") {
        return Ok(());
    }
    Err("use REDIRECT, TPROXY or NONE".to_owned())
}

fn ranges(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    value.split(',').try_for_each(|item| {
        let item = item.trim();
        let fine = item.split_once('/').is_some_and(|(address, bits)| {
            let most = match address.parse::<IpAddr>() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            let canonical = bits == "0" || !bits.starts_with('0');
            canonical && digits(bits).is_some_and(|b| !bits.is_empty() && b <= most)
        });
        if fine { Ok(()) } else { Err(format!("{item:?} is not a CIDR range such as 10.0.0.0/8")) }
    })
}

fn excluded_ranges(value: &str) -> Result<(), String> {
    ranges(value).map_err(|e| format!("excludeIPRanges invalid: {e}"))
}

fn included_ranges(value: &str) -> Result<(), String> {
    if value == "*" { Ok(()) } else { ranges(value).map_err(|e| format!("includeIPRanges invalid: {e}")) }
}

/// Linux's rules for interface names.
fn interfaces(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    value.split(',').try_for_each(|item| {
        let name = item.trim();
        if name.is_empty() {
            return Err("an interface name is empty".to_owned());
        }
        if name.len() > 15 {
            return Err(format!("interface name {name:?} is longer than 15 characters"));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ':' | '@');
        if !name.chars().all(allowed) || matches!(name, "." | "..") {
            return Err(format!("interface name {name:?} holds characters that are not allowed"));
        }
        Ok(())
    })
}

fn quantity(value: &str) -> Result<(), String> {
    Quantity::parse(value).map(drop).ok_or_else(|| "not a quantity such as 100m or 128Mi".to_owned())
}

fn config(value: &str) -> Result<(), String> {
    annotated_config(value).map(drop)
}
