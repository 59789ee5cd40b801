//! Every name that the node's DNS server knows: Kubernetes DNS-Based Service Discovery, version 1.1.0.
//!
//! | of | names |
//! | --- | --- |
//! | a Service with cluster addresses | `<service>.<namespace>.svc.<domain>`, SRV of its ports, PTR of its addresses |
//! | a headless Service | the same name with the addresses of all endpoints that serve, `<hostname>.<service>…` of each, SRV, PTR |
//! | an ExternalName | an alias |
//! | a pod | `<address with dashes>.<namespace>.pod.<domain>`; a pod that is not there has no name |
//!
//! Every pointer leads to a name that has the address, and every SRV record to one that has an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pinnace_api::Cidr;
use pinnace_api::pod::Protocol;

use super::{
    Endpoint, NameRecord, NameTable, PodOnNetwork, PortEntry, ServiceEntry, ServiceForm, ServiceTable,
};

/// The names of all Services and pods under `domain`. `ranges` are those of pods and Services, of which the reverse
/// names are the node's own.
pub fn name_table(
    domain: &str,
    ranges: &[Cidr],
    services: &ServiceTable,
    pods: &[PodOnNetwork],
) -> NameTable {
    let domain = plain(domain);
    let mut names = Names::default();
    // They exist on a node without Services and pods too.
    names.exists(format!("svc.{domain}"));
    names.exists(format!("pod.{domain}"));
    for ((namespace, name), service) in &services.services {
        let full = plain(&format!("{name}.{namespace}.svc.{domain}"));
        names.service(&full, service);
    }
    for pod in pods {
        let namespace = &pod.pod.meta.namespace;
        for address in &pod.addresses {
            let name = plain(&format!("{}.{namespace}.pod.{domain}", dashed(*address)));
            names.add(name, NameRecord::Address(*address));
        }
    }
    let zones: BTreeSet<String> = ranges.iter().flat_map(|range| reverse_zones(*range)).collect();
    NameTable {
        domain,
        reverse_zones: zones.into_iter().collect(),
        names: names.weighed(),
    }
}

/// The name of which the pointers lead to an address' names: `4.3.2.1.in-addr.arpa`, …
pub fn reverse_name(address: IpAddr) -> String {
    let units = if address.is_ipv4() { 4 } else { 32 };
    reverse(address, units)
}

/// Names in the making, each record once.
#[derive(Default)]
struct Names(BTreeMap<String, BTreeSet<NameRecord>>);

impl Names {
    fn exists(&mut self, name: String) {
        self.0.entry(name).or_default();
    }

    fn add(&mut self, name: String, record: NameRecord) {
        self.0.entry(name).or_default().insert(record);
    }

    fn service(&mut self, name: &str, service: &ServiceEntry) {
        match &service.form {
            ServiceForm::ExternalName(target) => self.alias(name, target),
            ServiceForm::Headless => self.headless(name, service),
            ServiceForm::ClusterIp | ServiceForm::NodePort => self.virtual_addresses(name, service),
        }
    }

    /// An address is no name: it leads nowhere, as with Kubernetes' own servers.
    fn alias(&mut self, name: &str, target: &str) {
        if target.parse::<IpAddr>().is_err() {
            self.add(name.to_owned(), NameRecord::Alias(plain(target)));
        }
    }

    fn virtual_addresses(&mut self, name: &str, service: &ServiceEntry) {
        for address in &service.cluster_ips {
            self.add(name.to_owned(), NameRecord::Address(*address));
            self.add(reverse_name(*address), NameRecord::Pointer(name.to_owned()));
        }
        if service.cluster_ips.is_empty() {
            return;
        }
        for port in &service.ports {
            self.locate(name, port, port.port, name.to_owned());
        }
    }

