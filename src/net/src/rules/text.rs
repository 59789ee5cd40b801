//! The table as text for `nft -f`: chains and rules that never change, and empty sets.
//!
//! ```text
//! prerouting  raw      sources     what comes from a pod must be its own
//!             dstnat   enter       affinity ▸ Services ▸ host ports ▸ node ports   (output: leave)
//!             dstnat+1 remember    which endpoint a client got                    (output as well)
//! input       filter   guard       the agent's own ports
//! forward     filter   forwarded   Service addresses that nobody has, policies
//! output      filter   asked       Service addresses that nobody has
//! postrouting srcnat   depart      detours to oneself, and what leaves the node
//! ```
//!
//! How many Services there are changes none of it: a lookup leads to the chain of as many endpoints as a Service
//! has, and that chain draws one of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::RulesConfig;
use super::element::{Chain, Concat, Data, Elements, Field, Key};
use super::set::{self, Leads, Set};
use super::state::Tables;
use crate::names::HostNames;
use pinnace_api::Cidr;

/// Up to so many endpoints have a chain for each number.
pub(super) const EXACT: u32 = 32;
/// More of them share so many slots, as evenly as it goes.
pub(super) const SLOTS: [u32; 2] = [256, 1024];
/// The most clients that are remembered at once, a family.
const CLIENTS_MAX: u32 = 65_536;
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];
/// (`4`, what the addresses are called in rules, in types).
const FAMILIES: [(u8, &str, &str); 2] = [(4, "ip", "ipv4"), (6, "ip6", "ipv6")];

/// Which number of the structure this is: a table of another one is laid anew, with its elements.
pub(super) fn layout() -> String {
    let hash = structure().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("layout {hash:016x}")
}

/// What is to become of the table that is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before<'a> {
    /// It is of the same layout: its rules are laid anew, its elements stay.
    Kept,
    /// It is not, or there is none: it goes, and these elements are put into the new one.
    Replaced(&'a Tables),
}

/// One transaction that leaves the table as it is to be.
pub(super) fn declaration(
    config: &RulesConfig,
    names: &HostNames,
    timeouts: &BTreeSet<u32>,
    before: Before<'_>,
) -> String {
    let table = names.table();
    let mut text = format!("add table inet {table}\n");
    match before {
        Before::Kept => {
            let _ = writeln!(text, "flush table inet {table}");
            for set in ["pods4", "pods6", "service-range4", "service-range6"] {
                // The sets of another configuration.
                let _ = writeln!(text, "add set inet {table} {set} {{ {} }}", ranges_type(set));
                let _ = writeln!(text, "flush set inet {table} {set}");
            }
        }
        Before::Replaced(_) => {
            let _ = writeln!(text, "delete table inet {table}");
        }
    }
    let _ = writeln!(text, "table inet {table} {{\n  comment \"{}\"", layout());
    text.push_str(&structure());
    rules(&mut text, config, names, timeouts);
    text.push_str("}\n");
    range_elements(&mut text, &table, "pods", &config.pod_ranges);
    range_elements(&mut text, &table, "service-range", &config.service_ranges);
    if let Before::Replaced(tables) = before {
        for (set, elements) in tables {
            add_elements(&mut text, &table, *set, elements);
        }
    }
    text
}

fn ranges_type(set: &str) -> &'static str {
    if set.ends_with('4') {
        "type ipv4_addr; flags interval; auto-merge;"
    } else {
        "type ipv6_addr; flags interval; auto-merge;"
    }
}

/// Sets and the chains at the hooks.
fn structure() -> String {
    let mut text = String::new();
    for set in ["pods4", "pods6", "service-range4", "service-range6"] {
        let _ = writeln!(text, "  set {set} {{ {} }}", ranges_type(set));
    }
    for set in set::all() {
        let _ = writeln!(text, "  {}", definition(set));
    }
    for (chain, kind, hook, priority) in [
        ("sources", "filter", "prerouting", -300),
        ("enter", "nat", "prerouting", -100),
        ("leave", "nat", "output", -100),
        ("remember", "filter", "prerouting", -99),
        ("remember-own", "filter", "output", -99),
        ("guard", "filter", "input", 0),
        ("forwarded", "filter", "forward", 0),
        ("asked", "filter", "output", 0),
        ("depart", "nat", "postrouting", 100),
    ] {
        let _ = writeln!(
            text,
            "  chain {chain} {{ type {kind} hook {hook} priority {priority}; policy accept; }}"
        );
    }
    text
}

fn definition(set: Set) -> String {
    let name = set.name();
    let key = types(&set.key());
    let flags = match (set.is_of_ranges(), set.is_dynamic()) {
        (true, _) => " flags interval;".to_owned(),
        (_, true) => format!(" flags dynamic,timeout; size {CLIENTS_MAX};"),
        _ => String::new(),
    };
    match set.leads() {
        Leads::Nowhere => format!("set {name} {{ type {key};{flags} }}"),
        Leads::ToPort => format!("map {name} {{ type {key} : {};{flags} }}", types(&set.value())),
        Leads::ToChain => format!("map {name} {{ type {key} : verdict;{flags} }}"),
    }
}

