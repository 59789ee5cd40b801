//! An upstream server's answer, kept as it came, and handed on with another client's question.
//!
//! Nothing in it is interpreted but what keeping and cutting it takes: where each record ends, and its time to live.
//! The additional section is dropped: it holds what the two servers said to each other.

use std::net::IpAddr;

use domain::base::iana::{Rcode, Rtype};
use domain::base::name::ParsedName;
use domain::base::opt::{Opt, OptRecord};
use domain::base::wire::ParseError;
use domain::base::{Header, HeaderCounts, Message, ParsedRecord, ToName, UnknownRecordData};
use domain::dep::octseq::{Octets, Parser};
use domain::rdata::{A, Aaaa, Cname};

use super::answer::{Data, Record};
use super::message::{Query, text};
use super::reply::{DATAGRAM_BYTES, OPT_BYTES, Transport};

/// Longest time that an answer is kept.
const MAX_TTL: u32 = 3600;
/// Longest time that the lack of one is kept.
const MAX_NEGATIVE_TTL: u32 = 300;
const HEADER_BYTES: usize = 12;

/// An answer of an upstream server.
#[derive(Debug)]
pub(super) struct Relayed {
    /// Up to the end of the authority section.
    bytes: Vec<u8>,
    /// Where the question's type and class end.
    question_end: usize,
    /// Answers, then authority.
    records: Vec<Place>,
    answers: usize,
    /// Seconds that it may be kept; `None`: not at all.
    ttl: Option<u32>,
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its time to live, four bytes.
    ttl_at: usize,
    end: usize,
}

impl Relayed {
    /// Reads an answer to one question; `None` where it is broken.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        Self::parse(bytes).ok()
    }

    fn parse(mut bytes: Vec<u8>) -> Result<Self, ParseError> {
        let broken = || ParseError::form_error("broken answer");
        let message = Message::from_slice(&bytes).map_err(|_| broken())?;
        let counts = message.header_counts();
        if counts.qdcount() != 1 || !extended_code_is_zero(message) {
            return Err(broken());
        }
        let (answers, authorities) = (usize::from(counts.ancount()), usize::from(counts.nscount()));
        let code = message.header().rcode();
        let mut parser = Parser::from_ref(bytes.as_slice());
        parser.advance(HEADER_BYTES)?;
        ParsedName::skip(&mut parser)?;
        parser.advance(4)?;
        let question_end = parser.pos();
        let mut records = Vec::new();
        let (mut lowest, mut negative) = (u32::MAX, None);
        for index in 0..answers + authorities {
            let read = Scanned::read(&mut parser)?;
            if index < answers {
                lowest = lowest.min(read.ttl);
            } else if read.rtype == Rtype::SOA {
                negative = read.last_number.map(|minimum| minimum.min(read.ttl));
            }
            records.push(read.place);
        }
        let end = parser.pos();
        let ttl = match code {
            Rcode::NOERROR if answers > 0 && negative.is_none() => Some(lowest.min(MAX_TTL)),
            // Aliases that end in nothing live as long as the shorter of the two.
            Rcode::NOERROR | Rcode::NXDOMAIN => {
                negative.map(|seconds| seconds.min(lowest).min(MAX_NEGATIVE_TTL))
            }
            _ => None,
        };
        bytes.truncate(end);
        HeaderCounts::for_message_slice_mut(&mut bytes).set_arcount(0);
        Ok(Self {
            bytes,
            question_end,
            records,
            answers,
            ttl: ttl.filter(|seconds| *seconds > 0),
        })
    }

    /// Seconds that it may be kept; `None`: not at all.
    pub(super) fn ttl(&self) -> Option<u32> {
        self.ttl
    }

    /// What it takes in memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Place>() + size_of::<Self>()
    }

    /// How it went.
    pub(super) fn rcode(&self) -> Rcode {
        Header::for_message_slice(&self.bytes).rcode()
    }

    /// The message for a client that asked the same, `age` seconds after it came.
    pub(super) fn reply(&self, query: &Query<'_>, age: u32, transport: Transport) -> Vec<u8> {
        let opt_bytes = if query.edns.is_some() { OPT_BYTES } else { 0 };
        let kept = self.kept(transport.limit(query.edns) - opt_bytes);
        let end = self.records[..kept]
            .last()
            .map_or(self.question_end, |place| place.end);
        let mut bytes = Vec::with_capacity(end + opt_bytes);
        bytes.extend_from_slice(&self.bytes[..end]);
        for place in &self.records[..kept] {
            set_age(&mut bytes[place.ttl_at..place.ttl_at + 4], age);
        }
        self.write_header(&mut bytes, query, kept);
        // The client's own spelling: some compare it.
        let name = query.name.to_vec();
        let own = bytes.get_mut(HEADER_BYTES..HEADER_BYTES + name.len());
        if let Some(own) = own.filter(|own| own.eq_ignore_ascii_case(name.as_slice())) {
            own.copy_from_slice(name.as_slice());
        }
        if let Some(edns) = query.edns {
            let flags = if edns.dnssec_ok { 0x80 } else { 0 };
            let [high, low] = DATAGRAM_BYTES.to_be_bytes();
            bytes.extend_from_slice(&[0, 0, 41, high, low, 0, 0, flags, 0, 0, 0]);
            HeaderCounts::for_message_slice_mut(&mut bytes).set_arcount(1);
        }
        bytes
    }

    /// How many records fit: authority goes first, then answers from the end.
    fn kept(&self, limit: usize) -> usize {
        let fits = self.records.partition_point(|place| place.end <= limit);
        if fits < self.records.len() && fits > self.answers {
            return self.answers;
        }
        fits
    }

    fn write_header(&self, bytes: &mut [u8], query: &Query<'_>, kept: usize) {
        let asked = query.message.header();
        let header = Header::for_message_slice_mut(bytes);
        let verified = header.ad();
        header.set_id(asked.id());
        header.set_qr(true);
        header.set_aa(false);
        header.set_tc(kept < self.answers);
        header.set_rd(asked.rd());
        header.set_ra(true);
        header.set_cd(asked.cd());
        header.set_ad(verified && (asked.ad() || query.ask.dnssec_ok));
        let counts = HeaderCounts::for_message_slice_mut(bytes);
        let (answers, authority) = (kept.min(self.answers), kept.saturating_sub(self.answers));
        // Both are at most what the counts were.
        counts.set_ancount(u16::try_from(answers).unwrap_or(u16::MAX));
        counts.set_nscount(u16::try_from(authority).unwrap_or(u16::MAX));
    }

    /// The addresses, aliases and texts of its answer section, for an alias that led to it.
    pub(super) fn records(&self, age: u32) -> Vec<Record> {
        let Ok(message) = Message::from_slice(&self.bytes) else {
            return Vec::new();
        };
        let Ok(section) = message.answer() else {
            return Vec::new();
        };
        section
            .flatten()
            .filter_map(|record| owned(&record, age))
            .collect()
    }
}

