//! An answer of the server's own, before it becomes a message.

use std::net::IpAddr;

use domain::base::iana::{Rcode, Rtype};

/// All that a reply says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// How it went.
    pub code: Code,
    /// The name asked for is of the server's own zones; an alias may lead elsewhere.
    pub authoritative: bool,
    /// The records asked for, aliases first.
    pub records: Vec<Record>,
    /// The start of authority, where there are none.
    pub authority: Vec<Record>,
    /// Addresses of the names in `records`; left out where there is no room.
    pub additional: Vec<Record>,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Code {
    /// The name exists.
    #[default]
    NoError,
    /// It does not.
    NoSuchName,
    /// Nobody could be asked, or nobody answered.
    Failed,
    /// Nobody will be asked.
    Refused,
}

impl Code {
    /// As the protocol has it.
    pub(super) fn rcode(self) -> Rcode {
        match self {
            Code::NoError => Rcode::NOERROR,
            Code::NoSuchName => Rcode::NXDOMAIN,
            Code::Failed => Rcode::SERVFAIL,
            Code::Refused => Rcode::REFUSED,
        }
    }
}

impl Answer {
    /// One without records.
    pub(super) fn of(code: Code) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }
}

/// A record: whose, for how long, what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// `None`: the name of the question, as the client wrote it.
    pub owner: Option<String>,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says. Names are texts without a dot at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// SRV.
    Service {
        /// Its share among those of the same name.
        weight: u16,
        /// The port.
        port: u16,
        /// Where.
        target: String,
    },
    /// PTR.
    Pointer(String),
    /// CNAME.
    Alias(String),
    /// TXT as it is on the wire: strings, each after its length.
    Text(Vec<u8>),
    /// NS.
    NameServer(String),
    /// SOA.
    Authority {
        /// The zone's server.
        server: String,
        /// Whom to write to, as a name.
        contact: String,
        /// Grows with each table.
        serial: u32,
    },
}

impl Data {
    /// The type of the record.
    pub(super) fn rtype(&self) -> Rtype {
        match self {
            Data::Address(IpAddr::V4(_)) => Rtype::A,
            Data::Address(IpAddr::V6(_)) => Rtype::AAAA,
            Data::Service { .. } => Rtype::SRV,
            Data::Pointer(_) => Rtype::PTR,
            Data::Alias(_) => Rtype::CNAME,
            Data::Text(_) => Rtype::TXT,
            Data::NameServer(_) => Rtype::NS,
            Data::Authority { .. } => Rtype::SOA,
        }
    }
}