    fn headless(&mut self, name: &str, service: &ServiceEntry) {
        for endpoint in service.portless.iter().filter(|endpoint| endpoint.serving) {
            self.endpoint(name, endpoint);
        }
        for port in &service.ports {
            for endpoint in port.endpoints.iter().filter(|endpoint| endpoint.serving) {
                let target = self.endpoint(name, endpoint);
                self.locate(name, port, endpoint.port, target);
            }
        }
    }

    /// The names of an endpoint; returns its own.
    fn endpoint(&mut self, service: &str, endpoint: &Endpoint) -> String {
        let host = match &endpoint.hostname {
            Some(hostname) => plain(hostname),
            None => dashed(endpoint.address),
        };
        let own = format!("{host}.{service}");
        self.add(service.to_owned(), NameRecord::Address(endpoint.address));
        self.add(own.clone(), NameRecord::Address(endpoint.address));
        self.add(reverse_name(endpoint.address), NameRecord::Pointer(own.clone()));
        own
    }

    /// SRV records: of a port that has a name by that name, and of every port by the Service's own, which clients
    /// ask that do not know the ports' names.
    fn locate(&mut self, service: &str, entry: &PortEntry, port: u16, target: String) {
        let record = NameRecord::Service {
            weight: 0,
            port,
            target,
        };
        if let Some(name) = entry.name.as_deref().filter(|name| !name.is_empty()) {
            let transport = transport(entry.protocol);
            self.add(format!("_{}._{transport}.{service}", plain(name)), record.clone());
        }
        self.add(service.to_owned(), record);
    }

    /// The finished records: what shares a name shares the weight.
    fn weighed(self) -> BTreeMap<String, Vec<NameRecord>> {
        let is_service = |record: &&NameRecord| matches!(record, NameRecord::Service { .. });
        let weigh = |records: BTreeSet<NameRecord>| {
            let sharing = records.iter().filter(is_service).count().clamp(1, 100);
            let share = u16::try_from(100 / sharing).unwrap_or(1);
            let with_share = |record| match record {
                NameRecord::Service { port, target, .. } => NameRecord::Service {
                    weight: share,
                    port,
                    target,
                },
                other => other,
            };
            records.into_iter().map(with_share).collect()
        };
        let names = self.0.into_iter();
        names.map(|(name, records)| (name, weigh(records))).collect()
    }
}

/// Names are kept in lower case, without a dot at either end.
fn plain(name: &str) -> String {
    name.trim_matches('.').to_ascii_lowercase()
}

fn transport(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

/// An address as one label: `10-244-0-5`, `fd00--5`.
fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// The reverse zones that make up a range: one, or as many as it takes where its prefix ends within a label.
fn reverse_zones(range: Cidr) -> Vec<String> {
    let (width, bits) = if range.is_ipv4() {
        (32_u32, 8_u32)
    } else {
        (128, 4)
    };
    let prefix = u32::from(range.prefix());
    let units = prefix.div_ceil(bits);
    let zones = 1_u128 << (units * bits - prefix);
    let size = 1_u128.checked_shl(width - units * bits).unwrap_or(0);
    let zone = |index: u128| {
        range
            .nth(index * size)
            .map(|first| reverse(first, units as usize))
    };
    (0..zones).filter_map(zone).collect()
}

/// The reverse name of the first `units` labels of an address: octets, or half octets.
fn reverse(address: IpAddr, units: usize) -> String {
    let (labels, suffix): (Vec<String>, _) = match address {
        IpAddr::V4(address) => (
            address.octets().iter().map(u8::to_string).collect(),
            "in-addr.arpa",
        ),
        IpAddr::V6(address) => {
            let halves = address
                .octets()
                .into_iter()
                .flat_map(|octet| [octet >> 4, octet & 15]);
            (halves.map(|half| format!("{half:x}")).collect(), "ip6.arpa")
        }
    };
    let mut name = String::new();
    for label in labels.iter().take(units).rev() {
        name.push_str(label);
        name.push('.');
    }
    name + suffix
}

#[cfg(test)]
mod tests;
