//! Chains of legacy iptables that drop what pods send and receive. No list of nftables shows them: the program that
//! iptables has for it does, and it is executed only where the kernel has such tables.

use std::path::Path;

use pinnace_sys::file;

use super::firewall::Hook;
use super::saved::{self, SavedError};
use crate::config::NetConfig;
use crate::finding::Finding;

/// Of this thread's network.
const TABLES: &str = "/proc/thread-self/net";
const TABLES_MAX_BYTES: u64 = 4096;
/// What our links' names begin with, as iptables writes it.
const LINKS: &str = "pn+";

/// What a family's tables and programs are called.
struct Family {
    is_v4: bool,
    tables: &'static str,
    /// (what shows rules, what changes them); where iptables never spoke to nftables, its plain names.
    programs: [(&'static str, &'static str); 2],
}

const FAMILIES: [Family; 2] = [
    Family {
        is_v4: true,
        tables: "ip_tables_names",
        programs: [
            ("iptables-legacy-save", "iptables-legacy"),
            ("iptables-save", "iptables"),
        ],
    },
    Family {
        is_v4: false,
        tables: "ip6_tables_names",
        programs: [
            ("ip6tables-legacy-save", "ip6tables-legacy"),
            ("ip6tables-save", "ip6tables"),
        ],
    },
];

/// Every chain of legacy iptables that drops by default and lets no link of a pod pass.
pub(super) fn closed(config: &NetConfig) -> Vec<Finding> {
    let with_pods = |family: &&Family| {
        let mut ranges = config.pod_ranges.iter();
        ranges.any(|range| range.is_ipv4() == family.is_v4)
    };
    let families = FAMILIES.iter().filter(with_pods);
    families.flat_map(closed_of).collect()
}

fn closed_of(family: &Family) -> Vec<Finding> {
    let tables = file::read_text(&Path::new(TABLES).join(family.tables), TABLES_MAX_BYTES);
    // Where the kernel has no such tables, the file is missing.
    if !tables.is_ok_and(|tables| tables.lines().any(|table| table == "filter")) {
        return Vec::new();
    }
    match saved::filter_table(family.programs.map(|(save, _)| save)) {
        Ok((program, text)) => {
            let change = family.programs.iter().find(|(save, _)| *save == program);
            let change = change.map_or(program, |(_, change)| change);
            let hooks = [Hook::Input, Hook::Forward];
            let closed = hooks.into_iter().filter(|hook| is_closed(&text, chain(*hook)));
            closed.map(|hook| finding(hook, change)).collect()
        }
        Err(error) => vec![unseen(family, &error)],
    }
}

fn chain(hook: Hook) -> &'static str {
    match hook {
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
    }
}

/// By its policy or its last rule, and no rule on the way names our links. A chain of somebody's own may be on the
/// way to any of the kernel's.
fn is_closed(text: &str, chain: &str) -> bool {
    let policy = format!(":{chain} DROP");
    let mut closed = false;
    for line in text.lines() {
        if line
            .strip_prefix(&policy)
            .is_some_and(|rest| rest.starts_with(' '))
        {
            closed = true;
        }
        let Some((owner, rule)) = line.strip_prefix("-A ").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let passed = owner == chain || !["INPUT", "FORWARD", "OUTPUT"].contains(&owner);
        if passed && names_links(rule) {
            return false;
        }
        if owner == chain && refuses_all(rule) {
            closed = true;
        }
    }
    closed
}

fn names_links(rule: &str) -> bool {
    let words: Vec<&str> = rule.split(' ').collect();
    let named = words
        .windows(2)
        .any(|pair| ["-i", "-o"].contains(&pair[0]) && pair[1] == LINKS);
    // What follows an exclamation mark is what it does not match.
    named && !words.contains(&"!") && words.windows(2).any(|pair| pair == ["-j", "ACCEPT"])
}

/// Nothing is asked of the packet.
fn refuses_all(rule: &str) -> bool {
    let rule = without_comment(rule);
    let target = rule.trim_start().strip_prefix("-j ");
    target.is_some_and(|target| target == "DROP" || target.split(' ').next() == Some("REJECT"))
}

