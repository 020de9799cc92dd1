//! What Istio's init containers do: the commands or rules that send a pod's traffic through the proxy.
//!
//! For 1.0 the flags and variables of `istio-iptables.sh`, which did not change in 1.0.0 to 1.0.9, and the commands that it
//! runs; for 1.9 and later those of `pilot-agent istio-iptables`, and the rules that it applies. All is worked out, nothing run.

mod flags;
mod modern;

use std::collections::BTreeMap;

/// What the flags come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Commands to run, or lines of rules to apply, in this order. Failures of the first [`CLEANING`] commands of 1.0 are to
    /// be ignored.
    Commands(Vec<String>),
    /// The flag `-h`: this text was asked for.
    Help(&'static str),
}

/// How many commands at the beginning only remove what an earlier run left.
pub const CLEANING: usize = 17;

const HELP: &str = "\
istio-iptables --era 1.0 [clean] -p PORT -u UID,... -g GID,... -m REDIRECT|TPROXY -b PORTS -d PORTS -i CIDRS -x CIDRS
  -p  the proxy's port (ENVOY_PORT, 15001)            -u, -g  users and groups that are not redirected (1337 and 0)
  -m  how inbound traffic gets there (REDIRECT)       -b, -d  inbound ports redirected (*: all) and left out
  -i, -x  outbound ranges redirected (*: all) and left out";

#[derive(Debug)]
struct Settings {
    port: String,
    capture_port: String,
    users: Vec<String>,
    groups: Vec<String>,
    tproxy: bool,
    mark: String,
    route_table: String,
    inbound: String,
    inbound_except: String,
    outbound: String,
    outbound_except: String,
    keep_ipv6: bool,
}

/// Works out the commands of Istio 1.0 for the script's arguments and environment.
///
/// # Errors
/// A flag that the script does not have, or one without its value.
pub fn v1_0(arguments: &[String], environment: &BTreeMap<String, String>) -> Result<Outcome, String> {
    let mut commands = cleaning();
    if arguments.first().is_some_and(|first| first == "clean") {
        return Ok(Outcome::Commands(commands));
    }
    let Some(settings) = read(arguments, environment)? else { return Ok(Outcome::Help(HELP)) };
    inbound(&settings, &mut commands);
    outbound(&settings, &mut commands);
    if !settings.keep_ipv6 {
        commands.extend(
            ["-F INPUT", "-A INPUT -m state --state ESTABLISHED -j ACCEPT", "-A INPUT -j REJECT"]
                .map(|rest| format!("ip6tables {rest}")),
        );
    }
    Ok(Outcome::Commands(commands))
}

/// Works out the rules of Istio 1.9 and later: the input of `iptables-restore`, then with `--ipv6` that of
/// `ip6tables-restore`.
///
/// # Errors
/// A flag that there is not, one without its value, or one that asks for something else than rules.
pub fn modern(arguments: &[String], environment: &BTreeMap<String, String>) -> Result<Outcome, String> {
    modern::lines(arguments, environment).map(|lines| lines.map_or_else(Outcome::Help, Outcome::Commands))
}

