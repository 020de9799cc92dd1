//! The checks of the baseline standard.

use apimachinery::value::Value;

use super::super::super::golang::quote;
use super::{Violation, containers, join, named, offenders, plural, setters, third_person, unique};
use crate::objects::validation::profiles::{APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD};

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
/// Sysctls that are safe, in the order in which versions allowed them.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    // 1.27
    "net.ipv4.ip_local_reserved_ports",
    // 1.29
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    // 1.32
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];
const SE_LINUX_TYPES: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn app_armor(pod: &Value) -> Option<Violation> {
    let bad = |holder: &Value| {
        let profile = &holder["securityContext"]["appArmorProfile"];
        let kind = text(&profile["type"]);
        (profile.is_object() && !matches!(kind, "RuntimeDefault" | "Localhost")).then(|| kind.to_owned())
    };
    let of_pod = bad(&pod["spec"]);
    let names = offenders(pod, |container| bad(container).is_some());
    let of_containers = containers(pod).into_iter().filter_map(|(_, container)| bad(container));
    let mut values = unique(of_pod.iter().cloned().chain(of_containers).collect());
    let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
    let annotations: Vec<String> = annotations
        .filter(|(key, _)| key.starts_with(APP_ARMOR))
        .map(|(key, value)| (key, text(value)))
        .filter(|(_, value)| !(value.is_empty() || *value == "runtime/default" || value.starts_with("localhost/")))
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    let mut who: Vec<String> = setters(of_pod.is_some(), &names).into_iter().collect();
    if !annotations.is_empty() {
        who.push(format!("annotation{}", plural(annotations.len())));
        values.extend(unique(annotations));
    }
    if who.is_empty() {
        return None;
    }
    let reason = if values.len() == 1 { "forbidden AppArmor profile" } else { "forbidden AppArmor profiles" };
    let detail = format!("{} must not set AppArmor profile type to {}", who.join(" and "), join(&values));
    Some(Violation { reason, detail })
}

pub(super) fn capabilities(pod: &Value) -> Option<Violation> {
    let extra = |container: &Value| -> Vec<String> {
        let added = container["securityContext"]["capabilities"]["add"].as_array().into_iter().flatten();
        added.map(text).filter(|added| !CAPABILITIES.contains(added)).map(str::to_owned).collect()
    };
    let names = offenders(pod, |container| !extra(container).is_empty());
    if names.is_empty() {
        return None;
    }
    let all = unique(containers(pod).into_iter().flat_map(|(_, container)| extra(container)).collect());
    let detail = format!("{} must not include {} in securityContext.capabilities.add", named(&names), join(&all));
    Some(Violation { reason: "non-default capabilities", detail })
}

pub(super) fn host_namespaces(pod: &Value) -> Option<Violation> {
    let keys = ["hostNetwork", "hostPID", "hostIPC"];
    let set: Vec<_> = keys.iter().filter(|key| pod["spec"][**key] == true).map(|key| format!("{key}=true")).collect();
    (!set.is_empty()).then(|| Violation { reason: "host namespaces", detail: set.join(", ") })
}

pub(super) fn host_paths(pod: &Value) -> Option<Violation> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let names: Vec<_> =
        volumes.filter(|volume| !volume["hostPath"].is_null()).map(|volume| text(&volume["name"])).collect();
    let detail = format!("volume{} {}", plural(names.len()), join(&names));
    (!names.is_empty()).then_some(Violation { reason: "hostPath volumes", detail })
}

pub(super) fn host_ports(pod: &Value) -> Option<Violation> {
    let used = |container: &Value| -> Vec<String> {
        let ports = container["ports"].as_array().into_iter().flatten();
        ports
            .filter_map(|port| port["hostPort"].as_i64())
            .filter(|port| *port != 0)
            .map(|port| port.to_string())
            .collect()
    };
    let names = offenders(pod, |container| !used(container).is_empty());
    if names.is_empty() {
        return None;
    }
    let ports = unique(containers(pod).into_iter().flat_map(|(_, container)| used(container)).collect());
    let (uses, many) = (third_person(names.len()), plural(ports.len()));
    let detail = format!("{} use{uses} hostPort{many} {}", named(&names), ports.join(", "));
    Some(Violation { reason: "hostPort", detail })
}

/// Since 1.34: probes and lifecycle hooks reach no other host than the pod.
pub(super) fn probe_hosts(pod: &Value) -> Option<Violation> {
    let of_handler = |handler: &Value| -> Vec<String> {
        let hosts = ["httpGet", "tcpSocket"].into_iter().map(|kind| text(&handler[kind]["host"]));
        hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect()
    };
    let hosts = |container: &Value| -> Vec<String> {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"].map(|probe| &container[probe]);
        let hooks = ["postStart", "preStop"].map(|hook| &container["lifecycle"][hook]);
        probes.into_iter().chain(hooks).flat_map(of_handler).collect()
    };
    let names = unique(offenders(pod, |container| !hosts(container).is_empty()));
    if names.is_empty() {
        return None;
    }
    let all = unique(containers(pod).into_iter().flat_map(|(_, container)| hosts(container)).collect());
    let (uses, many) = (third_person(names.len()), plural(all.len()));
    let detail = format!("{} use{uses} probe or lifecycle host{many} {}", named(&names), join(&all));
    Some(Violation { reason: "probe or lifecycle host", detail })
}

pub(super) fn privileged(pod: &Value) -> Option<Violation> {
    let names = offenders(pod, |container| container["securityContext"]["privileged"] == true);
    let detail = format!("{} must not set securityContext.privileged=true", named(&names));
    (!names.is_empty()).then_some(Violation { reason: "privileged", detail })
}

