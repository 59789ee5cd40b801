//! The rules in the chains.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::RulesConfig;
use super::element::Chain;
use crate::names::HostNames;

/// Up to so many endpoints have a chain for each number.
pub(super) const EXACT: u32 = 32;
/// More of them share so many slots, as evenly as it goes.
pub(super) const SLOTS: [u32; 2] = [256, 1024];
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];
/// (`4`, what the addresses are called in rules, in types).
const FAMILIES: [(u8, &str, &str); 2] = [(4, "ip", "ipv4"), (6, "ip6", "ipv6")];

/// Writes all chains with their rules.
pub(super) fn write(text: &mut String, config: &RulesConfig, names: &HostNames, timeouts: &BTreeSet<u32>) {
    // The kernel sends few ICMP errors, and resets at once.
    let refuse = ["meta l4proto tcp reject with tcp reset", "reject"];
    chain(text, &Chain::Refuse.name(), &refuse.map(str::to_owned));
    for slots in (1..=EXACT).chain(SLOTS) {
        endpoints(text, slots);
    }
    for seconds in timeouts {
        // Its rules are laid by netlink: nft 1.0.6 has no room for a key as long as theirs.
        chain(text, &Chain::Affinity(*seconds).name(), &[]);
    }
    sources(text, config, names.group());
    translation(text, config);
    remember(text);
    guard(text, config, names.group());
    forwarded(text);
    depart(text, config);
}

fn chain(text: &mut String, name: &str, rules: &[String]) {
    let _ = writeln!(text, "  chain {name} {{");
    for rule in rules {
        let _ = writeln!(text, "    {rule}");
    }
    text.push_str("  }\n");
}

/// A rule for each family.
fn each(rule: impl Fn(u8, &str) -> String) -> Vec<String> {
    FAMILIES.iter().map(|(digit, ip, _)| rule(*digit, ip)).collect()
}

/// The number is drawn into the packet's priority: nothing looks at it before it is set back (`remember`), and unlike
/// the mark it decides no route.
fn endpoints(text: &mut String, slots: u32) {
    let drawn = format!("meta priority set numgen random mod {slots}");
    let mut of_address = vec![drawn.clone()];
    of_address.extend(each(|f, ip| {
        format!("dnat {ip} to {ip} daddr . meta l4proto . th dport . meta priority map @endpoints{f}")
    }));
    chain(text, &Chain::Endpoints(slots).name(), &of_address);
    let mut of_node = vec![drawn];
    of_node.extend(each(|f, ip| {
        format!("dnat {ip} to meta l4proto . th dport . meta priority map @node-endpoints{f}")
    }));
    chain(text, &Chain::NodeEndpoints(slots).name(), &of_node);
}

fn sources(text: &mut String, config: &RulesConfig, group: u32) {
    let mut from_pods = vec!["ip daddr 127.0.0.0/8 drop".to_owned()];
    from_pods.extend(each(|f, ip| format!("iifname . {ip} saddr != @sources{f} drop")));
    chain(text, "from-pods", &from_pods);
    let mut rules = vec![format!("iifgroup {group} jump from-pods")];
    if config.host_ports_on_loopback {
        // The links route what is for 127.0.0.1, so nothing from outside may claim to be.
        rules.push("iifname != \"lo\" ip daddr 127.0.0.0/8 drop".to_owned());
    }
    chain(text, "sources", &rules);
}

fn translation(text: &mut String, config: &RulesConfig) {
    let mut services = each(|f, ip| {
        format!("dnat {ip} to {ip} saddr . {ip} daddr . meta l4proto . th dport map @affinity{f}")
    });
    services.extend(each(|f, ip| {
        format!("{ip} daddr . meta l4proto . th dport vmap @services{f}")
    }));
    services.push("fib daddr type local jump node".to_owned());
    // The name server's own address is the host's too, and its ports are its own.
    let mut node = each(|f, ip| format!("{ip} daddr @service-range{f} return"));
    if !config.host_ports_on_loopback {
        node.push("ip daddr 127.0.0.0/8 return".to_owned());
    }
    node.push("ip6 daddr ::1 return".to_owned());
    node.extend(each(|f, ip| {
        format!("dnat {ip} to {ip} daddr . meta l4proto . th dport map @host-ports{f}")
    }));
    node.extend(each(|f, ip| {
        format!("dnat {ip} to meta l4proto . th dport map @host-ports-any{f}")
    }));
    node.extend(
        FAMILIES.iter().map(|(f, _, family)| {
            format!("meta nfproto {family} meta l4proto . th dport vmap @node-ports{f}")
        }),
    );
    chain(text, "node", &node);
    chain(text, "translate", &services);
    for hook in ["enter", "leave"] {
        chain(text, hook, &["jump translate".to_owned()]);
    }
}

