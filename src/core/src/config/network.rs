//! What the configuration says about the network, as texts and as what they come to under a root.
//!
//! Ranges that are not named are made of the root's tag, so that several nodes on one machine do not meet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use pinnace_api::Cidr;

use super::NodeConfig;

/// `podNetwork`: who makes pods' networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PodNetwork {
    /// This node: routed links, its own rules.
    #[default]
    Routed,
    /// CNI plugins.
    Cni,
    /// Nobody: a pod has its loopback interface alone.
    None,
}

/// Ranges of addresses, `10.244.0.0/24,fd00::/64`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidrs(pub Vec<Cidr>);

/// More are not read: one of each family is all that is taken.
const CIDRS_MAX: usize = 8;

/// Why a text is no list of ranges, or no range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkTextError {
    /// A part is no range.
    #[error(transparent)]
    Cidr(<Cidr as FromStr>::Err),
    /// Too many parts.
    #[error("must be at most one IPv4 and one IPv6 range, separated by a comma")]
    Many,
    /// No range of ports.
    #[error("{0:?} must be FIRST-LAST, two ports of which the first is not the greater, such as 30000-32767")]
    Ports(String),
}

impl TryFrom<String> for Cidrs {
    type Error = NetworkTextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.split(',').count() > CIDRS_MAX {
            return Err(NetworkTextError::Many);
        }
        let ranges = text.split(',').map(|part| part.trim().parse::<Cidr>());
        Ok(Self(
            ranges.collect::<Result<_, _>>().map_err(NetworkTextError::Cidr)?,
        ))
    }
}

impl From<Cidrs> for String {
    fn from(ranges: Cidrs) -> Self {
        let texts: Vec<String> = ranges.0.iter().map(Cidr::to_string).collect();
        texts.join(",")
    }
}

/// `serviceNodePortRange`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange(pub RangeInclusive<u16>);

impl Default for PortRange {
    fn default() -> Self {
        Self(30000..=32767)
    }
}

impl TryFrom<String> for PortRange {
    type Error = NetworkTextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let ports = text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first > 0 && first <= last).then_some(first..=last)
        });
        ports
            .map(Self)
            .ok_or_else(|| NetworkTextError::Ports(text.chars().take(80).collect()))
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

/// What the node's network is made of, once the root and the host's families are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlan {
    /// Who makes pods' networks.
    pub pods: PodNetwork,
    /// Where pods' addresses come from, the family of `podIP` first. Empty where plugins choose.
    pub pod_ranges: Vec<Cidr>,
    /// Where Services' addresses come from, the family of those that ask for none first.
    pub service_ranges: Vec<Cidr>,
    /// Where node ports come from.
    pub node_ports: RangeInclusive<u16>,
    /// The DNS server's addresses.
    pub dns: Vec<IpAddr>,
    /// The cluster's domain.
    pub domain: String,
}

/// The DNS server's place in a range of Services, where `clusterDNS` names none.
const DNS_PLACE: u128 = 10;

impl NodeConfig {
    /// The network under the root of this tag (empty for `/`), on a host of these families.
    pub fn network_plan(&self, tag: &str, has_ipv6: bool) -> NetworkPlan {
        let spoken = |range: &Cidr| range.is_ipv4() || has_ipv6;
        let chosen = |named: &Option<Cidrs>, own: [Cidr; 2]| -> Vec<Cidr> {
            let ranges = named.as_ref().map_or(own.to_vec(), |ranges| ranges.0.clone());
            ranges.into_iter().filter(spoken).collect()
        };
        let own = OwnRanges::of(tag);
        let pod_ranges = match (self.pod_network, &self.pod_cidr) {
            (PodNetwork::Routed, named) => chosen(named, own.pods),
            (PodNetwork::Cni, Some(_)) => chosen(&self.pod_cidr, own.pods),
            (PodNetwork::Cni, None) | (PodNetwork::None, _) => Vec::new(),
        };
        let mut service_ranges = chosen(&self.service_cidr, own.services);
        if self.service_cidr.is_none() && !pod_ranges.is_empty() {
            // A Service of a family that no pod has would lead nowhere.
            let family = |v4: bool| pod_ranges.iter().position(|range| range.is_ipv4() == v4);
            service_ranges.retain(|range| family(range.is_ipv4()).is_some());
            service_ranges.sort_by_key(|range| family(range.is_ipv4()));
        }
        let dns = if self.cluster_dns.is_empty() {
            let places = service_ranges.iter().filter_map(|range| range.nth(DNS_PLACE));
            places.collect()
        } else {
            let named = self.cluster_dns.iter().copied();
            named.filter(|address| address.is_ipv4() || has_ipv6).collect()
        };
        NetworkPlan {
            pods: self.pod_network,
            pod_ranges,
            service_ranges,
            node_ports: self.service_node_port_range.0.clone(),
            dns,
            domain: self.cluster_domain.clone(),
        }
    }
}

/// The ranges of a node that names none, IPv4 first.
struct OwnRanges {
    pods: [Cidr; 2],
    services: [Cidr; 2],
}

