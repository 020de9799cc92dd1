//! What `pilot-agent istio-iptables` of Istio 1.9 and later applies: the input of `iptables-restore` and `ip6tables-restore`.
//!
//! Each address family is worked out by itself. Tables come in alphabetical order, chains in the order of their first use,
//! rules as they are made.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::flags::Flags;

const HELP: &str = "\
istio-iptables --era modern --FLAG=VALUE...
  -p  --envoy-port (15001)                 -z  --inbound-capture-port (15006)     -e  --inbound-tunnel-port (15008)
  -u  --proxy-uid (1337), -g --proxy-gid   -m  --istio-inbound-interception-mode REDIRECT|TPROXY
  -b  --istio-inbound-ports (*: all)       -d  --istio-local-exclude-ports
  -i  --istio-service-cidr (*: all)        -x  --istio-service-exclude-cidr
  -q  --istio-outbound-ports               -o  --istio-local-outbound-ports-exclude
  -c  --istio-exclude-interfaces           -k  --kube-virt-interfaces
  -t  --istio-inbound-tproxy-mark (1337)   --drop-invalid   --redirect-dns   --capture-all-dns
what the agent finds out on the node: --ipv6, --dns-servers-v4, --dns-servers-v6";

/// Letter, name, variable and default of a flag.
pub(super) const FLAGS: &[(Option<char>, &str, &str, &str)] = &[
    (Some('p'), "envoy-port", "ENVOY_PORT", "15001"),
    (Some('z'), "inbound-capture-port", "INBOUND_CAPTURE_PORT", "15006"),
    (Some('e'), "inbound-tunnel-port", "INBOUND_TUNNEL_PORT", "15008"),
    (Some('u'), "proxy-uid", "PROXY_UID", "1337"),
    (Some('g'), "proxy-gid", "PROXY_GID", ""),
    (Some('m'), "istio-inbound-interception-mode", "ISTIO_INBOUND_INTERCEPTION_MODE", ""),
    (Some('b'), "istio-inbound-ports", "ISTIO_INBOUND_PORTS", ""),
    (Some('d'), "istio-local-exclude-ports", "ISTIO_LOCAL_EXCLUDE_PORTS", ""),
    (Some('i'), "istio-service-cidr", "ISTIO_SERVICE_CIDR", ""),
    (Some('x'), "istio-service-exclude-cidr", "ISTIO_SERVICE_EXCLUDE_CIDR", ""),
    (Some('q'), "istio-outbound-ports", "ISTIO_OUTBOUND_PORTS", ""),
    (Some('o'), "istio-local-outbound-ports-exclude", "ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE", ""),
    (Some('c'), "istio-exclude-interfaces", "ISTIO_EXCLUDE_INTERFACES", ""),
    (Some('k'), "kube-virt-interfaces", "KUBE_VIRT_INTERFACES", ""),
    (Some('t'), "istio-inbound-tproxy-mark", "ISTIO_INBOUND_TPROXY_MARK", "1337"),
    (Some('r'), "istio-inbound-tproxy-route-table", "ISTIO_INBOUND_TPROXY_ROUTE_TABLE", "133"),
    (None, "dns-servers-v4", "DNS_SERVERS_V4", ""),
    (None, "dns-servers-v6", "DNS_SERVERS_V6", ""),
    (None, "owner-groups", "ISTIO_OUTBOUND_OWNER_GROUPS", "*"),
    (None, "owner-groups-exclude", "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", ""),
    (None, "loopback-cidr", "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.1/32"),
    // How and where the rules are applied makes no difference to them.
    (None, "iptables-probe-port", "IPTABLES_PROBE_PORT", ""),
    (None, "probe-timeout", "PROBE_TIMEOUT", ""),
    (None, "network-namespace", "NETWORK_NAMESPACE", ""),
    (None, "force-iptables-binary", "FORCE_IPTABLES_BINARY", ""),
];

/// Name and variable of a flag that is on or off.
pub(super) const SWITCHES: &[(Option<char>, &str, &str)] = &[
    (None, "ipv6", "IPV6"),
    (None, "redirect-dns", "ISTIO_META_DNS_CAPTURE"),
    (None, "capture-all-dns", "CAPTURE_ALL_DNS"),
    (None, "drop-invalid", "INVALID_DROP"),
    (None, "dual-stack", "ISTIO_DUAL_STACK"),
    (Some('n'), "dry-run", "DRY_RUN"),
    (None, "skip-rule-apply", "SKIP_RULE_APPLY"),
    (None, "run-validation", "RUN_VALIDATION"),
    (None, "reconcile", "RECONCILE"),
    (None, "force-apply", "FORCE_APPLY"),
    (None, "cni-mode", "CNI_MODE"),
    (None, "cleanup-only", "CLEANUP_ONLY"),
    (None, "native-nftables", "NATIVE_NFTABLES"),
];

