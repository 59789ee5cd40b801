//! Makes answers into messages that the client can take.

use domain::base::iana::OptRcode;
use domain::base::message_builder::PushError;
use domain::base::{Message, MessageBuilder, StaticCompressor, ToName};

use super::answer::Answer;
use super::message::{Edns, Query, speaks_edns};
use super::record::Composed;

/// The largest datagram that passes everywhere; the server takes and sends none beyond it.
pub(super) const DATAGRAM_BYTES: u16 = 1232;
/// What every client takes.
const PLAIN_DATAGRAM_BYTES: u16 = 512;
/// An OPT record without options.
pub(super) const OPT_BYTES: usize = 11;

/// How large a reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

impl Transport {
    /// The most bytes that a reply to this client may have.
    pub(super) fn limit(self, edns: Option<Edns>) -> usize {
        let taken = edns.map_or(PLAIN_DATAGRAM_BYTES, |edns| edns.payload_bytes);
        match self {
            Transport::Udp => usize::from(taken.clamp(PLAIN_DATAGRAM_BYTES, DATAGRAM_BYTES)),
            Transport::Tcp => usize::from(u16::MAX),
        }
    }
}

/// The message for an answer of the server's own.
pub(super) fn encode(query: &Query<'_>, answer: &Answer, transport: Transport) -> Vec<u8> {
    match build(query, answer, transport.limit(query.edns)) {
        Ok(bytes) => bytes,
        Err(_) => refuse(&query.message, OptRcode::SERVFAIL),
    }
}

/// The message that refuses a whole message. It repeats the question where it can be read, as clients compare it, and
/// speaks EDNS with whoever does: without it, a client takes the server for one that knows none (RFC 6891, 6.1.1).
pub(super) fn refuse(message: &Message<&[u8]>, code: OptRcode) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    let header = builder.header_mut();
    header.set_id(message.header().id());
    header.set_qr(true);
    header.set_opcode(message.header().opcode());
    header.set_rd(message.header().rd());
    header.set_ra(true);
    header.set_rcode(code.rcode());
    let mut builder = builder.question();
    if let Ok(question) = message.sole_question() {
        let _ = builder.push(question);
    }
    let mut builder = builder.additional();
    // Such a code has its upper bits in the OPT record.
    if code.is_ext() || speaks_edns(message) {
        let _ = builder.opt(|opt| {
            opt.set_udp_payload_size(DATAGRAM_BYTES);
            opt.set_rcode(code);
            Ok(())
        });
    }
    builder.finish()
}

fn build(query: &Query<'_>, answer: &Answer, limit: usize) -> Result<Vec<u8>, PushError> {
    let target = StaticCompressor::new(Vec::with_capacity(limit.min(512)));
    let Ok(mut builder) = MessageBuilder::from_target(target);
    let opt_bytes = if query.edns.is_some() { OPT_BYTES } else { 0 };
    builder.set_push_limit(limit - opt_bytes);
    let mut builder = builder.start_answer(&query.message, answer.code.rcode())?;
    let header = builder.header_mut();
    header.set_aa(answer.authoritative);
    header.set_ra(true);
    header.set_cd(query.ask.checking_disabled);
    let question = query.name.to_vec();
    let composed = |record| Composed::new(record, &question);
    let fits = |record| builder.push(record).is_ok();
    let whole = answer.records.iter().filter_map(composed).all(fits);
    builder.header_mut().set_tc(!whole);
    let mut builder = builder.authority();
    if whole {
        answer
            .authority
            .iter()
            .filter_map(composed)
            .try_for_each(|record| builder.push(record))?;
    }
    let mut builder = builder.additional();
    if whole {
        // What finds no room here is asked for by itself.
        let _ = answer
            .additional
            .iter()
            .filter_map(composed)
            .try_for_each(|record| builder.push(record));
    }
    builder.clear_push_limit();
    if let Some(edns) = query.edns {
        builder.opt(|opt| {
            opt.set_udp_payload_size(DATAGRAM_BYTES);
            opt.set_dnssec_ok(edns.dnssec_ok);
            Ok(())
        })?;
    }
    Ok(builder.finish().into_target())
}
