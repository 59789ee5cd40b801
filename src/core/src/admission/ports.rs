//! Ports of the host that pods ask for, and who holds them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use pinnace_api::pod::{PodSpec, Protocol};

use super::Accounted;
use crate::node::Node;

/// A port of the host that a pod asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Its number.
    pub port: u16,
    /// Its transport.
    pub protocol: Protocol,
    /// The host's address; unspecified means all of them.
    pub ip: IpAddr,
}

impl HostPort {
    /// The host ports of a pod, each once.
    pub fn of(spec: &PodSpec) -> Vec<Self> {
        let mut ports: Vec<Self> = spec
            .containers
            .iter()
            .flat_map(|container| &container.ports)
            .filter_map(|port| {
                Some(Self {
                    port: port.host_port?,
                    protocol: port.protocol,
                    ip: port.host_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                })
            })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Whether both cannot be had at once: same number and transport, and addresses that meet.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let meet = self.ip == other.ip || self.ip.is_unspecified() || other.ip.is_unspecified();
        self.port == other.port && self.protocol == other.protocol && meet
    }
}

impl fmt::Display for HostPort {
    /// `TCP 9100`, with the address where one was asked for: `UDP 10.0.0.1:53`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        };
        match self.ip {
            ip if ip.is_unspecified() => write!(f, "{protocol} {}", self.port),
            ip => write!(f, "{protocol} {}", std::net::SocketAddr::new(ip, self.port)),
        }
    }
}

/// What stands in the way of the pod's host ports, a sentence each; empty where all are free.
pub(super) fn conflicts(spec: &PodSpec, node: &Node, running: &[Accounted]) -> Vec<String> {
    let mut found = Vec::new();
    for wanted in HostPort::of(spec) {
        for holder in running {
            if holder.ports.iter().any(|held| held.conflicts_with(&wanted)) {
                found.push(format!("host port {wanted} is held by Pod {}", holder.pod));
            }
        }
        for own in &node.own_ports {
            let held = HostPort {
                port: own.address.port(),
                protocol: own.protocol,
                ip: own.address.ip(),
            };
            if held.conflicts_with(&wanted) {
                found.push(format!(
                    "host port {wanted} is held by the agent itself, which listens on {}; for the pod to have \
                     it, set {} to another address",
                    own.address, own.setting
                ));
            }
        }
    }
    found
}
