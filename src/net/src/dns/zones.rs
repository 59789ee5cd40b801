//! The zones that are the node's own: the cluster's domain, and the reverse zones of its pods and Services.

use std::collections::HashSet;
use std::net::IpAddr;

use domain::base::iana::Rtype;
use pinnace_core::network::{NameRecord, NameTable};

use super::answer::{Answer, Code, Data, Record};
use super::shuffle::Shuffle;

/// Seconds for which an answer may be kept, as CoreDNS has it; endpoints change often.
const TTL: u32 = 5;
/// The schema's version does not.
const VERSION_TTL: u32 = 28_800;
/// Version of the Kubernetes DNS-Based Service Discovery, as TXT has it on the wire.
const VERSION: &[u8] = b"\x051.1.0";
/// Aliases that lead to aliases are followed this far.
pub(super) const MAX_ALIASES: usize = 8;

/// A published table, ready to be asked.
#[derive(Debug)]
pub(super) struct Zones {
    table: NameTable,
    /// Names of which only longer ones are in the table.
    between: HashSet<String>,
    server: String,
    addresses: Vec<IpAddr>,
    serial: u32,
}

/// What the zones say.
#[derive(Debug)]
pub(super) enum Found {
    /// All of it.
    Answer(Answer),
    /// The name is of no zone here.
    Outside,
    /// An alias leads out of the zones: the aliases so far, and where they lead.
    Elsewhere(Vec<Record>, String),
}

/// What one name has.
enum Name<'a> {
    Missing,
    Records(Vec<Data>, u32),
    Alias(&'a str),
}

impl Zones {
    /// `addresses` are the server's own.
    pub(super) fn new(table: NameTable, addresses: Vec<IpAddr>, serial: u32) -> Self {
        let mut zones = Self {
            between: HashSet::new(),
            server: format!("ns.dns.{}", table.domain),
            addresses,
            serial,
            table,
        };
        let roots = zones.table.reverse_zones.iter().chain([&zones.table.domain]);
        let roots: HashSet<&str> = roots.map(String::as_str).collect();
        let mut between = HashSet::from([format!("dns.{}", zones.table.domain)]);
        for name in zones.table.names.keys() {
            let mut rest = name.as_str();
            while let Some((_, parent)) = rest.split_once('.') {
                if roots.contains(parent)
                    || zones.table.names.contains_key(parent)
                    || between.contains(parent)
                {
                    break;
                }
                between.insert(parent.to_owned());
                rest = parent;
            }
        }
        zones.between = between;
        zones
    }

    /// Answers a question for records of `rtype` at `name`.
    pub(super) fn find(&self, name: &str, rtype: Rtype, shuffle: &Shuffle) -> Found {
        let mut aliases = Vec::new();
        let mut name = name;
        loop {
            let Some(zone) = self.zone_of(name) else {
                return match aliases.is_empty() {
                    true => Found::Outside,
                    false => Found::Elsewhere(aliases, name.to_owned()),
                };
            };
            let owner = (!aliases.is_empty()).then(|| name.to_owned());
            match self.look(name, zone) {
                Name::Missing => return self.without(aliases, Code::NoSuchName, zone),
                Name::Alias(target) => {
                    aliases.push(record(owner, TTL, Data::Alias(target.to_owned())));
                    if rtype == Rtype::CNAME || aliases.len() > MAX_ALIASES {
                        return Found::Answer(self.with(aliases, Vec::new()));
                    }
                    name = target;
                }
                Name::Records(mut data, ttl) => {
                    data.retain(|data| data.rtype() == rtype);
                    if data.is_empty() {
                        return self.without(aliases, Code::NoError, zone);
                    }
                    shuffle.shuffle(&mut data);
                    let records = data.into_iter().map(|data| record(owner.clone(), ttl, data));
                    return Found::Answer(self.with(aliases, records.collect()));
                }
            }
        }
    }

    /// The zone that a name belongs to. A reverse name outside the reverse zones that has a record is a zone by
    /// itself: endpoints of headless Services may have any address.
    fn zone_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let zones = self.table.reverse_zones.iter().chain([&self.table.domain]);
        let zone = zones.map(String::as_str).find(|zone| is_within(name, zone));
        zone.or_else(|| self.table.names.contains_key(name).then_some(name))
    }

    fn look<'a>(&'a self, name: &str, zone: &str) -> Name<'a> {
        let domain = self.table.domain.as_str();
        let first = name.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
        match first {
            Some("dns-version") => return Name::Records(vec![Data::Text(VERSION.to_vec())], VERSION_TTL),
            Some("ns.dns") => {
                let own = self.addresses.iter().copied().map(Data::Address);
                return Name::Records(own.collect(), TTL);
            }
            _ => {}
        }
        let known = self.table.names.get(name);
        if let Some([NameRecord::Alias(target)]) = known.map(Vec::as_slice) {
            return Name::Alias(target);
        }
        let mut data: Vec<Data> = known.into_iter().flatten().map(data_of).collect();
        if name == zone {
            data.push(self.start_of_authority());
            data.push(Data::NameServer(self.server.clone()));
        }
        if data.is_empty() && known.is_none() && !self.between.contains(name) {
            return Name::Missing;
        }
        Name::Records(data, TTL)
    }

    fn start_of_authority(&self) -> Data {
        Data::Authority {
            server: self.server.clone(),
            contact: format!("hostmaster.{}", self.table.domain),
            serial: self.serial,
        }
    }

    fn with(&self, mut aliases: Vec<Record>, records: Vec<Record>) -> Answer {
        aliases.extend(records);
        let additional = self.addresses_of(&aliases);
        Answer {
            code: Code::NoError,
            authoritative: true,
            records: aliases,
            authority: Vec::new(),
            additional,
        }
    }

    fn without(&self, aliases: Vec<Record>, code: Code, zone: &str) -> Found {
        Found::Answer(Answer {
            code,
            authoritative: true,
            records: aliases,
            authority: vec![record(Some(zone.to_owned()), TTL, self.start_of_authority())],
            additional: Vec::new(),
        })
    }

    /// Addresses of the names that the records lead to, each name once.
    fn addresses_of(&self, records: &[Record]) -> Vec<Record> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for record_with_name in records {
            let target = match &record_with_name.data {
                Data::Service { target, .. } => target,
                Data::NameServer(server) => server,
                _ => continue,
            };
            if !seen.insert(target.as_str()) {
                continue;
            }
            let Some(zone) = self.zone_of(target) else {
                continue;
            };
            if let Name::Records(data, ttl) = self.look(target, zone) {
                let addresses = data.into_iter().filter(|data| matches!(data, Data::Address(_)));
                found.extend(addresses.map(|data| record(Some(target.clone()), ttl, data)));
            }
        }
        found
    }
}

/// Whether a name is a zone's own or lies within it.
pub(super) fn is_within(name: &str, zone: &str) -> bool {
    match name.strip_suffix(zone) {
        Some(rest) => zone.is_empty() || rest.is_empty() || rest.ends_with('.'),
        None => false,
    }
}

fn record(owner: Option<String>, ttl: u32, data: Data) -> Record {
    Record { owner, ttl, data }
}

fn data_of(record: &NameRecord) -> Data {
    match record {
        NameRecord::Address(address) => Data::Address(*address),
        NameRecord::Service { weight, port, target } => Data::Service {
            weight: *weight,
            port: *port,
            target: target.clone(),
        },
        NameRecord::Pointer(target) => Data::Pointer(target.clone()),
        NameRecord::Alias(target) => Data::Alias(target.clone()),
    }
}
