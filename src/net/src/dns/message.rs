//! A client's message: which question it asks, and how the answer must look.

use domain::base::iana::{Class, Opcode, OptRcode, Rtype};
use domain::base::name::ToLabelIter;
use domain::base::opt::{Opt, OptRecord};
use domain::base::{Message, ParsedName};

/// Longer messages are no questions.
pub(super) const MAX_QUERY_BYTES: usize = 4096;

/// A question that can be answered.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// The whole message.
    pub message: Message<&'a [u8]>,
    /// The name as the client wrote it.
    pub name: ParsedName<&'a [u8]>,
    /// What is asked of whom.
    pub ask: Ask,
    /// EDNS(0), where the client speaks it.
    pub edns: Option<Edns>,
}

/// What the answer depends on, and so what it is kept by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    /// The name as [`text`].
    pub name: String,
    /// The type of record.
    pub rtype: Rtype,
    /// The client wants signatures.
    pub dnssec_ok: bool,
    /// The client checks signatures by itself.
    pub checking_disabled: bool,
}

/// What a client says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edns {
    /// The largest datagram that it takes.
    pub payload_bytes: u16,
    /// It wants signatures.
    pub dnssec_ok: bool,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Read<'a> {
    /// No answer is due.
    Nothing,
    /// It is refused as a whole.
    Refused(Message<&'a [u8]>, OptRcode),
    /// A question.
    Query(Query<'a>),
}

/// Reads a message of a client.
pub(super) fn read(bytes: &[u8]) -> Read<'_> {
    let Ok(message) = Message::from_octets(bytes) else {
        return Read::Nothing;
    };
    if message.header().qr() {
        // An answer to nothing that was asked: to answer it would make two servers talk for ever.
        return Read::Nothing;
    }
    match question(message) {
        Ok(query) => Read::Query(query),
        Err(code) => Read::Refused(message, code),
    }
}

fn question(message: Message<&[u8]>) -> Result<Query<'_>, OptRcode> {
    if message.header().opcode() != Opcode::QUERY {
        return Err(OptRcode::NOTIMP);
    }
    let question = message.sole_question().map_err(|_| OptRcode::FORMERR)?;
    let edns = edns(&message)?;
    let transfer = matches!(question.qtype(), Rtype::AXFR | Rtype::IXFR);
    if question.qclass() != Class::IN || transfer {
        return Err(OptRcode::REFUSED);
    }
    let ask = Ask {
        name: text(question.qname()),
        rtype: question.qtype(),
        dnssec_ok: edns.is_some_and(|edns| edns.dnssec_ok),
        checking_disabled: message.header().cd(),
    };
    Ok(Query {
        message,
        name: question.into_qname(),
        ask,
        edns,
    })
}

/// Whether a message has an OPT record, be it a good one or not.
pub(super) fn speaks_edns(message: &Message<&[u8]>) -> bool {
    let Ok(records) = message.additional() else {
        return false;
    };
    records.flatten().any(|record| record.rtype() == Rtype::OPT)
}

/// The one OPT record of a message, if it has one.
fn edns(message: &Message<&[u8]>) -> Result<Option<Edns>, OptRcode> {
    let mut found = None;
    for record in message.additional().map_err(|_| OptRcode::FORMERR)? {
        let record = record.map_err(|_| OptRcode::FORMERR)?;
        if record.rtype() != Rtype::OPT {
            continue;
        }
        let read = record.to_record::<Opt<_>>();
        let Ok(Some(record)) = read else {
            return Err(OptRcode::FORMERR);
        };
        let opt = OptRecord::from_record(record);
        if opt.version() != 0 {
            return Err(OptRcode::BADVERS);
        }
        let edns = Edns {
            payload_bytes: opt.udp_payload_size(),
            dnssec_ok: opt.dnssec_ok(),
        };
        if found.replace(edns).is_some() {
            return Err(OptRcode::FORMERR);
        }
    }
    Ok(found)
}

/// A name in lower case, without a dot at the end. Bytes that hosts' names do not have become `\DDD`, so that no two
/// names share a text and a dot always separates labels.
pub(super) fn text(name: &impl ToLabelIter) -> String {
    let mut text = String::with_capacity(64);
    for label in name.iter_labels() {
        if label.is_root() {
            break;
        }
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label.iter() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(byte)),
                b'A'..=b'Z' => text.push(char::from(byte.to_ascii_lowercase())),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
    }
    text
}
