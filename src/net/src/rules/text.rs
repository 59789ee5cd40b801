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

use super::element::Field;
use super::set::{self, Leads, Set};
use super::state::Tables;
use super::{RulesConfig, chains, written};
use crate::names::HostNames;
use pinnace_api::Cidr;

/// The most clients that are remembered at once, a family.
const CLIENTS_MAX: u32 = 65_536;

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
    chains::write(&mut text, config, names, timeouts);
    text.push_str("}\n");
    range_elements(&mut text, &table, "pods", &config.pod_ranges);
    range_elements(&mut text, &table, "service-range", &config.service_ranges);
    if let Before::Replaced(tables) = before {
        for (set, elements) in tables {
            written::add(&mut text, &table, *set, elements);
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