impl OwnRanges {
    fn of(tag: &str) -> Self {
        let hash = fnv(tag);
        let [_, _, _, a, b, c, d, e] = hash.to_be_bytes();
        // A range of unique local addresses (RFC 4193): 40 bits of its own, then a subnet each.
        let local = |subnet: u16| {
            let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
            Ipv6Addr::new(pair(0xfd, a), pair(b, c), pair(d, e), subnet, 0, 0, 0, 0)
        };
        let (pods, services) = match tag {
            "" => (
                (Ipv4Addr::new(10, 244, 0, 0), 24),
                (Ipv4Addr::new(10, 96, 0, 0), 16),
            ),
            _ => (
                (Ipv4Addr::new(10, 128 | (d & 0x3f), e, 0), 24),
                (Ipv4Addr::new(10, 192 | (b & 0x1f), c & 0xf0, 0), 20),
            ),
        };
        let range = |(address, prefix): (Ipv4Addr, u8)| Cidr::new(address.into(), prefix);
        let other = |subnet, prefix| Cidr::new(local(subnet).into(), prefix);
        let pair = |v4: Option<Cidr>, v6: Option<Cidr>| {
            [v4, v6].map(|range| range.unwrap_or(Cidr::host(Ipv4Addr::UNSPECIFIED.into())))
        };
        Self {
            pods: pair(range(pods), other(0, 64)),
            services: pair(range(services), other(1, 112)),
        }
    }
}

/// FNV-1a, 64 bits: the ranges must be stable from release to release.
fn fnv(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(json: serde_json::Value, tag: &str, has_ipv6: bool) -> NetworkPlan {
        let config: NodeConfig = serde_json::from_value(json).unwrap();
        assert_eq!(config.problems(), []);
        config.network_plan(tag, has_ipv6)
    }

    fn texts(ranges: &[Cidr]) -> Vec<String> {
        ranges.iter().map(Cidr::to_string).collect()
    }

    #[test]
    fn the_host_root_has_the_usual_ranges_and_every_other_its_own() {
        let host = plan(json!({}), "", true);
        assert_eq!(texts(&host.pod_ranges)[0], "10.244.0.0/24");
        assert_eq!(texts(&host.service_ranges)[0], "10.96.0.0/16");
        assert_eq!(host.dns[0].to_string(), "10.96.0.10");
        let (first, second) = (
            plan(json!({}), "12ab34cd", true),
            plan(json!({}), "12ab34ce", true),
        );
        for plan in [&host, &first, &second] {
            assert_eq!((plan.pod_ranges.len(), plan.service_ranges.len()), (2, 2));
            let prefixes = plan
                .pod_ranges
                .iter()
                .chain(&plan.service_ranges)
                .map(|one| one.prefix());
            assert!(prefixes.min().unwrap() >= 16, "{plan:?}");
            for pods in &plan.pod_ranges {
                assert!(
                    !plan
                        .service_ranges
                        .iter()
                        .any(|range| range.contains(pods.first()))
                );
            }
            assert!(
                plan.dns
                    .iter()
                    .zip(&plan.service_ranges)
                    .all(|(dns, range)| range.contains(*dns))
            );
        }
        for (one, other) in first.pod_ranges.iter().zip(&second.pod_ranges) {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn services_have_the_families_of_pods_in_their_order() {
        let v6_first = plan(json!({"podCIDR": "fd00:1::/64, 10.1.0.0/24"}), "", true);
        assert!(!v6_first.service_ranges[0].is_ipv4() && !v6_first.dns[0].is_ipv4());
        let v4_only = plan(json!({"podCIDR": "10.1.0.0/24"}), "", true);
        assert_eq!(texts(&v4_only.service_ranges), ["10.96.0.0/16"]);
        let no_ipv6 = plan(json!({}), "", false);
        assert_eq!(texts(&no_ipv6.pod_ranges), ["10.244.0.0/24"]);
        assert_eq!(no_ipv6.dns, ["10.96.0.10".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_is_named_is_taken() {
        let named = plan(
            json!({"podNetwork": "cni", "serviceCIDR": "10.7.0.0/24", "clusterDNS": ["10.7.0.53"],
                   "serviceNodePortRange": "80-90", "clusterDomain": "edge.example"}),
            "",
            true,
        );
        assert_eq!((named.pods, named.pod_ranges.len()), (PodNetwork::Cni, 0));
        assert_eq!(texts(&named.service_ranges), ["10.7.0.0/24"]);
        assert_eq!(named.dns, ["10.7.0.53".parse::<IpAddr>().unwrap()]);
        assert_eq!(
            (named.node_ports, named.domain.as_str()),
            (80..=90, "edge.example")
        );
        assert!(
            plan(json!({"podNetwork": "none"}), "", true)
                .pod_ranges
                .is_empty()
        );
    }

    #[test]
    fn texts_that_are_no_ranges_are_refused() {
        for json in [
            json!({"podCIDR": ""}),
            json!({"podCIDR": "10.0.0.0"}),
            json!({"serviceCIDR": "10.0.0.0/8,"}),
            json!({"serviceNodePortRange": "32767-30000"}),
            json!({"serviceNodePortRange": "0-10"}),
            json!({"serviceNodePortRange": "30000"}),
            json!({"podNetwork": "bridge"}),
        ] {
            assert!(
                serde_json::from_value::<NodeConfig>(json.clone()).is_err(),
                "{json}"
            );
        }
    }
}
