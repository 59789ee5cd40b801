//! The kernel's pieces that the table is made of: each is tried by itself, and nothing of it stays.

use super::{RulesError, conntrack, program};

/// (what it is for, its name, the module it is in, a chain's content that needs it)
const PIECES: [(&str, &str, Option<&str>, &str); 10] = [
    (
        "filter packets",
        "CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET",
        Some("nf_tables"),
        "chain c { type filter hook forward priority 0; }",
    ),
    (
        "translate addresses",
        "CONFIG_NFT_NAT, since Linux 5.2 for the family inet",
        Some("nft_nat"),
        "chain c { type nat hook prerouting priority -100; dnat ip to 192.0.2.1; }",
    ),
    (
        "masquerade",
        "CONFIG_NFT_MASQ",
        Some("nft_masq"),
        "chain c { type nat hook postrouting priority 100; masquerade; }",
    ),
    (
        "track connections",
        "CONFIG_NFT_CT",
        Some("nft_ct"),
        "chain c { ct state established accept; }",
    ),
    (
        "reject packets",
        "CONFIG_NFT_REJECT_INET",
        Some("nft_reject_inet"),
        "chain c { type filter hook forward priority 0; reject; }",
    ),
    (
        "reject packets before they are routed",
        "since Linux 5.9",
        None,
        "chain c { type filter hook prerouting priority 0; reject; }",
    ),
    (
        "ask which addresses are the host's",
        "CONFIG_NFT_FIB_INET",
        Some("nft_fib_inet"),
        "chain c { type filter hook prerouting priority 0; fib daddr type local accept; }",
    ),
    (
        "draw numbers",
        "CONFIG_NFT_NUMGEN",
        Some("nft_numgen"),
        "chain c { numgen random mod 2 0 accept; }",
    ),
    (
        "keep ranges of several fields",
        "since Linux 5.6",
        None,
        "set s { type ipv4_addr . inet_service; flags interval; }",
    ),
    (
        "fill maps by rules",
        "CONFIG_NF_TABLES, map updates",
        None,
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
    for (index, (what, option, module, content)) in PIECES.into_iter().enumerate() {
        let content = content.replace("; }", "\n }").replace("{ type", "{\n type");
        let text = format!("table inet pinnace-probe {{\n {content}\n}}\n");
        match program::run(&text, true) {
            Ok(()) => {}
            Err(RulesError::Refused { .. }) => {
                lacking.push(RulesError::Lacks { what, option, module });
                // Without the first there is none of the others.
                if index == 0 {
                    return lacking;
                }
            }
            Err(error) => return vec![error],
        }
    }
    if lacking.is_empty() && conntrack::probe().is_err() {
        lacking.push(RulesError::Lacks {
            what: "end UDP flows to pods that are gone",
            option: "CONFIG_NF_CT_NETLINK",
            module: Some("nf_conntrack_netlink"),
        });
    }
    lacking
}
