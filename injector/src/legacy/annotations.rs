//! The annotations that Istio 1.0 to 1.8 check before they inject.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::Generation;

type Check = fn(&str, Generation) -> Result<(), String>;

/// Annotation and check; the check's message begins with the short name that Istio's own message has.
const CHECKED: [(&str, Check); 13] = [
    ("sidecar.istio.io/interceptionMode", interception_mode),
    ("status.sidecar.istio.io/port", |v, _| number::<u16>("port", v)),
    ("readiness.status.sidecar.istio.io/initialDelaySeconds", |v, _| number::<u32>("initialDelaySeconds", v)),
    ("readiness.status.sidecar.istio.io/periodSeconds", |v, _| number::<u32>("periodSeconds", v)),
    ("readiness.status.sidecar.istio.io/failureThreshold", |v, _| number::<u32>("failureThreshold", v)),
    ("readiness.status.sidecar.istio.io/applicationPorts", |v, _| all_or_ports("readinessApplicationPorts", v)),
    ("traffic.sidecar.istio.io/includeOutboundIPRanges", |v, _| all_or_ranges("includeIPRanges", v)),
    ("traffic.sidecar.istio.io/excludeOutboundIPRanges", |v, _| ranges("excludeIPRanges", v)),
    ("traffic.sidecar.istio.io/includeInboundPorts", |v, _| all_or_ports("includeInboundPorts", v)),
    ("traffic.sidecar.istio.io/excludeInboundPorts", |v, _| ports("excludeInboundPorts", v)),
    ("traffic.sidecar.istio.io/excludeOutboundPorts", |v, generation| match generation {
        Generation::V1_0 | Generation::V1_1 => Ok(()),
        Generation::V1_2 => ports("excludeOutboundPorts", v),
    }),
    ("sidecar.istio.io/rewriteAppHTTPProbers", |v, generation| match generation {
        Generation::V1_0 => Ok(()),
        Generation::V1_1 | Generation::V1_2 => go_bool(v).map(drop).ok_or_else(|| format!("{v:?} is not a boolean")),
    }),
    ("sidecar.istio.io/proxyCPU", |_, _| Ok(())),
];

/// Checks all annotations; the message names each that is wrong, with its value.
pub(crate) fn check(annotations: Option<&Map<String, Value>>, generation: Generation) -> Result<(), String> {
    let Some(annotations) = annotations else { return Ok(()) };
    let wrong: Vec<String> = CHECKED
        .iter()
        .filter_map(|(key, check)| {
            let value = annotations.get(*key)?.as_str()?;
            let problem = check(value, generation).err()?;
            Some(format!("annotation {key} has the invalid value \"{value}\": {problem}"))
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn interception_mode(mode: &str, generation: Generation) -> Result<(), String> {
    match (mode, generation) {
        ("REDIRECT" | "TPROXY", _) | ("NONE", Generation::V1_1 | Generation::V1_2) => Ok(()),
        (_, Generation::V1_0) => Err("interceptionMode has to be REDIRECT or TPROXY".to_owned()),
        _ => Err("interceptionMode has to be REDIRECT, TPROXY or NONE".to_owned()),
    }
}

fn number<T: std::str::FromStr>(what: &str, text: &str) -> Result<(), String> {
    // Go's ParseUint takes no sign.
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits && text.parse::<T>().is_ok() {
        return Ok(());
    }
    Err(format!("{what} has to be a whole number of at most {} bits", 8 * size_of::<T>()))
}

fn all_or_ports(what: &str, text: &str) -> Result<(), String> {
    if text == "*" { Ok(()) } else { ports(what, text) }
}

/// Comma-separated ports, blanks around them allowed; nothing at all is an empty list.
fn ports(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    for port in text.split(',').map(str::trim) {
        number::<u16>(what, port).map_err(|_| format!("{what} has to be a list of ports, {port:?} is none"))?;
    }
    Ok(())
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
        Some(range) => Err(format!("{what} has to be a list of IP ranges such as 10.0.0.0/8, {range:?} is none")),
    }
}

/// An address and a prefix length; bits of the host may be set.
fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    number::<u8>("", bits).is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
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
    use super::*;

    fn checked(key: &str, value: &str, generation: Generation) -> Result<(), String> {
        check(Some(&Map::from_iter([(key.to_owned(), Value::from(value))])), generation)
    }

    #[test]
    fn values_are_judged_as_istio_judges_them() {
        for (key, good, bad) in [
            ("status.sidecar.istio.io/port", vec!["0", "15020", "65535"], vec!["", "-1", "65536", "+1", "x", " 1"]),
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