/// The parts of a record that matter here.
struct Scanned {
    rtype: Rtype,
    ttl: u32,
    place: Place,
    /// The last four bytes of its data: of an SOA record, how long a lack may be kept.
    last_number: Option<u32>,
}

impl Scanned {
    fn read(parser: &mut Parser<'_, [u8]>) -> Result<Self, ParseError> {
        ParsedName::skip(parser)?;
        let rtype = Rtype::from_int(parser.parse_u16_be()?);
        parser.advance(2)?;
        let ttl_at = parser.pos();
        // With its highest bit set it counts as none at all.
        let ttl = Some(parser.parse_u32_be()?)
            .filter(|ttl| ttl >> 31 == 0)
            .unwrap_or(0);
        let length = usize::from(parser.parse_u16_be()?);
        let data = parser.peek(length)?;
        let last_number = data.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
        parser.advance(length)?;
        Ok(Self {
            rtype,
            ttl,
            place: Place {
                ttl_at,
                end: parser.pos(),
            },
            last_number,
        })
    }
}

/// Takes the age from a time to live, which never exceeds the longest time here.
fn set_age(field: &mut [u8], age: u32) {
    if let Ok(bytes) = <[u8; 4]>::try_from(&*field) {
        let ttl = Some(u32::from_be_bytes(bytes))
            .filter(|ttl| ttl >> 31 == 0)
            .unwrap_or(0);
        let left = ttl.min(MAX_TTL).saturating_sub(age);
        field.copy_from_slice(&left.to_be_bytes());
    }
}

/// Codes beyond 15 have their upper bits in the OPT record.
fn extended_code_is_zero(message: &Message<[u8]>) -> bool {
    let Ok(section) = message.additional() else {
        return false;
    };
    let mut opts = section.flatten().filter(|record| record.rtype() == Rtype::OPT);
    opts.all(|record| match record.to_record::<Opt<_>>() {
        Ok(Some(record)) => OptRecord::from_record(record).rcode(message.header()).to_int() < 16,
        _ => false,
    })
}

fn owned<Octs: Octets + ?Sized>(record: &ParsedRecord<'_, Octs>, age: u32) -> Option<Record> {
    let data = if let Ok(Some(found)) = record.to_record::<A>() {
        Data::Address(IpAddr::V4(found.data().addr()))
    } else if let Ok(Some(found)) = record.to_record::<Aaaa>() {
        Data::Address(IpAddr::V6(found.data().addr()))
    } else if let Ok(Some(found)) = record.to_record::<Cname<_>>() {
        Data::Alias(text(found.data().cname()))
    } else if record.rtype() == Rtype::TXT {
        let found = record.to_record::<UnknownRecordData<_>>().ok()??;
        Data::Text(found.data().data().as_ref().to_vec())
    } else {
        return None;
    };
    Some(Record {
        owner: Some(text(&record.owner())),
        ttl: record.ttl().as_secs().min(MAX_TTL).saturating_sub(age),
        data,
    })
}