fn remember(text: &mut String) {
    let mut rules = vec!["meta priority set 0:0".to_owned()];
    for protocol in PROTOCOLS {
        let of = format!("meta l4proto {protocol}");
        rules.extend(each(|f, ip| {
            format!("{of} ct original {ip} daddr . meta l4proto . ct original proto-dst vmap @affine{f}")
        }));
        rules.extend(each(|f, ip| {
            format!(
                "{of} ct original {ip} daddr != @service-range{f} ct original {ip} daddr != @external{f} \
                 meta l4proto . ct original proto-dst vmap @affine-nodes{f}"
            )
        }));
    }
    chain(text, "remember-client", &rules);
    for hook in ["remember", "remember-own"] {
        chain(
            text,
            hook,
            &["ct state new ct status dnat jump remember-client".to_owned()],
        );
    }
}

fn guard(text: &mut String, config: &RulesConfig, group: u32) {
    let mut rules = Vec::new();
    for server in &config.dns {
        let ip = if server.is_ipv4() { "ip" } else { "ip6" };
        let asked = format!("{ip} daddr {server} meta l4proto {{ tcp, udp }} th dport 53");
        if !config.pod_ranges.is_empty() {
            // Who is neither a pod nor on this host could ask it for all the world, in anybody's name.
            rules.push(format!("iifname != \"lo\" iifgroup != {group} {asked} drop"));
        }
        rules.push(format!("{asked} accept"));
    }
    if !config.pods_may_reach_agent && !config.agent_ports.is_empty() {
        let ports: BTreeSet<String> = config.agent_ports.iter().map(u16::to_string).collect();
        let ports: Vec<String> = ports.into_iter().collect();
        rules.push(format!(
            "iifgroup {group} ct direction original tcp dport {{ {} }} drop",
            ports.join(", ")
        ));
    }
    chain(text, "guard", &rules);
}

fn forwarded(text: &mut String) {
    for (f, ip, _) in FAMILIES {
        for (name, set, pod, peer) in [
            ("ingress", "in", "daddr", "saddr"),
            ("egress", "out", "saddr", "daddr"),
        ] {
            let pair = format!("{ip} {pod} . {ip} {peer}");
            let rules = [
                format!("{pair} @allowed-any-{set}{f} return"),
                format!("{pair} . meta l4proto . th dport @allowed-{set}{f} return"),
                "drop".to_owned(),
            ];
            chain(text, &format!("{name}{f}"), &rules);
        }
    }
    let mut rules = vec!["ct state established,related accept".to_owned()];
    rules.extend(each(|f, ip| format!("{ip} daddr @service-range{f} goto refuse")));
    rules.extend(each(|f, ip| {
        format!("{ip} saddr . {ip} daddr @hairpin{f} accept")
    }));
    rules.extend(each(|f, ip| {
        format!("{ip} saddr @isolated-out{f} jump egress{f}")
    }));
    rules.extend(each(|f, ip| {
        format!("{ip} daddr @isolated-in{f} jump ingress{f}")
    }));
    chain(text, "forwarded", &rules);
    let asked = each(|f, ip| format!("{ip} daddr @service-range{f} fib daddr type != local goto refuse"));
    chain(text, "asked", &asked);
}

fn depart(text: &mut String, config: &RulesConfig) {
    let mut rules = each(|f, ip| format!("{ip} saddr . {ip} daddr @hairpin{f} masquerade fully-random"));
    rules.extend(each(|f, ip| {
        format!("{ip} saddr @pods{f} {ip} daddr != @pods{f} oifname != \"lo\" masquerade fully-random")
    }));
    if config.host_ports_on_loopback {
        rules.push("ip saddr 127.0.0.0/8 ip daddr @pods4 masquerade fully-random".to_owned());
    }
    chain(text, "depart", &rules);
}