/// `None` for `-h`.
fn read(arguments: &[String], environment: &BTreeMap<String, String>) -> Result<Option<Settings>, String> {
    let mut flags: BTreeMap<char, &str> = BTreeMap::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut letters = argument.strip_prefix('-').unwrap_or_default().chars();
        match (letters.next(), letters.as_str()) {
            (Some('h'), _) => return Ok(None),
            (Some(letter @ ('p' | 'u' | 'g' | 'm' | 'b' | 'd' | 'i' | 'x')), joined) => {
                let value = if joined.is_empty() { rest.next().map(String::as_str) } else { Some(joined) };
                flags.insert(letter, value.ok_or_else(|| format!("-{letter} needs a value"))?);
            }
            _ => return Err(format!("{argument}: there is no such flag; see -h")),
        }
    }
    // A variable that is set to nothing counts as not set, a flag that is does not.
    let variable = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let setting = |letter: char, name: &str, default: &str| {
        flags.get(&letter).copied().or_else(|| variable(name)).unwrap_or(default).to_owned()
    };
    let port = setting('p', "ENVOY_PORT", "15001");
    let users = flags.get(&'u').copied().filter(|u| !u.is_empty()).unwrap_or("1337,0");
    let groups = flags.get(&'g').copied().filter(|g| !g.is_empty()).unwrap_or(users);
    Ok(Some(Settings {
        capture_port: variable("INBOUND_CAPTURE_PORT").unwrap_or(&port).to_owned(),
        port,
        users: items(users),
        groups: items(groups),
        // Any other mode, NONE too, acts as REDIRECT.
        tproxy: setting('m', "ISTIO_INBOUND_INTERCEPTION_MODE", "REDIRECT") == "TPROXY",
        mark: variable("ISTIO_INBOUND_TPROXY_MARK").unwrap_or("1337").to_owned(),
        route_table: variable("ISTIO_INBOUND_TPROXY_ROUTE_TABLE").unwrap_or("133").to_owned(),
        inbound: setting('b', "ISTIO_INBOUND_PORTS", ""),
        inbound_except: setting('d', "ISTIO_LOCAL_EXCLUDE_PORTS", ""),
        outbound: setting('i', "ISTIO_SERVICE_CIDR", ""),
        outbound_except: setting('x', "ISTIO_SERVICE_EXCLUDE_CIDR", ""),
        keep_ipv6: variable("ENABLE_INBOUND_IPV6").is_some(),
    }))
}

