//! What the network's adapters are made of, out of the configuration, the root and the host's families.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pinnace_core::config::{FieldProblem, NetworkPlan, NodeConfig, PodNetwork};
use pinnace_core::network::ServiceRanges;
use pinnace_engine::network::NetworkParts;
use pinnace_net::NetConfig;
use pinnace_net::cni::CniConfig;
use pinnace_net::dns::DnsConfig;
use pinnace_net::rules::RulesConfig;
use pinnace_sys::Layout;

use crate::agent::AgentError;

/// Where users of libcni note their attachments.
const LIBCNI_CACHE: &str = "/var/lib/cni/results";

/// The network of one root.
#[derive(Debug, Clone)]
pub struct NetworkSettings {
    layout: Layout,
    plan: NetworkPlan,
    resolv_conf: String,
    cni_conf_dir: PathBuf,
    cni_bin_dir: Vec<PathBuf>,
    rules: RulesConfig,
}

impl NetworkSettings {
    /// Of this configuration; `agent_ports` are the TCP ports on which the agent answers.
    pub fn new(layout: &Layout, config: &NodeConfig, mut agent_ports: Vec<u16>) -> Self {
        let plan = config.network_plan(&layout.tag(), has_ipv6());
        agent_ports.sort_unstable();
        agent_ports.dedup();
        let rules = RulesConfig {
            pod_ranges: plan.pod_ranges.clone(),
            service_ranges: plan.service_ranges.clone(),
            dns: plan.dns.clone(),
            agent_ports,
            pods_may_reach_agent: config.pods_may_reach_agent,
            host_ports_on_loopback: config.host_ports_on_loopback,
        };
        Self {
            layout: layout.clone(),
            plan,
            resolv_conf: config.resolv_conf.clone(),
            cni_conf_dir: PathBuf::from(&config.cni_conf_dir),
            cni_bin_dir: config.cni_bin_dir.iter().map(PathBuf::from).collect(),
            rules,
        }
    }

    /// What the configuration says must go together with the ranges that the root has of its own.
    pub fn check(&self) -> Result<(), AgentError> {
        let problems = match self.plan.pods {
            PodNetwork::None => Vec::new(),
            PodNetwork::Routed | PodNetwork::Cni => self.plan.problems(),
        };
        if problems.is_empty() {
            return Ok(());
        }
        let line = |problem: &FieldProblem| format!("{}: {}", problem.field, problem.message);
        let lines: Vec<String> = problems.iter().map(line).collect();
        Err(AgentError::Config(lines.join("\n")))
    }

    /// The ranges, addresses and names.
    pub fn plan(&self) -> &NetworkPlan {
        &self.plan
    }

    /// For routed links.
    pub fn routed(&self) -> NetConfig {
        NetConfig {
            layout: self.layout.clone(),
            pod_ranges: self.plan.pod_ranges.clone(),
            loopback_addresses: self.plan.dns.clone(),
            mtu: None,
            rules: self.rules.clone(),
        }
    }

    /// For CNI plugins.
    pub fn cni(&self) -> CniConfig {
        CniConfig {
            layout: self.layout.clone(),
            conf_directory: self.cni_conf_dir.clone(),
            bin_directories: self.cni_bin_dir.clone(),
            libcni_cache: PathBuf::from(LIBCNI_CACHE),
            loopback_addresses: self.plan.dns.clone(),
            rules: self.rules.clone(),
        }
    }

    /// For the DNS server; `None` where pods have no network.
    pub fn dns(&self) -> Option<DnsConfig> {
        let resolv_conf = (!self.resolv_conf.is_empty()).then(|| PathBuf::from(&self.resolv_conf));
        (self.plan.pods != PodNetwork::None)
            .then(|| DnsConfig::new(self.plan.dns.clone(), &self.plan.domain, resolv_conf))
    }

    /// The DNS server's addresses; none where there is no server.
    pub fn dns_addresses(&self) -> &[IpAddr] {
        match self.plan.pods {
            PodNetwork::None => &[],
            PodNetwork::Routed | PodNetwork::Cni => &self.plan.dns,
        }
    }

    /// For Services and policies; `None` where pods have no network.
    pub fn parts(&self) -> Option<NetworkParts> {
        (self.plan.pods != PodNetwork::None).then(|| NetworkParts {
            services: ServiceRanges {
                cluster: self.plan.service_ranges.clone(),
                node_ports: self.plan.node_ports.clone(),
                reserved: self.plan.dns.clone(),
                reserved_node_ports: self.rules.agent_ports.clone(),
            },
            pod_ranges: self.plan.pod_ranges.clone(),
            domain: self.plan.domain.clone(),
        })
    }
}

/// Whether this kernel speaks IPv6.
fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_the_roots_own_are_refused_with_the_setting() {
        let config = |json: &str| serde_json::from_str::<NodeConfig>(json).unwrap();
        let check = |config: &NodeConfig| NetworkSettings::new(&Layout::new("/"), config, Vec::new()).check();
        assert!(check(&NodeConfig::default()).is_ok());
        let error = check(&config(r#"{"podCIDR": "10.96.7.0/24"}"#)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("serviceCIDR: 10.96.0.0/16 overlaps with 10.96.7.0/24 of podCIDR"),
            "{error}"
        );
        let unused = config(r#"{"podCIDR": "10.96.7.0/24", "podNetwork": "none"}"#);
        assert!(check(&unused).is_ok());
    }

    #[test]
    fn pods_without_a_network_get_no_services() {
        let layout = Layout::new("/srv/other");
        let mut config = NodeConfig::default();
        let settings = NetworkSettings::new(&layout, &config, vec![9100, 9100]);
        assert!(settings.parts().is_some());
        assert_eq!(settings.routed().rules.agent_ports, [9100]);
        assert_eq!(settings.cni().bin_directories.len(), 2);
        config.pod_network = PodNetwork::None;
        let settings = NetworkSettings::new(&layout, &config, Vec::new());
        assert!(settings.dns().is_none() && settings.dns_addresses().is_empty());
        assert!(settings.parts().is_none() && settings.plan().pod_ranges.is_empty());
    }
}
