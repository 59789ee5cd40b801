//! Chains of others that drop what pods send and receive: an accept of ours does not overrule them.

use pinnace_sys::netlink::{self, Attributes, Batch, Received, Socket};
use pinnace_sys::{Doing, SysResult};

use super::wire::{HEADER, NFTABLES, header};
use crate::finding::Finding;
use crate::names::HostNames;

/// `NFT_MSG_NEWCHAIN`, `NFT_MSG_GETCHAIN`, `NFT_MSG_NEWRULE`, `NFT_MSG_GETRULE`.
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const GET_CHAINS: u16 = NFTABLES << 8 | 4;
const NEW_RULE: u16 = NFTABLES << 8 | 6;
const GET_RULES: u16 = NFTABLES << 8 | 7;
/// `NFTA_CHAIN_TABLE`, `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`, `NFTA_CHAIN_POLICY`.
const TABLE: u16 = 1;
const NAME: u16 = 3;
const HOOK: u16 = 4;
const POLICY: u16 = 5;
/// `NFTA_HOOK_HOOKNUM`.
const HOOK_NUMBER: u16 = 1;
/// `NFTA_RULE_TABLE`, `NFTA_RULE_CHAIN`, `NFTA_RULE_EXPRESSIONS`.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const EXPRESSIONS: u16 = 4;
/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;

/// Hooks that pods' packets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    Input,
    Forward,
}

#[derive(Debug)]
struct Chain {
    family: u8,
    table: String,
    name: String,
    hook: Hook,
    policy: u32,
}

/// Every chain of others that drops by default and lets no link of a pod pass.
pub(super) fn closed(names: &HostNames) -> SysResult<Vec<Finding>> {
    let mut socket = super::wire::socket()?;
    let mut batch = Batch::new();
    batch.message(GET_CHAINS, netlink::DUMP, &header(0, 0));
    let listed = socket.dump_request(&batch).doing("list", "chains")?;
    let mut findings = Vec::new();
    for chain in listed
        .iter()
        .filter_map(read)
        .filter(|chain| chain.table != names.table())
    {
        let rules = rules(&mut socket, &chain)?;
        let ends_closed = chain.policy == DROP || rules.last().is_some_and(refuses_all);
        if ends_closed && !rules.iter().any(|rule| names_links(rule, names)) {
            findings.push(finding(&chain));
        }
    }
    Ok(findings)
}

fn read(message: &Received) -> Option<Chain> {
    let attributes = (message.kind == NEW_CHAIN).then(|| message.attributes(HEADER))?;
    let number = attributes.find(HOOK)?.nested().find(HOOK_NUMBER)?.u32_be()?;
    Some(Chain {
        family: *message.payload.first()?,
        table: attributes.find(TABLE)?.text()?.to_owned(),
        name: attributes.find(NAME)?.text()?.to_owned(),
        // `NF_INET_LOCAL_IN`, `NF_INET_FORWARD`, of the families that have them.
        hook: match number {
            1 => Hook::Input,
            2 => Hook::Forward,
            _ => return None,
        },
        policy: attributes.find(POLICY)?.u32_be()?,
    })
    .filter(|chain| family(chain.family).is_some())
}

fn family(number: u8) -> Option<&'static str> {
    match number {
        1 => Some("inet"),
        2 => Some("ip"),
        10 => Some("ip6"),
        _ => None,
    }
}

fn rules(socket: &mut Socket, chain: &Chain) -> SysResult<Vec<Received>> {
    let mut batch = Batch::new();
    batch
        .message(GET_RULES, netlink::DUMP, &header(chain.family, 0))
        .text(RULE_TABLE, &chain.table)
        .text(RULE_CHAIN, &chain.name);
    let mut listed = socket
        .dump_request(&batch)
        .doing("list the rules of", &chain.name)?;
    // Older kernels list those of all chains, whatever was asked for.
    listed.retain(|rule| {
        let of = |kind| rule.attributes(HEADER).find(kind);
        rule.kind == NEW_RULE
            && of(RULE_TABLE).and_then(|table| table.text()) == Some(&chain.table)
            && of(RULE_CHAIN).and_then(|name| name.text()) == Some(&chain.name)
    });
    Ok(listed)
}

fn expressions(rule: &Received) -> Attributes<'_> {
    let found = rule.attributes(HEADER).find(EXPRESSIONS);
    found.map_or(Attributes::of(&[]), |list| list.nested())
}

/// Nothing but counting and logging stands before the end.
fn refuses_all(rule: &Received) -> bool {
    let mut refuses = false;
    for expression in expressions(rule) {
        let name = expression.nested().find(EXPRESSION_NAME);
        match name.and_then(|name| name.text()) {
            Some("counter" | "log") => {}
            Some("reject") => refuses = true,
            // A verdict: `NFTA_IMMEDIATE_DATA` (2), `NFTA_DATA_VERDICT` (2), `NFTA_VERDICT_CODE` (1).
            Some("immediate") => {
                let data = expression.nested().find(EXPRESSION_DATA);
                let value = data.and_then(|data| data.nested().find(2));
                let verdict = value.and_then(|value| value.nested().find(2));
                let code = verdict.and_then(|verdict| verdict.nested().find(1));
                refuses = code.and_then(|code| code.u32_be()) == Some(DROP);
            }
            _ => return false,
        }
    }
    refuses
}

/// It compares something with the beginning of our links' names, or with their group.
fn names_links(rule: &Received, names: &HostNames) -> bool {
    let group = names.group().to_ne_bytes();
    expressions(rule).any(|expression| {
        // `NFTA_CMP_DATA`, `NFTA_DATA_VALUE`.
        let data = expression.nested().find(EXPRESSION_DATA);
        let value = data.and_then(|data| data.nested().find(3));
        let value = value.and_then(|value| value.nested().find(1));
        value.is_some_and(|value| value.value == b"pn" || value.value == group)
    })
}

fn finding(chain: &Chain) -> Finding {
    let Chain { table, name, .. } = chain;
    let of = format!("{} {table} {name}", family(chain.family).unwrap_or_default());
    let accept = |what: &str| format!("nft insert rule {of} {what} \"pn*\" accept");
    match chain.hook {
        Hook::Forward => Finding::new(
            format!("The host's firewall drops what is forwarded to and from pods (chain {of})."),
            format!("Add two rules: {}; {}.", accept("iifname"), accept("oifname")),
        ),
        Hook::Input => Finding::new(
            format!(
                "The host's firewall drops what pods send to this host, the questions for names too (chain {of})."
            ),
            format!("Add a rule: {}.", accept("iifname")),
        ),
    }
}
