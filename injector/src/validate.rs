//! The annotations that Istio validates before it injects; all that are wrong are named at once, in its words.

use apimachinery::go::quote;
use apimachinery::value::{Map, Value};

use crate::data::{PROXY_CONFIG, annotated_config};
use crate::golang;
use crate::mesh;
use crate::pod::parse_bool;

type Check = fn(&str) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    ("istio.io/reroute-virtual-interfaces", interfaces),
    ("prometheus.istio.io/merge-metrics", boolean),
    (PROXY_CONFIG, config),
    ("readiness.status.sidecar.istio.io/failureThreshold", unsigned),
    ("readiness.status.sidecar.istio.io/initialDelaySeconds", unsigned),
    ("readiness.status.sidecar.istio.io/periodSeconds", unsigned),
    ("sidecar.istio.io/interceptionMode", interception),
    ("sidecar.istio.io/proxyCPU", quantity),
    ("sidecar.istio.io/proxyCPULimit", quantity),
    ("sidecar.istio.io/proxyMemory", quantity),
    ("sidecar.istio.io/proxyMemoryLimit", quantity),
    ("status.sidecar.istio.io/port", port),
    ("traffic.sidecar.istio.io/excludeInboundPorts", |v| ports("excludeInboundPorts", v)),
    ("traffic.sidecar.istio.io/excludeInterfaces", interfaces),
    ("traffic.sidecar.istio.io/excludeOutboundIPRanges", excluded_ranges),
    ("traffic.sidecar.istio.io/excludeOutboundPorts", |v| ports("excludeOutboundPorts", v)),
    ("traffic.sidecar.istio.io/includeInboundPorts", |v| ports_or_star("includeInboundPorts", v)),
    ("traffic.sidecar.istio.io/includeOutboundIPRanges", included_ranges),
    ("traffic.sidecar.istio.io/kubevirtInterfaces", interfaces),
];