fn types(fields: &[Field]) -> String {
    let name = |field: &Field| match field {
        Field::V4 => "ipv4_addr",
        Field::V6 => "ipv6_addr",
        Field::Protocol => "inet_proto",
        Field::Port => "inet_service",
        // What `meta priority` is.
        Field::Index => "classid",
        Field::Link => "ifname",
    };
    fields.iter().map(name).collect::<Vec<_>>().join(" . ")
}

fn rules(text: &mut String, config: &RulesConfig, names: &HostNames, timeouts: &BTreeSet<u32>) {
    // The kernel sends few ICMP errors, and resets at once.
    let refuse = ["meta l4proto tcp reject with tcp reset", "reject"];
    chain(text, &Chain::Refuse.name(), &refuse.map(str::to_owned));
    for slots in (1..=EXACT).chain(SLOTS) {
        endpoints(text, slots);
    }
    for seconds in timeouts {
        // Its rules are laid by netlink: nft before 1.0.7 has no room for a key as long as theirs.
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
        rules.push(format!(
            "{ip} daddr {server} meta l4proto {{ tcp, udp }} th dport 53 accept"
        ));
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

fn range_elements(text: &mut String, table: &str, set: &str, ranges: &[Cidr]) {
    for v4 in [true, false] {
        let ranges: Vec<String> = ranges
            .iter()
            .filter(|range| range.is_ipv4() == v4)
            .map(Cidr::to_string)
            .collect();
        if !ranges.is_empty() {
            let digit = if v4 { 4 } else { 6 };
            let _ = writeln!(
                text,
                "add element inet {table} {set}{digit} {{ {} }}",
                ranges.join(", ")
            );
        }
    }
}

fn add_elements(text: &mut String, table: &str, set: Set, elements: &Elements) {
    let written: Vec<String> = elements
        .iter()
        .filter_map(|(key, entry)| {
            let data = match (set.leads(), &entry.data) {
                (Leads::Nowhere, Data::Member) => String::new(),
                (Leads::ToPort, Data::Value(value)) => format!(" : {}", fields(&set.value(), value, None)?),
                (Leads::ToChain, Data::Goto(chain)) => format!(" : goto {}", chain.name()),
                _ => return None,
            };
            // A comment is text of this program's own, but what is quoted must not end the quotation.
            let owner = entry.owner.as_ref().filter(|owner| !owner.contains(['"', '\n']));
            let comment = owner.map_or_else(String::new, |owner| format!(" comment \"{owner}\""));
            Some(format!("{}{comment}{data}", key_text(set, key)?))
        })
        .collect();
    if !written.is_empty() {
        let _ = writeln!(
            text,
            "add element inet {table} {} {{ {} }}",
            set.name(),
            written.join(",\n ")
        );
    }
}

fn key_text(set: Set, key: &Key) -> Option<String> {
    fields(&set.key(), &key.first, key.last.as_ref())
}

/// Fields as nft writes them; `None` for bytes that are not of these fields.
fn fields(kinds: &[Field], first: &Concat, last: Option<&Concat>) -> Option<String> {
    let (mut low, mut high) = (first.0.as_slice(), last.map(|last| last.0.as_slice()));
    let mut written = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let (bytes, rest) = low.split_at_checked(kind.width())?;
        low = rest;
        let mut field = field_text(*kind, bytes)?;
        if let Some(bytes) = high {
            let (bytes, rest) = bytes.split_at_checked(kind.width())?;
            high = Some(rest);
            let end = field_text(*kind, bytes)?;
            if end != field {
                field = format!("{field}-{end}");
            }
        }
        written.push(field);
    }
    low.is_empty().then(|| written.join(" . "))
}

fn field_text(kind: Field, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        Field::V4 => std::net::Ipv4Addr::from(*bytes.first_chunk::<4>()?).to_string(),
        Field::V6 => std::net::Ipv6Addr::from(*bytes.first_chunk::<16>()?).to_string(),
        Field::Protocol => bytes.first()?.to_string(),
        Field::Port => u16::from_be_bytes(*bytes.first_chunk::<2>()?).to_string(),
        Field::Index => {
            let number = u32::from_ne_bytes(*bytes.first_chunk::<4>()?);
            format!("{:x}:{:x}", number >> 16, number & 0xffff)
        }
        Field::Link => {
            let name: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0).collect();
            let plain = |byte: &u8| byte.is_ascii_alphanumeric();
            if name.is_empty() || !name.iter().all(plain) {
                return None;
            }
            format!("\"{}\"", String::from_utf8(name).ok()?)
        }
    })
}
