//! Whatever arrives: no panic, and every answer within its bounds.

use std::sync::OnceLock;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::dns::message::{Read, read};
use crate::dns::relayed::Relayed;
use crate::dns::reply::Transport;
use crate::dns::server::Now;

fn dns() -> &'static Dns {
    static DNS: OnceLock<Dns> = OnceLock::new();
    DNS.get_or_init(|| {
        let dns = Dns::new(DnsConfig::new(vec![ip("10.96.0.10")], "cluster.local", None));
        dns.publish(sample());
        dns
    })
}

/// A question, changed here and there.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6);
    (question(), changes, 0_usize..8).prop_map(|(asked, changes, cut)| {
        let mut bytes = asked.bytes();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut);
        bytes
    })
}

fn question() -> impl Strategy<Value = Asked> {
    let known: Vec<String> = sample().names.into_keys().collect();
    let name = prop_oneof![
        3 => proptest::sample::select(known),
        1 => "([a-zA-Z0-9_-]{1,20}\\.){1,8}(cluster\\.local|in-addr\\.arpa|example\\.com)",
        1 => Just(".".to_owned()),
    ];
    let rtype = prop_oneof![
        any::<u16>().prop_map(Rtype::from_int),
        proptest::sample::select(vec![
            Rtype::A,
            Rtype::AAAA,
            Rtype::SRV,
            Rtype::PTR,
            Rtype::NS,
            Rtype::SOA,
            Rtype::TXT,
            Rtype::CNAME
        ]),
    ];
    (name, rtype, proptest::option::of(any::<u16>()), any::<u16>()).prop_map(|(name, rtype, edns, id)| {
        Asked {
            name,
            rtype,
            edns,
            id,
        }
    })
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)]
}

fn check(bytes: &[u8], transport: Transport) -> Result<(), TestCaseError> {
    let started = Instant::now();
    let reply = match dns().server().now(bytes, transport) {
        Now::Reply(reply) => Some(reply),
        Now::Later => dns().server().busy(bytes, transport),
        Now::Nothing => None,
    };
    prop_assert!(
        started.elapsed() < Duration::from_secs(2),
        "an answer takes no time to speak of"
    );
    if let Some(reply) = reply {
        let limit = match read(bytes) {
            Read::Query(query) => transport.limit(query.edns),
            _ => 512,
        };
        prop_assert!(reply.len() <= limit, "{} bytes, {limit} allowed", reply.len());
        prop_assert_eq!(&reply[..2], &bytes[..2]);
        Got::read(&reply);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_borne(bytes in proptest::collection::vec(any::<u8>(), 0..300), transport in transport()) {
        check(&bytes, transport)?;
    }

    #[test]
    fn damaged_questions_are_borne(bytes in damaged(), transport in transport()) {
        check(&bytes, transport)?;
    }

    #[test]
    fn questions_are_answered(asked in question(), transport in transport()) {
        let bytes = asked.bytes();
        check(&bytes, transport)?;
        prop_assert!(!matches!(dns().server().now(&bytes, transport), Now::Nothing));
    }

    #[test]
    fn an_upstream_servers_bytes_are_borne(
        asked in question(),
        other in question(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
        age: u32,
        transport in transport(),
    ) {
        // An answer of this very server, damaged, stands for an upstream server's.
        let bytes = other.bytes();
        let Now::Reply(mut answer) = dns().server().now(&bytes, transport) else {
            return Ok(());
        };
        for (index, byte) in changes {
            let at = index.index(answer.len());
            answer[at] = byte;
        }
        answer.extend(tail);
        let question = asked.bytes();
        let (Some(relayed), Read::Query(query)) = (Relayed::read(answer), read(&question)) else {
            return Ok(());
        };
        prop_assert!(relayed.ttl().is_none_or(|seconds| (1..=3600).contains(&seconds)));
        let reply = relayed.reply(&query, age, transport);
        prop_assert!(reply.len() <= transport.limit(query.edns).max(600));
        prop_assert_eq!(&reply[..2], &question[..2]);
        let _ = relayed.records(age);
    }
}