/// A comment is written as a match.
fn without_comment(rule: &str) -> &str {
    let Some(rest) = rule.strip_prefix("-m comment --comment ") else {
        return rule;
    };
    let Some(quoted) = rest.strip_prefix('"') else {
        return rest.split_once(' ').map_or("", |(_, rest)| rest);
    };
    let mut escaped = false;
    let end = quoted.find(|character| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    end.and_then(|end| quoted.get(end + 1..)).unwrap_or_default()
}

fn finding(hook: Hook, program: &str) -> Finding {
    let chain = chain(hook);
    let accept = |side: &str| format!("{program} -I {chain} {side} {LINKS} -j ACCEPT");
    match hook {
        Hook::Forward => Finding::new(
            format!(
                "The host's firewall drops what is forwarded to and from pods (chain {chain} of legacy iptables)."
            ),
            format!("Add two rules: {}; {}.", accept("-i"), accept("-o")),
        ),
        Hook::Input => Finding::new(
            format!(
                "The host's firewall drops what pods send to this host, the questions for names too (chain {chain} of \
                 legacy iptables)."
            ),
            format!("Add a rule: {}.", accept("-i")),
        ),
    }
}

fn unseen(family: &Family, error: &SavedError) -> Finding {
    let [(save, _), _] = family.programs;
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        why = format!("{why}: {source}");
    }
    Finding::new(
        format!(
            "The host has rules of legacy iptables, and whether they let pods pass cannot be seen: {why}."
        ),
        format!("Install the package iptables, and see that {save} works."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(policy: &str, rules: &[&str]) -> String {
        let rules: String = rules.iter().map(|rule| format!("-A {rule}\n")).collect();
        format!(
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD {policy} [7:9]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n"
        )
    }

    #[test]
    fn a_chain_is_closed_by_its_policy_or_its_last_word() {
        assert!(!is_closed(&saved("ACCEPT", &[]), "FORWARD"));
        assert!(is_closed(&saved("DROP", &[]), "FORWARD"));
        assert!(!is_closed(&saved("DROP", &[]), "INPUT"));
        assert!(is_closed(
            &saved("DROP", &["FORWARD -i eth0 -j ACCEPT"]),
            "FORWARD"
        ));
        for rule in [
            "FORWARD -j DROP",
            "FORWARD -j REJECT --reject-with icmp-port-unreachable",
            r#"FORWARD -m comment --comment "no \"way\" -j ACCEPT" -j DROP"#,
            "FORWARD -m comment --comment wall -j DROP",
        ] {
            assert!(is_closed(&saved("ACCEPT", &[rule]), "FORWARD"), "{rule}");
            assert!(!is_closed(&saved("ACCEPT", &[rule]), "INPUT"), "{rule}");
        }
        for rule in [
            "FORWARD -s 192.0.2.1/32 -j DROP",
            "OUTPUT -j DROP",
            "DOCKER -j DROP",
        ] {
            assert!(!is_closed(&saved("ACCEPT", &[rule]), "FORWARD"), "{rule}");
        }
    }

    #[test]
    fn a_rule_for_pods_links_opens_it_also_in_a_chain_that_it_leads_to() {
        for rule in [
            "FORWARD -i pn+ -j ACCEPT",
            "FORWARD -o pn+ -j ACCEPT",
            "DOCKER-USER -i pn+ -j ACCEPT",
        ] {
            assert!(!is_closed(&saved("DROP", &[rule]), "FORWARD"), "{rule}");
        }
        for rule in [
            "INPUT -i pn+ -j ACCEPT",
            "FORWARD ! -i pn+ -j ACCEPT",
            "FORWARD -i pn+ -j DROP",
            "FORWARD -i pnet0 -j ACCEPT",
        ] {
            assert!(is_closed(&saved("DROP", &[rule]), "FORWARD"), "{rule}");
        }
    }
}
