//! The baseline standard, in the order of its checks' ids.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::super::golang::quote;
use super::{Violation, containers, join, named, offenders};

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
];

/// Adds what the baseline forbids; `restricted` leaves out what the restricted standard says more strictly.
pub(crate) fn check(object: &Value, restricted: bool, found: &mut Vec<Violation>) {
    let spec = &object["spec"];
    if !restricted {
        capabilities(object, found);
    }
    let namespaces: Vec<_> =
        ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| spec[*key] == true).collect();
    if !namespaces.is_empty() {
        let detail = namespaces.iter().map(|key| format!("{key}=true")).collect::<Vec<_>>().join(", ");
        found.push(Violation { reason: "host namespaces", detail });
    }
    let volumes: Vec<_> = spec["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|volume| volume.get("hostPath").is_some())
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    if !volumes.is_empty() {
        let plural = if volumes.len() == 1 { "" } else { "s" };
        found.push(Violation { reason: "hostPath volumes", detail: format!("volume{plural} {}", join(&volumes)) });
    }
    host_ports(object, found);
    let privileged = offenders(object, |container| container["securityContext"]["privileged"] == true);
    if !privileged.is_empty() {
        let detail = format!("{} must not set securityContext.privileged=true", named(&privileged));
        found.push(Violation { reason: "privileged", detail });
    }
    let masked =
        |container: &Value| container["securityContext"]["procMount"].as_str().is_some_and(|mount| mount != "Default");
    let unmasked = offenders(object, masked);
    if !unmasked.is_empty() {
        let detail = format!("{} must not set securityContext.procMount to \"Unmasked\"", named(&unmasked));
        found.push(Violation { reason: "procMount", detail });
    }
    if !restricted {
        seccomp(object, found);
    }
    let sysctls: Vec<_> = spec["securityContext"]["sysctls"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|sysctl| sysctl["name"].as_str())
        .filter(|name| !SYSCTLS.contains(name))
        .collect();
    if !sysctls.is_empty() {
        found.push(Violation { reason: "forbidden sysctls", detail: sysctls.join(", ") });
    }
    let of_host = |holder: &Value| holder["securityContext"]["windowsOptions"]["hostProcess"] == true;
    let processes = offenders(object, of_host);
    let mut setters = Vec::new();
    if of_host(spec) {
        setters.push("pod".to_owned());
    }
    if !processes.is_empty() {
        setters.push(named(&processes));
    }
    if !setters.is_empty() {
        let detail = format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.join(" and "));
        found.push(Violation { reason: "hostProcess", detail });
    }
}

fn capabilities(object: &Value, found: &mut Vec<Violation>) {
    let mut extra = BTreeSet::new();
    let mut names = Vec::new();
    for (name, container) in containers(object) {
        let added = container["securityContext"]["capabilities"]["add"].as_array().into_iter().flatten();
        let before = extra.len();
        let mut any = false;
        for capability in added.filter_map(Value::as_str).filter(|added| !CAPABILITIES.contains(added)) {
            extra.insert(capability);
            any = true;
        }
        if any || extra.len() > before {
            names.push(name);
        }
    }
    if !names.is_empty() {
        let extra: Vec<_> = extra.into_iter().collect();
        let detail = format!("{} must not include {} in securityContext.capabilities.add", named(&names), join(&extra));
        found.push(Violation { reason: "non-default capabilities", detail });
    }
}

fn host_ports(object: &Value, found: &mut Vec<Violation>) {
    let mut ports = BTreeSet::new();
    let mut names = Vec::new();
    for (name, container) in containers(object) {
        let given = container["ports"].as_array().into_iter().flatten();
        let of_container: Vec<_> =
            given.filter_map(|port| port["hostPort"].as_u64()).filter(|port| *port != 0).collect();
        if !of_container.is_empty() {
            names.push(name);
            ports.extend(of_container.iter().map(ToString::to_string));
        }
    }
    if !names.is_empty() {
        let plural = if ports.len() == 1 { "" } else { "s" };
        let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
        let verb = if names.len() == 1 { "uses" } else { "use" };
        found.push(Violation {
            reason: "hostPort",
            detail: format!("{} {verb} hostPort{plural} {ports}", named(&names)),
        });
    }
}

fn seccomp(object: &Value, found: &mut Vec<Violation>) {
    let unconfined = |holder: &Value| {
        holder["securityContext"]["seccompProfile"]["type"].as_str().filter(|kind| *kind == "Unconfined").is_some()
    };
    let names = offenders(object, unconfined);
    let mut setters = Vec::new();
    if unconfined(&object["spec"]) {
        setters.push("pod".to_owned());
    }
    if !names.is_empty() {
        setters.push(named(&names));
    }
    if !setters.is_empty() {
        let kind = quote("Unconfined");
        let detail = format!("{} must not set securityContext.seccompProfile.type to {kind}", setters.join(" and "));
        found.push(Violation { reason: "seccompProfile", detail });
    }
}