/// The rules of one table.
#[derive(Debug, Default)]
struct Table {
    /// Chains that have to be made.
    chains: Vec<&'static str>,
    rules: Vec<String>,
}

/// The rules of one address family.
#[derive(Debug, Default)]
struct Rules(BTreeMap<&'static str, Table>);

impl Rules {
    fn add(&mut self, table: &'static str, chain: &'static str, rule: impl AsRef<str>) {
        let line = format!("-A {chain} {}", rule.as_ref());
        self.line(table, chain, line);
    }

    /// Puts a rule at a place of its chain, from 1.
    fn insert(&mut self, table: &'static str, chain: &'static str, at: usize, rule: impl AsRef<str>) {
        let line = format!("-I {chain} {at} {}", rule.as_ref());
        self.line(table, chain, line);
    }

    fn line(&mut self, table: &'static str, chain: &'static str, line: String) {
        let table = self.0.entry(table).or_default();
        if chain.starts_with("ISTIO_") && !table.chains.contains(&chain) {
            table.chains.push(chain);
        }
        table.rules.push(line);
    }

    fn into_lines(self) -> impl Iterator<Item = String> {
        self.0.into_iter().flat_map(|(name, table)| {
            let chains = table.chains.into_iter().map(|chain| format!("-N {chain}"));
            std::iter::once(format!("* {name}")).chain(chains).chain(table.rules).chain(["COMMIT".to_owned()])
        })
    }
}

/// What the flags come to.
struct Settings<'f> {
    flags: &'f Flags,
    tproxy: bool,
    dns: bool,
    all_dns: bool,
    groups: Vec<&'f str>,
    /// Whether traffic to the own pod by loopback is asked for.
    own_loopback: bool,
}

/// Works out the lines for the flags and the environment; `None` if help was asked for.
///
/// # Errors
/// A flag that there is not, one without its value, or one that asks for something else than iptables rules.
pub(super) fn lines(
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<Result<Vec<String>, &'static str>, String> {
    let Some(flags) = Flags::read(arguments, environment)? else { return Ok(Err(HELP)) };
    for other in ["cleanup-only", "native-nftables"] {
        if flags.is_on(other) {
            return Err(format!("--{other}: only the iptables rules that are applied are worked out here"));
        }
    }
    if flags.text("istio-service-exclude-cidr") == "*" {
        return Err("--istio-service-exclude-cidr: * would leave out everything; name the ranges".to_owned());
    }
    let all_dns = flags.is_on("capture-all-dns");
    let servers = ["dns-servers-v4", "dns-servers-v6"].iter().any(|name| !flags.list(name).is_empty());
    let groups = match flags.list("proxy-gid") {
        own if !own.is_empty() => own,
        _ => flags.list("proxy-uid"),
    };
    let included = flags.list("istio-service-cidr");
    let settings = Settings {
        tproxy: flags.text("istio-inbound-interception-mode") == "TPROXY",
        dns: flags.is_on("redirect-dns") && (all_dns || servers),
        all_dns,
        groups,
        own_loopback: included.iter().filter_map(|range| range_of(range)).any(|(address, _)| address.is_loopback()),
        flags: &flags,
    };
    let mut lines: Vec<String> = settings.rules(false).into_lines().collect();
    if flags.is_on("ipv6") {
        lines.extend(settings.rules(true).into_lines());
    }
    Ok(Ok(lines))
}

fn range_of(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    Some((address, bits.parse().ok().filter(|bits| *bits <= most)?))
}