pub(super) fn proc_mount(pod: &Value) -> Option<Violation> {
    let bad = |container: &Value| {
        let mount = container["securityContext"]["procMount"].as_str();
        mount.filter(|mount| *mount != "Default").map(str::to_owned)
    };
    let names = offenders(pod, |container| bad(container).is_some());
    if names.is_empty() {
        return None;
    }
    let kinds = unique(containers(pod).into_iter().filter_map(|(_, container)| bad(container)).collect());
    let detail = format!("{} must not set securityContext.procMount to {}", named(&names), join(&kinds));
    Some(Violation { reason: "procMount", detail })
}

/// A pod in a user namespace of its own may unmask `/proc`.
pub(super) fn proc_mount_1_35(pod: &Value) -> Option<Violation> {
    if pod["spec"]["hostUsers"] == false { None } else { proc_mount(pod) }
}

pub(super) fn se_linux_1_0(pod: &Value) -> Option<Violation> {
    se_linux(pod, &SE_LINUX_TYPES[..4])
}

pub(super) fn se_linux_1_31(pod: &Value) -> Option<Violation> {
    se_linux(pod, &SE_LINUX_TYPES)
}

fn se_linux(pod: &Value, types: &[&str]) -> Option<Violation> {
    let options = |holder: &Value| holder["securityContext"]["seLinuxOptions"].clone();
    let bad_type = |options: &Value| !types.contains(&text(&options["type"]));
    let set = |options: &Value, key: &str| !text(&options[key]).is_empty();
    let bad = |holder: &Value| {
        let options = options(holder);
        options.is_object() && (bad_type(&options) || set(&options, "user") || set(&options, "role"))
    };
    let who = setters(bad(&pod["spec"]), &offenders(pod, bad))?;
    let holders = std::iter::once(&pod["spec"]).chain(containers(pod).into_iter().map(|(_, container)| container));
    let all: Vec<Value> = holders.map(options).filter(Value::is_object).collect();
    let kinds: Vec<_> = all.iter().filter(|one| bad_type(one)).map(|one| text(&one["type"])).collect();
    let kinds = unique(kinds);
    let mut data = Vec::new();
    if !kinds.is_empty() {
        data.push(format!("type{} {}", plural(kinds.len()), join(&kinds)));
    }
    for key in ["user", "role"] {
        if all.iter().any(|one| set(one, key)) {
            data.push(format!("{key} may not be set"));
        }
    }
    let detail = format!("{who} set forbidden securityContext.seLinuxOptions: {}", data.join("; "));
    Some(Violation { reason: "seLinuxOptions", detail })
}

/// Before 1.19 profiles were annotations.
pub(super) fn seccomp_1_0(pod: &Value) -> Option<Violation> {
    let annotations = &pod["metadata"]["annotations"];
    let bad = |key: &str| {
        let value = annotations[key].as_str()?;
        let fine = matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/");
        (!fine).then(|| format!("{key}={}", quote(value)))
    };
    let keys = containers(pod).into_iter().map(|(name, _)| format!("{SECCOMP_CONTAINER}{name}"));
    let all = std::iter::once(SECCOMP_POD.to_owned()).chain(keys).filter_map(|key| bad(&key)).collect();
    let all = unique::<String>(all);
    let detail = format!("forbidden annotation{} {}", plural(all.len()), all.join(", "));
    (!all.is_empty()).then_some(Violation { reason: "seccompProfile", detail })
}

/// Whether a profile is set, and which one if it is forbidden.
pub(super) fn seccomp_profile(holder: &Value) -> (bool, Option<String>) {
    let profile = &holder["securityContext"]["seccompProfile"];
    let kind = text(&profile["type"]);
    let bad = profile.is_object() && !matches!(kind, "RuntimeDefault" | "Localhost");
    (profile.is_object(), bad.then(|| kind.to_owned()))
}

pub(super) fn seccomp_1_19(pod: &Value) -> Option<Violation> {
    let of_pod = seccomp_profile(&pod["spec"]).1;
    let who = setters(of_pod.is_some(), &offenders(pod, |container| seccomp_profile(container).1.is_some()))?;
    let of_containers = containers(pod).into_iter().filter_map(|(_, container)| seccomp_profile(container).1);
    let kinds = unique(of_pod.into_iter().chain(of_containers).collect());
    let detail = format!("{who} must not set securityContext.seccompProfile.type to {}", join(&kinds));
    Some(Violation { reason: "seccompProfile", detail })
}

pub(super) fn sysctls_1_0(pod: &Value) -> Option<Violation> {
    sysctls(pod, &SYSCTLS[..5])
}

pub(super) fn sysctls_1_27(pod: &Value) -> Option<Violation> {
    sysctls(pod, &SYSCTLS[..6])
}

pub(super) fn sysctls_1_29(pod: &Value) -> Option<Violation> {
    sysctls(pod, &SYSCTLS[..10])
}

pub(super) fn sysctls_1_32(pod: &Value) -> Option<Violation> {
    sysctls(pod, &SYSCTLS)
}

fn sysctls(pod: &Value, allowed: &[&str]) -> Option<Violation> {
    let set = pod["spec"]["securityContext"]["sysctls"].as_array().into_iter().flatten();
    let bad: Vec<_> = set.map(|sysctl| text(&sysctl["name"])).filter(|name| !allowed.contains(name)).collect();
    (!bad.is_empty()).then(|| Violation { reason: "forbidden sysctls", detail: bad.join(", ") })
}

pub(super) fn host_process(pod: &Value) -> Option<Violation> {
    let of_host = |holder: &Value| holder["securityContext"]["windowsOptions"]["hostProcess"] == true;
    let who = setters(of_host(&pod["spec"]), &offenders(pod, of_host))?;
    let detail = format!("{who} must not set securityContext.windowsOptions.hostProcess=true");
    Some(Violation { reason: "hostProcess", detail })
}