/// A comma-separated list as the shell splits it: a trailing comma adds nothing, blanks stay.
fn items(text: &str) -> Vec<String> {
    let text = text.strip_suffix(',').unwrap_or(text);
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

fn cleaning() -> Vec<String> {
    let mut commands: Vec<String> = [
        ("nat", "-D PREROUTING -p tcp -j ISTIO_INBOUND"),
        ("mangle", "-D PREROUTING -p tcp -j ISTIO_INBOUND"),
        ("nat", "-D OUTPUT -p tcp -j ISTIO_OUTPUT"),
    ]
    .map(|(table, rest)| format!("iptables -t {table} {rest}"))
    .into();
    for (table, chain) in [
        ("nat", "ISTIO_OUTPUT"),
        ("nat", "ISTIO_INBOUND"),
        ("mangle", "ISTIO_INBOUND"),
        ("mangle", "ISTIO_DIVERT"),
        ("mangle", "ISTIO_TPROXY"),
        ("nat", "ISTIO_REDIRECT"),
        ("nat", "ISTIO_IN_REDIRECT"),
    ] {
        commands.extend(["-F", "-X"].map(|what| format!("iptables -t {table} {what} {chain}")));
    }
    commands
}

fn inbound(settings: &Settings, commands: &mut Vec<String>) {
    let Settings { port, capture_port, mark, route_table, tproxy, .. } = settings;
    let mut nat = |rest: String| commands.push(format!("iptables -t nat {rest}"));
    nat("-N ISTIO_REDIRECT".to_owned());
    nat(format!("-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-port {port}"));
    nat("-N ISTIO_IN_REDIRECT".to_owned());
    nat(format!("-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-port {capture_port}"));
    if settings.inbound.is_empty() {
        return;
    }
    if *tproxy {
        commands.extend([
            "iptables -t mangle -N ISTIO_DIVERT".to_owned(),
            format!("iptables -t mangle -A ISTIO_DIVERT -j MARK --set-mark {mark}"),
            "iptables -t mangle -A ISTIO_DIVERT -j ACCEPT".to_owned(),
            format!("ip -f inet rule add fwmark {mark} lookup {route_table}"),
            format!("ip -f inet route add local default dev lo table {route_table}"),
            "iptables -t mangle -N ISTIO_TPROXY".to_owned(),
            format!(
                "iptables -t mangle -A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark {mark}/0xffffffff --on-port {port}"
            ),
        ]);
    }
    let table = if *tproxy { "mangle" } else { "nat" };
    commands.push(format!("iptables -t {table} -N ISTIO_INBOUND"));
    commands.push(format!("iptables -t {table} -A PREROUTING -p tcp -j ISTIO_INBOUND"));
    let mut rule = |rest: String| commands.push(format!("iptables -t {table} -A ISTIO_INBOUND -p tcp {rest}"));
    if settings.inbound == "*" {
        // Whoever debugs the pod comes over SSH.
        rule("--dport 22 -j RETURN".to_owned());
        for port in items(&settings.inbound_except) {
            rule(format!("--dport {port} -j RETURN"));
        }
        if *tproxy {
            rule("-m socket -j ISTIO_DIVERT".to_owned());
            rule("-j ISTIO_TPROXY".to_owned());
        } else {
            rule("-j ISTIO_IN_REDIRECT".to_owned());
        }
        return;
    }
    for port in items(&settings.inbound) {
        if *tproxy {
            rule(format!("--dport {port} -m socket -j ISTIO_DIVERT"));
            rule(format!("--dport {port} -m socket -j ISTIO_DIVERT"));
            rule(format!("--dport {port} -j ISTIO_TPROXY"));
        } else {
            rule(format!("--dport {port} -j ISTIO_IN_REDIRECT"));
        }
    }
}

fn outbound(settings: &Settings, commands: &mut Vec<String>) {
    let mut nat = |rest: String| commands.push(format!("iptables -t nat {rest}"));
    nat("-N ISTIO_OUTPUT".to_owned());
    nat("-A OUTPUT -p tcp -j ISTIO_OUTPUT".to_owned());
    let mut rule = |rest: String| nat(format!("-A ISTIO_OUTPUT {rest}"));
    rule("-o lo ! -d 127.0.0.1/32 -j ISTIO_REDIRECT".to_owned());
    for user in &settings.users {
        rule(format!("-m owner --uid-owner {user} -j RETURN"));
    }
    for group in &settings.groups {
        rule(format!("-m owner --gid-owner {group} -j RETURN"));
    }
    rule("-d 127.0.0.1/32 -j RETURN".to_owned());
    for range in items(&settings.outbound_except) {
        rule(format!("-d {range} -j RETURN"));
    }
    if settings.outbound == "*" {
        rule("-j ISTIO_REDIRECT".to_owned());
    } else if !settings.outbound.is_empty() {
        for range in items(&settings.outbound) {
            rule(format!("-d {range} -j ISTIO_REDIRECT"));
        }
        rule("-j RETURN".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(arguments: &str) -> Vec<String> {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        match v1_0(&arguments, &BTreeMap::new()).unwrap() {
            Outcome::Commands(commands) => commands,
            Outcome::Help(_) => Vec::new(),
        }
    }

    #[test]
    fn cleaning_comes_first_and_may_be_all() {
        assert_eq!(commands("clean").len(), CLEANING);
        assert_eq!(commands("clean"), commands("-p 15001")[..CLEANING]);
        assert!(commands("-h").is_empty());
    }

    #[test]
    fn ports_and_ranges_become_rules() {
        let all = commands("-b * -d 15020, -i 10.0.0.0/8 -x 10.1.0.0/16");
        let at = |rule: &str| all.iter().position(|c| c == rule).unwrap_or_else(|| panic!("{rule} is not in {all:#?}"));
        assert!(
            at("iptables -t nat -A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN")
                < at("iptables -t nat -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT")
        );
        assert!(
            at("iptables -t nat -A ISTIO_OUTPUT -d 10.1.0.0/16 -j RETURN")
                < at("iptables -t nat -A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT")
        );
    }

    #[test]
    fn unknown_flags_are_refused() {
        for bad in [&["-z"][..], &["word"], &["-p"], &["-"]] {
            let arguments: Vec<String> = bad.iter().map(|a| (*a).to_owned()).collect();
            assert!(v1_0(&arguments, &BTreeMap::new()).is_err(), "{bad:?}");
        }
    }
}
