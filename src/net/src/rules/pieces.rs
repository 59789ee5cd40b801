//! The kernel's pieces that the table is made of: each is tried by itself, and nothing of it stays.

use super::{RulesError, conntrack, program};

/// (what it is for, its name, a chain's content that needs it)
const PIECES: [(&str, &str, &str); 10] = [
    (
        "filter packets",
        "CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET",
        "chain c { type filter hook forward priority 0; }",
    ),
    (
        "translate addresses",
        "CONFIG_NFT_NAT, since Linux 5.2 for the family inet",
        "chain c { type nat hook prerouting priority -100; dnat ip to 192.0.2.1; }",
    ),
    (
        "masquerade",
        "CONFIG_NFT_MASQ",
        "chain c { type nat hook postrouting priority 100; masquerade; }",
    ),
    (
        "track connections",
        "CONFIG_NFT_CT",
        "chain c { ct state established accept; }",
    ),
    (
        "reject packets",
        "CONFIG_NFT_REJECT_INET",
        "chain c { type filter hook forward priority 0; reject; }",
    ),
    (
        "reject packets before they are routed",
        "since Linux 5.9",
        "chain c { type filter hook prerouting priority 0; reject; }",
    ),
    (
        "ask which addresses are the host's",
        "CONFIG_NFT_FIB_INET",
        "chain c { type filter hook prerouting priority 0; fib daddr type local accept; }",
    ),
    (
        "draw numbers",
        "CONFIG_NFT_NUMGEN",
        "chain c { numgen random mod 2 0 accept; }",
    ),
    (
        "keep ranges of several fields",
        "since Linux 5.6",
        "set s { type ipv4_addr . inet_service; flags interval; }",
    ),
    (
        "fill maps by rules",
        "CONFIG_NF_TABLES, map updates",
        "map m { type ipv4_addr : inet_service; flags dynamic,timeout; size 16; }\n \
         chain c { meta l4proto tcp update @m { ip saddr timeout 1s : th dport }; }",
    ),
];

/// The first piece that this kernel lacks.
pub(super) fn lacking() -> Option<RulesError> {
    lacking_pieces().into_iter().next()
}

/// All that this kernel lacks; or the one reason for which it cannot be asked.
pub(super) fn lacking_pieces() -> Vec<RulesError> {
    let mut lacking = Vec::new();
    for (what, option, content) in PIECES {
        let content = content.replace("; }", "\n }").replace("{ type", "{\n type");
        let text = format!("table inet pinnace-probe {{\n {content}\n}}\n");
        match program::run(&text, true) {
            Ok(()) => {}
            Err(RulesError::Refused { .. }) => lacking.push(RulesError::Lacks { what, option }),
            Err(error) => return vec![error],
        }
    }
    if lacking.is_empty() && conntrack::probe().is_err() {
        lacking.push(RulesError::Lacks {
            what: "end UDP flows to pods that are gone",
            option: "CONFIG_NF_CT_NETLINK",
        });
    }
    lacking
}
