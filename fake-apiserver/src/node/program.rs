//! What a container runs: its command line, its environment, how long it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use apimachinery::value::Value;

use super::process::Process;
use super::shell::{Machine, Run, Unknown};
use super::{items, text};

/// How long a program that nobody knows takes where it is meant to end: in an init container, in a Job.
const A_TASK_TAKES: Duration = Duration::from_secs(1);

/// Beyond this nobody looks.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Images whose own program is a shell: without input it ends at once.
const SHELLS: [&str; 8] = ["busybox", "alpine", "ubuntu", "debian", "centos", "fedora", "bash", "amazonlinux"];

/// The image's name without registry, tag and digest.
pub(crate) fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

fn strings(value: &Value, field: &str) -> Vec<String> {
    items(value, field).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The command line of a container's first process. Where the image says it, it is guessed from the image's name.
pub(crate) fn argv(pod: &Value, container: &Value) -> Vec<String> {
    let env = env(pod, container);
    let expand = |words: Vec<String>| words.iter().map(|word| expand(word, &env)).collect::<Vec<_>>();
    let mut command = expand(strings(container, "/command"));
    let args = expand(strings(container, "/args"));
    if command.is_empty() {
        let image = image_name(text(container, "/image"));
        command = match image {
            "proxyv2" | "proxy" | "proxy_debug" | "proxyv2_debug" => vec!["/usr/local/bin/pilot-agent".to_owned()],
            "proxy_init" => vec!["/usr/local/bin/istio-iptables.sh".to_owned()],
            "sidecar_injector" => vec!["/usr/local/bin/sidecar-injector".to_owned()],
            "pilot" if args.first().is_some_and(|first| first == "discovery") => {
                vec!["/usr/local/bin/pilot-discovery".to_owned()]
            }
            "nginx" if args.is_empty() => vec!["nginx: master process nginx -g daemon off;".to_owned()],
            shell if SHELLS.contains(&shell) && args.is_empty() => vec!["sh".to_owned()],
            shell if SHELLS.contains(&shell) => Vec::new(),
            "pause" => vec!["/pause".to_owned()],
            other => vec![format!("/{other}")],
        };
    }
    command.extend(args);
    command
}

/// `$(NAME)` in commands and arguments, as the API documents it; `$$` stands for one `$`.
fn expand(word: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest.strip_prefix("$(").and_then(|inside| Some((inside, inside.find(')')?)));
        match reference {
            Some((inside, end)) => {
                match env.get(&inside[..end]) {
                    Some(value) => out.push_str(value),
                    None => out.push_str(&rest[..end + 3]),
                }
                rest = &inside[end + 1..];
            }
            None => {
                out.push('$');
                rest = &rest[if rest.starts_with("$$") { 2 } else { 1 }..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The environment: literal values and fields of the pod; references to ConfigMaps and Secrets are left out.
pub(crate) fn env(pod: &Value, container: &Value) -> BTreeMap<String, String> {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    let mut env: BTreeMap<String, String> = [
        ("PATH".to_owned(), path),
        ("HOSTNAME".to_owned(), hostname(pod)),
        ("HOME".to_owned(), "/root".to_owned()),
        ("KUBERNETES_SERVICE_HOST".to_owned(), "10.96.0.1".to_owned()),
        ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
    ]
    .into();
    for variable in items(container, "/env") {
        let name = text(variable, "/name");
        let value =
            match (variable.get("value").and_then(Value::as_str), text(variable, "/valueFrom/fieldRef/fieldPath")) {
                (Some(value), _) => expand(value, &env),
                (None, "") => continue,
                (None, path) => field(pod, path),
            };
        env.insert(name.to_owned(), value);
    }
    env
}

fn field(pod: &Value, path: &str) -> String {
    let keyed = |map: &str| {
        let key = path.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']")?;
        pod.pointer(&format!("/{}", map.replace('.', "/")))?.get(key)?.as_str()
    };
    keyed("metadata.labels")
        .or_else(|| keyed("metadata.annotations"))
        .unwrap_or_else(|| text(pod, &format!("/{}", path.replace('.', "/"))))
        .to_owned()
}

fn hostname(pod: &Value) -> String {
    let named = [text(pod, "/spec/hostname"), text(pod, "/metadata/name")];
    named.into_iter().find(|name| !name.is_empty()).unwrap_or_default().chars().take(63).collect()
}

/// The number of the user that a container runs as.
fn uid(pod: &Value, container: &Value) -> i64 {
    let own = container.pointer("/securityContext/runAsUser").and_then(Value::as_i64);
    let pods = || pod.pointer("/spec/securityContext/runAsUser").and_then(Value::as_i64);
    own.or_else(pods).unwrap_or_else(|| {
        // Istio's proxy images name their user themselves.
        if image_name(text(container, "/image")).starts_with("proxyv2") { 1337 } else { 0 }
    })
}

/// What a command in a container finds around it, at a time in Unix seconds.
pub(crate) fn machine(pod: &Value, container: &Value, since: i64, now: i64, unknown: Unknown) -> Machine {
    Machine {
        env: env(pod, container),
        hostname: hostname(pod),
        started: now,
        uid: uid(pod, container),
        processes: if unknown == Unknown::Runs { Vec::new() } else { processes(pod, container, since) },
        files: files(pod),
        unknown,
    }
}

/// A few files that are in every container.
fn files(pod: &Value) -> BTreeMap<String, Vec<u8>> {
    let (ip, name) = (text(pod, "/status/podIP"), hostname(pod));
    let hosts = format!(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{ip}\t{name}\n"
    );
    let namespace = text(pod, "/metadata/namespace");
    let resolv = format!(
        "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    );
    let account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace".to_owned();
    [
        ("/etc/hostname".to_owned(), format!("{name}\n").into_bytes()),
        ("/etc/hosts".to_owned(), hosts.into_bytes()),
        ("/etc/resolv.conf".to_owned(), resolv.into_bytes()),
        (account, namespace.as_bytes().to_vec()),
    ]
    .into()
}

/// The process table of a container: its own program, and Envoy where that is a pilot-agent.
pub(crate) fn processes(pod: &Value, container: &Value, since: i64) -> Vec<Process> {
    let (argv, uid) = (argv(pod, container), uid(pod, container));
    let envoy = super::log::is_agent(&argv).then(|| Process {
        uid,
        pid: 19,
        parent: 1,
        started: since,
        argv: envoy(pod, &argv),
    });
    let own = Process { uid, pid: 1, parent: 0, started: since, argv };
    [Some(own), envoy].into_iter().flatten().collect()
}

/// The value of a flag, `--flag value` or `--flag=value`.
pub(super) fn flag<'a>(argv: &'a [String], name: &str) -> Option<&'a str> {
    argv.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(name)? {
        "" => argv.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

/// Seconds of a Go duration such as `45s` or `1m0s`.
fn seconds(duration: &str) -> i64 {
    let mut total = 0i64;
    let mut number = 0i64;
    for letter in duration.chars() {
        match letter {
            '0'..='9' => number = number.saturating_mul(10).saturating_add(i64::from(letter as u32 - '0' as u32)),
            'h' => total += std::mem::take(&mut number).saturating_mul(3600),
            'm' => total += std::mem::take(&mut number).saturating_mul(60),
            _ => total += std::mem::take(&mut number),
        }
    }
    total
}

/// The command line with which a pilot-agent starts Envoy: Istio 1.0's if it is told where Envoy's binary is, today's if not.
fn envoy(pod: &Value, agent: &[String]) -> Vec<String> {
    let get = |name| flag(agent, name);
    let mut argv: Vec<String> = vec![get("--binaryPath").unwrap_or("/usr/local/bin/envoy").to_owned()];
    let mut add = |words: &[&str]| argv.extend(words.iter().map(|&word| word.to_owned()));
    if get("--binaryPath").is_some() || get("--configPath").is_some() {
        let config = format!("{}/envoy-rev0.json", get("--configPath").unwrap_or("/etc/istio/proxy"));
        let drain = seconds(get("--drainDuration").unwrap_or("45s")).to_string();
        let shutdown = seconds(get("--parentShutdownDuration").unwrap_or("1m0s")).to_string();
        let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
        let role = agent.iter().skip_while(|word| *word != "proxy").nth(1).map_or("sidecar", String::as_str);
        let node = format!("{role}~{}~{name}.{namespace}~{namespace}.svc.cluster.local", text(pod, "/status/podIP"));
        add(&["-c", &config, "--restart-epoch", "0", "--drain-time-s", &drain, "--parent-shutdown-time-s", &shutdown]);
        add(&["--service-cluster", get("--serviceCluster").unwrap_or("istio-proxy"), "--service-node", &node]);
        add(&["--max-obj-name-len", "189", "--allow-unknown-fields", "-l", get("--proxyLogLevel").unwrap_or("warn")]);
        if let Some(threads) = get("--concurrency").filter(|threads| *threads != "0") {
            add(&["--concurrency", threads]);
        }
        add(&["--v2-config-only"]);
        return argv;
    }
    add(&["-c", "etc/istio/proxy/envoy-rev.json", "--drain-time-s", "45", "--drain-strategy", "immediate"]);
    add(&["--local-address-ip-version", "v4", "--file-flush-interval-msec", "1000", "--disable-hot-restart"]);
    add(&["--allow-unknown-static-fields", "-l", get("--proxyLogLevel").unwrap_or("warning")]);
    add(&["--component-log-level", get("--proxyComponentLogLevel").unwrap_or("misc:error")]);
    if let Some(threads) = get("--concurrency").filter(|threads| *threads != "0") {
        add(&["--concurrency", threads]);
    }
    argv
}

/// What a container's program does from its start up to a horizon.
pub(crate) fn run(pod: &Value, container: &Value, is_task: bool, since: i64, horizon: Duration) -> Run {
    let argv = argv(pod, container);
    if argv.is_empty() {
        return Run { output: Vec::new(), end: Some((Duration::ZERO, 0)) };
    }
    let has_input = container["stdin"] == true;
    if has_input && argv.len() == 1 && matches!(argv[0].as_str(), "sh" | "bash" | "/bin/sh" | "/bin/bash" | "ash") {
        return Run::default();
    }
    let machine = machine(pod, container, since, since, Unknown::Runs);
    // An unknown program is `Stop::Forever`: no end. Where it should end, it does after a while.
    let mut run = machine.run(&argv, horizon).unwrap_or_default();
    let knows = machine.run(&argv[..1], Duration::ZERO).is_some_and(|run| run.end.is_some());
    if is_task && run.end.is_none() && !knows && !super::log::is_agent(&argv) {
        run.end = Some((A_TASK_TAKES, 0)).filter(|(at, _)| *at <= horizon);
    }
    run
}
