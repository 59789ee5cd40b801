//! The rules that remember which endpoint a client got: `update @affinity { client . address . protocol . port
//! timeout … : endpoint . port }`, as the kernel takes them.
//!
//! They are reached from maps whose keys have a protocol with ports, after the destination was rewritten.

use std::io;

use pinnace_sys::netlink::{self, Batch, Message, Socket};
use pinnace_sys::{Doing, SysResult};

use super::element::Chain;
use super::set::{Kind, Set};
use super::wire::{BEGIN, END, INET, NFTABLES, header};

/// `NFT_MSG_NEWRULE`.
const NEW_RULE: u16 = NFTABLES << 8 | 6;
/// `NFTA_RULE_TABLE`, `NFTA_RULE_CHAIN`, `NFTA_RULE_EXPRESSIONS`.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;
/// `NFT_REG32_00`: registers of four bytes each.
const REGISTER: u32 = 8;
/// `NFT_META_NFPROTO`, `NFT_META_L4PROTO`.
const NFPROTO: u32 = 15;
const L4PROTO: u32 = 16;
/// `NFT_CT_SRC_IP` and so on.
const SOURCE_V4: u32 = 19;
const DESTINATION_V4: u32 = 20;
const SOURCE_V6: u32 = 21;
const DESTINATION_V6: u32 = 22;
const DESTINATION_PORT: u32 = 12;
/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// `NFT_DYNSET_OP_UPDATE`.
const UPDATE: u32 = 1;

/// Fills the chains of these times, which are empty.
pub(super) fn lay(socket: &mut Socket, table: &str, seconds: impl Iterator<Item = u32>) -> SysResult<()> {
    let mut batch = Batch::new();
    batch.message(BEGIN, 0, &header(0, NFTABLES));
    for seconds in seconds {
        for v4 in [true, false] {
            let flags = netlink::ACK | netlink::CREATE | netlink::APPEND;
            batch
                .message(NEW_RULE, flags, &header(INET, 0))
                .text(RULE_TABLE, table)
                .text(RULE_CHAIN, &Chain::Affinity(seconds).name())
                .nest(RULE_EXPRESSIONS, |rule| expressions(rule, v4, seconds));
        }
    }
    batch.message(END, 0, &header(0, NFTABLES));
    let answers = socket.execute(batch).doing("lay the rules of", table)?;
    let result: io::Result<()> = answers.results.into_iter().collect();
    result.doing("lay the rules of", table)
}

fn expressions(rule: &mut Message<'_>, v4: bool, seconds: u32) {
    // An address takes one register or four.
    let (family, width, destination, source_key, destination_key) = if v4 {
        (libc::AF_INET, 1, 16, SOURCE_V4, DESTINATION_V4)
    } else {
        (libc::AF_INET6, 4, 24, SOURCE_V6, DESTINATION_V6)
    };
    let key = REGISTER;
    let protocol = key + 2 * width;
    let data = protocol + 2;
    expression(rule, "meta", |of| meta(of, key, NFPROTO));
    expression(rule, "cmp", |of| {
        // The family is a byte.
        of.u32_be(1, key).u32_be(2, 0).nest(3, |value| {
            value.u8(1, family as u8);
        });
    });
    expression(rule, "ct", |of| original(of, key, source_key));
    expression(rule, "ct", |of| original(of, key + width, destination_key));
    expression(rule, "meta", |of| meta(of, protocol, L4PROTO));
    expression(rule, "ct", |of| original(of, protocol + 1, DESTINATION_PORT));
    expression(rule, "payload", |of| {
        payload(of, data, [NETWORK, destination, 4 * width]);
    });
    expression(rule, "payload", |of| payload(of, data + width, [TRANSPORT, 2, 2]));
    expression(rule, "dynset", |of| {
        let set = Set {
            kind: Kind::Affinity,
            v4,
        };
        of.text(1, &set.name())
            .u32_be(3, UPDATE)
            .u32_be(4, key)
            .u32_be(5, data)
            .u64_be(6, u64::from(seconds) * 1000);
    });
}

fn expression(rule: &mut Message<'_>, name: &str, write: impl FnOnce(&mut Message<'_>)) {
    rule.nest(ELEMENT, |element| {
        element.text(NAME, name).nest(DATA, write);
    });
}

/// `NFTA_META_DREG`, `NFTA_META_KEY`.
fn meta(of: &mut Message<'_>, register: u32, key: u32) {
    of.u32_be(1, register).u32_be(2, key);
}

/// `NFTA_CT_DREG`, `NFTA_CT_KEY`, `NFTA_CT_DIRECTION`: as the client sent it.
fn original(of: &mut Message<'_>, register: u32, key: u32) {
    of.u32_be(1, register).u32_be(2, key).u8(3, 0);
}

/// `NFTA_PAYLOAD_DREG`, `_BASE`, `_OFFSET`, `_LEN`.
fn payload(of: &mut Message<'_>, register: u32, [base, offset, length]: [u32; 3]) {
    of.u32_be(1, register)
        .u32_be(2, base)
        .u32_be(3, offset)
        .u32_be(4, length);
}