/// Checks a pod's annotations; the error names every invalid one with its value.
pub(crate) fn annotations(annotations: &Map) -> Result<(), String> {
    if annotations.is_empty() {
        return Ok(());
    }
    let mut wrong = Vec::new();
    for (name, check) in CHECKS {
        if let Some(value) = annotations.get(name).and_then(Value::as_str)
            && let Err(why) = check(value)
        {
            wrong.push(format!("invalid value '{value}' for annotation '{name}': {why}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(several(&wrong)) }
}

/// Errors as Istio lists them.
pub(crate) fn several(errors: &[String]) -> String {
    let head = match errors.len() {
        1 => "1 error occurred:".to_owned(),
        n => format!("{n} errors occurred:"),
    };
    let lines: String = errors.iter().map(|e| format!("\n\t* {e}")).collect();
    format!("{head}{lines}\n\n")
}

fn refused(why: Option<String>) -> Result<(), String> {
    why.map_or(Ok(()), Err)
}

fn boolean(value: &str) -> Result<(), String> {
    let wrong = || format!("strconv.ParseBool: parsing {}: invalid syntax", quote(value));
    parse_bool(value).map(drop).ok_or_else(wrong)
}

fn unsigned(value: &str) -> Result<(), String> {
    refused(golang::unsigned(value, 32))
}

/// One port of a list; blanks around it are fine.
fn one_port(value: &str) -> Result<(), String> {
    let why = golang::unsigned(value.trim(), 16);
    refused(why.map(|why| format!("failed parsing port '{value}': {why}")))
}

/// The word is that of another annotation in Istio too.
fn port(value: &str) -> Result<(), String> {
    one_port(value).map_err(|why| format!("excludeInboundPorts invalid: {why}"))
}

fn ports(what: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() {
        return Ok(());
    }
    value.trim().split(',').try_for_each(|item| {
        one_port(item).map_err(|why| format!("{what} invalid: failed parsing port '{item}': {why}"))
    })
}

fn ports_or_star(what: &str, value: &str) -> Result<(), String> {
    if value == "*" { Ok(()) } else { ports(what, value) }
}

fn interception(value: &str) -> Result<(), String> {
    if matches!(value, "REDIRECT" | "TPROXY" | "NONE") {
        return Ok(());
    }
    Err(format!("interceptionMode invalid, use REDIRECT,TPROXY,NONE: {value}"))
}

/// Blanks are part of a range, and so make it invalid.
fn ranges(what: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    value.split(',').try_for_each(|item| {
        let why = golang::address::prefix(item);
        refused(why.map(|why| format!("{what} invalid: failed parsing cidr '{item}': {why}")))
    })
}

fn excluded_ranges(value: &str) -> Result<(), String> {
    ranges("excludeIPRanges", value)
}

fn included_ranges(value: &str) -> Result<(), String> {
    if value == "*" { Ok(()) } else { ranges("includeIPRanges", value) }
}

/// Linux's rules for interface names.
fn interfaces(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    value.split(',').try_for_each(|item| {
        let name = item.trim();
        if name.is_empty() {
            return Err("interface name is empty".to_owned());
        }
        if name.len() > 15 {
            return Err(format!("interface name {} too long (max 15 chars)", quote(name)));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ':' | '@');
        if !name.chars().all(allowed) || matches!(name, "." | "..") {
            return Err(format!("interface name {} contains invalid characters", quote(name)));
        }
        Ok(())
    })
}

fn quantity(value: &str) -> Result<(), String> {
    refused(golang::quantity(value).map(str::to_owned))
}

fn config(value: &str) -> Result<(), String> {
    let config = annotated_config(value).map_err(|e| format!("failed to convert to apply proxy config: {e}"))?;
    match mesh::validate::problems(&config).as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        problems => Err(several(problems)),
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::json;

    use super::*;

    fn said(annotation: &str, value: &str) -> String {
        annotations(json!({ annotation: value }).as_object().unwrap()).err().unwrap_or_default()
    }

    #[test]
    fn invalid_values_are_refused_in_istios_words() {
        for (annotation, value, says) in [
            (
                "traffic.sidecar.istio.io/includeInboundPorts",
                "80, x",
                "includeInboundPorts invalid: failed parsing port ' x': failed parsing port ' x': strconv.ParseUint: parsing \"x\": invalid syntax",
            ),
            (
                "status.sidecar.istio.io/port",
                "65536",
                "excludeInboundPorts invalid: failed parsing port '65536': strconv.ParseUint: parsing \"65536\": value out of range",
            ),
            (
                "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                "10.0.0.0/8, 11.0.0.0/8",
                "excludeIPRanges invalid: failed parsing cidr ' 11.0.0.0/8': netip.ParsePrefix(\" 11.0.0.0/8\"): ParseAddr(\" 11.0.0.0\"): unexpected character (at \" 11.0.0.0\")",
            ),
            ("sidecar.istio.io/proxyCPU", "1kk", "unable to parse quantity's suffix"),
            (
                "proxy.istio.io/config",
                "discoveryAddress: istiod",
                "invalid discovery address: unable to split \"istiod\": address istiod: missing port in address",
            ),
            (
                "proxy.istio.io/config",
                "a: [",
                "failed to convert to apply proxy config: yaml: line 1: did not find expected node content",
            ),
        ] {
            let all =
                format!("1 error occurred:\n\t* invalid value '{value}' for annotation '{annotation}': {says}\n\n");
            assert_eq!(said(annotation, value), all);
        }
        for (annotation, value) in [
            ("traffic.sidecar.istio.io/includeInboundPorts", " "),
            ("traffic.sidecar.istio.io/includeOutboundIPRanges", "10.1.2.3/8,fd00::/8"),
            ("proxy.istio.io/config", "concurrency: -1\nnonsense: 1"),
        ] {
            assert_eq!(said(annotation, value), "");
        }
    }
}
