//! Records as the wire has them.

use std::net::IpAddr;
use std::str::FromStr;

use domain::base::iana::Rtype;
use domain::base::record::ComposeRecord;
use domain::base::wire::Composer;
use domain::base::{Name, Serial, Ttl, UnknownRecordData};
use domain::rdata::{A, Aaaa, Cname, Ns, Ptr, Soa, Srv};

use super::answer::{Data, Record};

type WireName = Name<Vec<u8>>;

const REFRESH: Ttl = Ttl::from_secs(7200);
const RETRY: Ttl = Ttl::from_secs(1800);
const EXPIRE: Ttl = Ttl::from_secs(86_400);

/// A record whose names are ready for the wire.
pub(super) struct Composed<'a> {
    /// `None`: the question's.
    owner: Option<WireName>,
    question: &'a WireName,
    ttl: Ttl,
    data: Wire,
}

enum Wire {
    A(A),
    Aaaa(Aaaa),
    Srv(Srv<WireName>),
    Ptr(Ptr<WireName>),
    Cname(Cname<WireName>),
    Ns(Ns<WireName>),
    Soa(Soa<WireName>),
    Other(UnknownRecordData<Vec<u8>>),
}

impl<'a> Composed<'a> {
    /// `None` for one with a name that the wire cannot carry.
    pub(super) fn new(record: &Record, question: &'a WireName) -> Option<Self> {
        let owner = match &record.owner {
            Some(owner) => Some(name(owner)?),
            None => None,
        };
        let ttl = Ttl::from_secs(record.ttl);
        Some(Self {
            owner,
            question,
            ttl,
            data: wire(&record.data, ttl)?,
        })
    }
}

fn name(text: &str) -> Option<WireName> {
    Name::from_str(text).ok()
}

fn wire(data: &Data, ttl: Ttl) -> Option<Wire> {
    Some(match data {
        Data::Address(IpAddr::V4(address)) => Wire::A(A::new(*address)),
        Data::Address(IpAddr::V6(address)) => Wire::Aaaa(Aaaa::new(*address)),
        Data::Service { weight, port, target } => Wire::Srv(Srv::new(0, *weight, *port, name(target)?)),
        Data::Pointer(target) => Wire::Ptr(Ptr::new(name(target)?)),
        Data::Alias(target) => Wire::Cname(Cname::new(name(target)?)),
        Data::NameServer(server) => Wire::Ns(Ns::new(name(server)?)),
        Data::Text(bytes) => Wire::Other(UnknownRecordData::from_octets(Rtype::TXT, bytes.clone()).ok()?),
        Data::Authority {
            server,
            contact,
            serial,
        } => Wire::Soa(Soa::new(
            name(server)?,
            name(contact)?,
            Serial::from(*serial),
            REFRESH,
            RETRY,
            EXPIRE,
            ttl,
        )),
    })
}

impl ComposeRecord for Composed<'_> {
    fn compose_record<Target: Composer + ?Sized>(
        &self,
        target: &mut Target,
    ) -> Result<(), Target::AppendError> {
        let owner = self.owner.as_ref().unwrap_or(self.question);
        match &self.data {
            Wire::A(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Aaaa(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Srv(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Ptr(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Cname(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Ns(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Soa(data) => (owner, self.ttl, data).compose_record(target),
            Wire::Other(data) => (owner, self.ttl, data).compose_record(target),
        }
    }
}