impl Settings<'_> {
    fn rules(&self, v6: bool) -> Rules {
        let mut rules = Rules::default();
        self.interfaces(&mut rules);
        if self.flags.is_on("drop-invalid") {
            rules.add("mangle", "PREROUTING", "-m conntrack --ctstate INVALID -j ISTIO_DROP");
            rules.add("mangle", "ISTIO_DROP", "-j DROP");
        }
        let port = |name| self.flags.text(name);
        let tunnel = port("inbound-tunnel-port");
        rules.add("nat", "ISTIO_INBOUND", format!("-p tcp --dport {tunnel} -j RETURN"));
        let to = |port: &str| format!("-p tcp -j REDIRECT --to-ports {port}");
        rules.add("nat", "ISTIO_REDIRECT", to(port("envoy-port")));
        rules.add("nat", "ISTIO_IN_REDIRECT", to(port("inbound-capture-port")));
        self.inbound(&mut rules, v6);
        self.outbound(&mut rules, v6);
        if self.tproxy {
            self.marks(&mut rules, v6);
        }
        rules
    }

    fn loopback(&self, v6: bool) -> &str {
        if v6 { "::1/128" } else { self.flags.text("loopback-cidr") }
    }

    /// Where inbound traffic passes the proxy on, so that it is not taken for the application's.
    fn passthrough(v6: bool) -> &'static str {
        if v6 { "::6/128" } else { "127.0.0.6/32" }
    }

    fn interfaces(&self, rules: &mut Rules) {
        let tables: &[&'static str] = if self.tproxy { &["nat", "mangle"] } else { &["nat"] };
        for table in tables {
            for interface in self.flags.list("istio-exclude-interfaces") {
                rules.add(table, "PREROUTING", format!("-i {interface} -j RETURN"));
                rules.add(table, "OUTPUT", format!("-o {interface} -j RETURN"));
            }
        }
        for interface in self.flags.list("kube-virt-interfaces") {
            rules.insert("nat", "PREROUTING", 1, format!("-i {interface} -j RETURN"));
        }
    }

    fn inbound(&self, rules: &mut Rules, v6: bool) {
        let ports = self.flags.text("istio-inbound-ports");
        if ports.is_empty() {
            return;
        }
        if self.tproxy {
            let (mark, port) = (self.flags.text("istio-inbound-tproxy-mark"), self.flags.text("inbound-capture-port"));
            rules.add("mangle", "ISTIO_DIVERT", format!("-j MARK --set-mark {mark}"));
            rules.add("mangle", "ISTIO_DIVERT", "-j ACCEPT");
            let target = format!("-j TPROXY --tproxy-mark {mark}/0xffffffff --on-port {port}");
            rules.add("mangle", "ISTIO_TPROXY", format!("! -d {} -p tcp {target}", self.loopback(v6)));
        }
        let table = if self.tproxy { "mangle" } else { "nat" };
        rules.add(table, "PREROUTING", "-p tcp -j ISTIO_INBOUND");
        let which: Vec<String> = if ports == "*" {
            for port in self.flags.list("istio-local-exclude-ports") {
                rules.add(table, "ISTIO_INBOUND", format!("-p tcp --dport {port} -j RETURN"));
            }
            vec![String::new()]
        } else {
            self.flags.list("istio-inbound-ports").iter().map(|port| format!(" --dport {port}")).collect()
        };
        for which in which {
            if self.tproxy {
                let known = "-m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT";
                rules.add(table, "ISTIO_INBOUND", format!("-p tcp{which} {known}"));
                rules.add(table, "ISTIO_INBOUND", format!("-p tcp{which} -j ISTIO_TPROXY"));
            } else {
                rules.add(table, "ISTIO_INBOUND", format!("-p tcp{which} -j ISTIO_IN_REDIRECT"));
            }
        }
    }

    fn outbound(&self, rules: &mut Rules, v6: bool) {
        rules.add("nat", "OUTPUT", "-j ISTIO_OUTPUT");
        let mut output = |rule: String| rules.add("nat", "ISTIO_OUTPUT", rule);
        for port in self.flags.list("istio-local-outbound-ports-exclude") {
            output(format!("-p tcp --dport {port} -j RETURN"));
            output(format!("-p udp --dport {port} -j RETURN"));
        }
        output(format!("-o lo -s {} -j RETURN", Self::passthrough(v6)));
        let (loopback, tunnel) = (self.loopback(v6), self.flags.text("inbound-tunnel-port"));
        for (kind, id) in self.owners() {
            // To itself by the service's address: as if it came from outside. DNS of users goes its own way.
            let ports = match (self.dns, kind) {
                (true, "uid") => format!("-m multiport ! --dports 53,{tunnel}"),
                _ => format!("! --dport {tunnel}"),
            };
            let owner = format!("-m owner --{kind}-owner {id}");
            output(format!("-o lo ! -d {loopback} -p tcp {ports} {owner} -j ISTIO_IN_REDIRECT"));
            if !self.own_loopback {
                let ports = if self.dns { "-p tcp ! --dport 53 " } else { "" };
                output(format!("-o lo {ports}-m owner ! --{kind}-owner {id} -j RETURN"));
            }
            output(format!("{owner} -j RETURN"));
        }
        match self.flags.text("owner-groups") {
            "*" => {
                for group in self.flags.list("owner-groups-exclude") {
                    output(format!("-m owner --gid-owner {group} -j RETURN"));
                }
            }
            _ => {
                let groups = self.flags.list("owner-groups");
                let none: String = groups.iter().map(|group| format!("-m owner ! --gid-owner {group} ")).collect();
                output(format!("{none}-j RETURN"));
            }
        }
        if self.dns {
            self.dns(rules, v6);
        }
        rules.add("nat", "ISTIO_OUTPUT", format!("-d {loopback} -j RETURN"));
        for range in self.ranges("istio-service-exclude-cidr", v6) {
            rules.add("nat", "ISTIO_OUTPUT", format!("-d {range} -j RETURN"));
        }
        for port in self.flags.list("istio-outbound-ports") {
            rules.add("nat", "ISTIO_OUTPUT", format!("-p tcp --dport {port} -j ISTIO_REDIRECT"));
        }
        let virtual_interfaces = self.flags.list("kube-virt-interfaces");
        if self.flags.text("istio-service-cidr") == "*" {
            rules.add("nat", "ISTIO_OUTPUT", "-j ISTIO_REDIRECT");
            for interface in virtual_interfaces {
                rules.insert("nat", "PREROUTING", 1, format!("-i {interface} -j ISTIO_REDIRECT"));
            }
            return;
        }
        for range in self.ranges("istio-service-cidr", v6) {
            for interface in &virtual_interfaces {
                rules.insert("nat", "PREROUTING", 1, format!("-i {interface} -d {range} -j ISTIO_REDIRECT"));
            }
            rules.add("nat", "ISTIO_OUTPUT", format!("-d {range} -j ISTIO_REDIRECT"));
        }
    }

    /// The proxy's users, then its groups.
    fn owners(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let users = self.flags.list("proxy-uid").into_iter().map(|id| ("uid", id));
        users.chain(self.groups.iter().map(|id| ("gid", *id)))
    }

    /// The valid ranges of one family; what is no range is left out.
    fn ranges(&self, flag: &str, v6: bool) -> Vec<String> {
        let ranges = self.flags.list(flag).into_iter().filter_map(range_of);
        ranges
            .filter(|(address, _)| address.is_ipv6() == v6)
            .map(|(address, bits)| format!("{address}/{bits}"))
            .collect()
    }

    /// Queries go to the agent, answers back; the two directions are tracked apart, or they would be taken for each other.
    fn dns(&self, rules: &mut Rules, v6: bool) {
        let (list, bits) = if v6 { ("dns-servers-v6", 128) } else { ("dns-servers-v4", 32) };
        let servers: Vec<(String, String)> = if self.all_dns {
            vec![(String::new(), String::new())]
        } else {
            let servers = self.flags.list(list).into_iter();
            servers.map(|server| (format!(" -d {server}/{bits}"), format!(" -s {server}/{bits}"))).collect()
        };
        rules.add("raw", "OUTPUT", "-j ISTIO_OUTPUT_DNS");
        if !servers.is_empty() {
            rules.add("nat", "ISTIO_OUTPUT", "-j ISTIO_OUTPUT_DNS");
        }
        for (protocol, ports) in [("tcp", "--to-ports"), ("udp", "--to-port")] {
            for (to, _) in &servers {
                let rule = format!("-p {protocol} --dport 53{to} -j REDIRECT {ports} 15053");
                rules.add("nat", "ISTIO_OUTPUT_DNS", rule);
            }
        }
        for (kind, id) in self.owners() {
            let mut track = |port: &str, zone: u8| {
                let rule = format!("-p udp {port} -m owner --{kind}-owner {id} -j CT --zone {zone}");
                rules.add("raw", "ISTIO_OUTPUT_DNS", rule);
            };
            track("--dport 53", 1);
            track("--sport 15053", 2);
        }
        if !servers.is_empty() {
            rules.add("raw", "PREROUTING", "-j ISTIO_INBOUND");
        }
        for (to, from) in &servers {
            rules.add("raw", "ISTIO_OUTPUT_DNS", format!("-p udp --dport 53{to} -j CT --zone 2"));
            rules.add("raw", "ISTIO_INBOUND", format!("-p udp --sport 53{from} -j CT --zone 1"));
        }
    }

    /// Marks that tell the proxy's packets from the application's where addresses are kept.
    fn marks(&self, rules: &mut Rules, v6: bool) {
        const OUTBOUND: &str = "1338";
        let mark = self.flags.text("istio-inbound-tproxy-mark");
        rules.add("mangle", "PREROUTING", format!("-p tcp -m mark --mark {mark} -j CONNMARK --save-mark"));
        rules.add("mangle", "OUTPUT", format!("-p tcp -o lo -m mark --mark {mark} -j RETURN"));
        for (kind, id) in self.owners() {
            let owner = format!("-o lo -m owner --{kind}-owner {id}");
            let rule = format!("! -d {} -p tcp {owner} -j MARK --set-mark {OUTBOUND}", self.loopback(v6));
            rules.add("mangle", "OUTPUT", rule);
        }
        rules.add("mangle", "OUTPUT", format!("-p tcp -m connmark --mark {mark} -j CONNMARK --restore-mark"));
        let from = Self::passthrough(v6);
        rules.insert("mangle", "ISTIO_INBOUND", 1, format!("-p tcp -m mark --mark {mark} -j RETURN"));
        rules.insert("mangle", "ISTIO_INBOUND", 2, format!("-p tcp -s {from} -i lo -j RETURN"));
        rules.insert("mangle", "ISTIO_INBOUND", 3, format!("-p tcp -i lo -m mark ! --mark {OUTBOUND} -j RETURN"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(arguments: &str) -> Vec<String> {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        lines(&arguments, &BTreeMap::new()).unwrap().unwrap_or_default()
    }

    #[test]
    fn tables_are_whole_and_in_order() {
        let all = lines_of("-m TPROXY -b * -i * --redirect-dns --dns-servers-v4 10.0.0.10 --ipv6");
        let tables: Vec<&str> = all.iter().filter_map(|line| line.strip_prefix("* ")).collect();
        assert_eq!(tables, ["mangle", "nat", "raw", "mangle", "nat", "raw"]);
        assert_eq!(all.iter().filter(|line| *line == "COMMIT").count(), 6);
        // A chain is made before a rule is put into it.
        let mut made = std::collections::HashSet::new();
        for line in &all {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("*"), _) => made.clear(),
                (Some("-N"), Some(chain)) => drop(made.insert(chain.to_owned())),
                (Some("-A" | "-I"), Some(chain)) => {
                    assert!(matches!(chain, "PREROUTING" | "OUTPUT") || made.contains(chain), "{line}");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn inbound_ports_are_taken_or_left_out() {
        let all = lines_of("-b * -d 15090,15021,");
        let at = |rule: &str| all.iter().position(|line| line == rule).unwrap_or_else(|| panic!("{rule}: {all:#?}"));
        assert!(
            at("-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN") < at("-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT")
        );
        assert!(!lines_of("-b 80 -d 90").iter().any(|line| line.contains("90")));
        assert!(!lines_of("").iter().any(|line| line.contains("-j ISTIO_INBOUND")));
    }

    #[test]
    fn ranges_go_to_their_family_and_nonsense_nowhere() {
        let all = lines_of("--ipv6=true -i 10.0.0.0/8,fd00::/8,nonsense -x 10.1.0.0/16 -k net0");
        let half = all.iter().rposition(|line| line == "* nat").unwrap();
        let (v4, v6) = all.split_at(half);
        let has = |lines: &[String], rule: &str| lines.iter().any(|line| line == rule);
        assert!(has(v4, "-A ISTIO_OUTPUT -d 10.1.0.0/16 -j RETURN"));
        assert!(has(v4, "-I PREROUTING 1 -i net0 -d 10.0.0.0/8 -j ISTIO_REDIRECT"));
        assert!(has(v6, "-A ISTIO_OUTPUT -d fd00::/8 -j ISTIO_REDIRECT"));
        assert!(!all.iter().any(|line| line.contains("nonsense")) && !v6.iter().any(|line| line.contains("10.")));
    }

    #[test]
    fn what_is_no_question_of_rules_is_refused() {
        for bad in ["--native-nftables", "--cleanup-only=true", "-x *", "--nonsense=1", "word", "-p"] {
            let arguments: Vec<String> = bad.split_whitespace().map(str::to_owned).collect();
            assert!(lines(&arguments, &BTreeMap::new()).is_err(), "{bad}");
        }
        assert!(lines(&["--help".to_owned()], &BTreeMap::new()).unwrap().is_err());
    }
}
