//! What may be wrong with the settings of the network.

use std::net::IpAddr;

use pinnace_api::{Cidr, NodeName};

use super::{ABSOLUTE_RULE, FieldProblem, Findings, is_absolute};
use crate::config::{Cidrs, NetworkPlan, NodeConfig};

const FAMILIES_RULE: &str = "must be at most one IPv4 and one IPv6 range";
const MAX_BIN_DIRECTORIES: usize = 8;

pub(super) fn check(config: &NodeConfig, found: &mut Findings) {
    check_ranges(config, found);
    check_dns(config, found);
    let right = config.resolv_conf.is_empty() || is_absolute(&config.resolv_conf);
    found.unless(right, "resolvConf", || {
        format!("{ABSOLUTE_RULE}, or empty for no server but the node's own names")
    });
    found.unless(is_absolute(&config.cni_conf_dir), "cniConfDir", || {
        ABSOLUTE_RULE.to_owned()
    });
    let count = config.cni_bin_dir.len();
    found.unless((1..=MAX_BIN_DIRECTORIES).contains(&count), "cniBinDir", || {
        format!("must be 1 to {MAX_BIN_DIRECTORIES} directories")
    });
    for (index, directory) in config.cni_bin_dir.iter().enumerate() {
        found.unless(is_absolute(directory), &format!("cniBinDir[{index}]"), || {
            ABSOLUTE_RULE.to_owned()
        });
    }
}

fn check_ranges(config: &NodeConfig, found: &mut Findings) {
    let (pods, services) = (ranges(&config.pod_cidr), ranges(&config.service_cidr));
    for (field, ranges, least) in [("podCIDR", pods, [8, 48]), ("serviceCIDR", services, [12, 108])] {
        let of = |v4: bool| ranges.iter().filter(|range| range.is_ipv4() == v4).count();
        found.unless(of(true) <= 1 && of(false) <= 1, field, || {
            FAMILIES_RULE.to_owned()
        });
        for range in ranges {
            let (least, most) = match range.is_ipv4() {
                true => (least[0], 30),
                false => (least[1], 126),
            };
            found.unless((least..=most).contains(&range.prefix()), field, || {
                format!("{range} must have a mask of /{least} to /{most}")
            });
        }
    }
    check_apart(pods, services, found);
}

fn check_apart(pods: &[Cidr], services: &[Cidr], found: &mut Findings) {
    for pods in pods {
        for services in services.iter().filter(|services| overlap(*pods, **services)) {
            found.unless(false, "serviceCIDR", || {
                format!("{services} overlaps with {pods} of podCIDR")
            });
        }
    }
}

impl NetworkPlan {
    /// What of the settings does not go together with the ranges that the root has of its own; only when the
    /// root is known, this can be told.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut found = Findings::default();
        check_apart(&self.pod_ranges, &self.service_ranges, &mut found);
        for (index, address) in self.dns.iter().enumerate() {
            let inside = self.service_ranges.iter().any(|range| range.contains(*address));
            found.unless(inside, &format!("clusterDNS[{index}]"), || {
                let ranges: Vec<String> = self.service_ranges.iter().map(Cidr::to_string).collect();
                format!("{address} must lie in serviceCIDR, {} here", ranges.join(","))
            });
        }
        found.0
    }
}

fn check_dns(config: &NodeConfig, found: &mut Findings) {
    let dns = &config.cluster_dns;
    let of = |v4: bool| dns.iter().filter(|address| address.is_ipv4() == v4).count();
    found.unless(of(true) <= 1 && of(false) <= 1, "clusterDNS", || {
        "must be at most one IPv4 and one IPv6 address".to_owned()
    });
    let services = ranges(&config.service_cidr);
    for (index, address) in dns.iter().enumerate() {
        let field = format!("clusterDNS[{index}]");
        let inside = services.is_empty() || services.iter().any(|range| range.contains(*address));
        found.unless(inside, &field, || format!("{address} must lie in serviceCIDR"));
        found.unless(is_one_host(*address), &field, || {
            format!("{address} is no address that a server can have")
        });
        let of_pods = ranges(&config.pod_cidr)
            .iter()
            .any(|range| range.contains(*address));
        found.unless(!of_pods, &field, || {
            format!("{address} lies in podCIDR, where a pod may have it")
        });
    }
    let domain = &config.cluster_domain;
    found.unless(NodeName::new(domain).is_ok(), "clusterDomain", || {
        "must be a DNS subdomain: lower case alphanumeric characters, '-' or '.'".to_owned()
    });
}

fn ranges(ranges: &Option<Cidrs>) -> &[Cidr] {
    ranges.as_ref().map_or(&[], |ranges| &ranges.0)
}

fn overlap(one: Cidr, other: Cidr) -> bool {
    one.contains(other.first()) || other.contains(one.first())
}

fn is_one_host(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}
