//! The annotations that Istio 1.0 to 1.8 check before they inject, and what they say about those that are wrong.

use std::net::IpAddr;

use apimachinery::value::Map;

use super::Generation;
use crate::golang;

type Check = fn(&str, Generation) -> Result<(), String>;

/// Annotation and check.
const CHECKED: [(&str, Check); 11] = [
    ("sidecar.istio.io/interceptionMode", interception_mode),
    ("status.sidecar.istio.io/port", |v, _| status_port(v)),
    ("readiness.status.sidecar.istio.io/initialDelaySeconds", |v, _| number(v)),
    ("readiness.status.sidecar.istio.io/periodSeconds", |v, _| number(v)),
    ("readiness.status.sidecar.istio.io/failureThreshold", |v, _| number(v)),
    ("readiness.status.sidecar.istio.io/applicationPorts", |v, _| all_or_ports("readinessApplicationPorts", v)),
    ("traffic.sidecar.istio.io/includeOutboundIPRanges", |v, _| all_or_ranges("includeIPRanges", v)),
    ("traffic.sidecar.istio.io/excludeOutboundIPRanges", |v, _| ranges("excludeIPRanges", v)),
    ("traffic.sidecar.istio.io/includeInboundPorts", |v, _| all_or_ports("includeInboundPorts", v)),
    ("traffic.sidecar.istio.io/excludeInboundPorts", |v, _| ports("excludeInboundPorts", v)),
    ("traffic.sidecar.istio.io/excludeOutboundPorts", |v, generation| match generation {
        Generation::V1_0 | Generation::V1_1 => Ok(()),
        Generation::V1_2 => ports("excludeOutboundPorts", v),
    }),
];

/// Checks all annotations; the message names each that is wrong, with its value, in Istio's words.
pub(crate) fn check(annotations: Option<&Map>, generation: Generation) -> Result<(), String> {
    let Some(annotations) = annotations else { return Ok(()) };
    let wrong: Vec<String> = CHECKED
        .iter()
        .filter_map(|(key, check)| {
            let value = annotations.get(key)?.as_str()?;
            let problem = check(value, generation).err()?;
            Some(format!("injection failed. Invalid value for annotation {key}: {value}. Error: {problem}"))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(several(&wrong, generation)) }
}

/// Errors as the library of the time lists them.
fn several(errors: &[String], generation: Generation) -> String {
    if generation != Generation::V1_0 {
        return crate::validate::several(errors);
    }
    let head = match errors.len() {
        1 => "1 error occurred:".to_owned(),
        n => format!("{n} errors occurred:"),
    };
    let lines: Vec<String> = errors.iter().map(|e| format!("* {e}")).collect();
    format!("{head}\n\n{}", lines.join("\n"))
}

fn refused(why: Option<String>) -> Result<(), String> {
    why.map_or(Ok(()), Err)
}

fn interception_mode(mode: &str, generation: Generation) -> Result<(), String> {
    match (mode, generation) {
        ("REDIRECT" | "TPROXY", _) | ("NONE", Generation::V1_1 | Generation::V1_2) => Ok(()),
        _ => Err(format!("interceptionMode invalid: {mode}")),
    }
}

fn number(text: &str) -> Result<(), String> {
    refused(golang::unsigned(text, 32))
}

/// Istio means to name the port here, and names what came of reading it.
fn one_port(text: &str) -> Result<(), String> {
    let why = golang::unsigned(text.trim(), 16);
    refused(why.map(|why| {
        let read = if why.ends_with("out of range") { u16::MAX } else { 0 };
        format!("failed parsing port '{read}': {why}")
    }))
}

/// The word is that of another annotation in Istio too.
fn status_port(text: &str) -> Result<(), String> {
    one_port(text).map_err(|why| format!("excludeInboundPorts invalid: {why}"))
}

fn all_or_ports(what: &str, text: &str) -> Result<(), String> {
    if text == "*" { Ok(()) } else { ports(what, text) }
}

/// Comma-separated ports, blanks around them allowed; nothing at all is an empty list.
fn ports(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    text.trim()
        .split(',')
        .try_for_each(|port| one_port(port).map_err(|why| format!("{what} invalid: failed parsing port '0': {why}")))
}

fn all_or_ranges(what: &str, text: &str) -> Result<(), String> {
    if text == "*" { Ok(()) } else { ranges(what, text) }
}

fn ranges(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    match text.split(',').find(|range| !is_cidr(range)) {
        None => Ok(()),
        Some(range) => Err(format!("{what} invalid: failed parsing cidr '{range}': invalid CIDR address: {range}")),
    }
}

/// An address and a prefix length; bits of the host may be set.
fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.bytes().all(|b| b.is_ascii_digit()) && bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

/// Go's `strconv.ParseBool`.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::value::Value;

    use super::*;

    fn checked(key: &str, value: &str, generation: Generation) -> Result<(), String> {
        check(Some(&Map::from_iter([(key.to_owned(), Value::from(value))])), generation)
    }

    #[test]
    fn values_are_judged_as_istio_judges_them() {
        for (key, good, bad) in [
            ("status.sidecar.istio.io/port", vec!["0", "15020", "65535", " 1"], vec!["", "-1", "65536", "+1", "x"]),
            ("readiness.status.sidecar.istio.io/periodSeconds", vec!["4294967295"], vec!["4294967296", "1s"]),
            ("traffic.sidecar.istio.io/includeInboundPorts", vec!["", "*", " 80, 443"], vec!["80,,1", "http", "*,80"]),
            ("traffic.sidecar.istio.io/excludeInboundPorts", vec!["", "1"], vec!["*", "65536"]),
            (
                "traffic.sidecar.istio.io/includeOutboundIPRanges",
                vec!["", "*", "10.1.2.3/8,fd00::/8"],
                vec!["10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/8, 11.0.0.0/8", "10.0.0/8"],
            ),
            ("traffic.sidecar.istio.io/excludeOutboundIPRanges", vec!["", "10.0.0.0/8"], vec!["*"]),
        ] {
            for good in good {
                assert_eq!(checked(key, good, Generation::V1_0), Ok(()), "{key}: {good}");
            }
            for bad in bad {
                let message = checked(key, bad, Generation::V1_0).unwrap_err();
                assert!(message.contains(key) && message.contains(bad), "{message}");
            }
        }
    }

    #[test]
    fn interception_may_be_switched_off_from_1_1_on() {
        let key = "sidecar.istio.io/interceptionMode";
        assert!(checked(key, "NONE", Generation::V1_0).is_err());
        assert!(checked(key, "NONE", Generation::V1_1).is_ok());
        assert!(checked(key, "none", Generation::V1_2).is_err());
    }
}
