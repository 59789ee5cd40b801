//! The order in which a pod's network comes to be and goes.
//!
//! ```text
//! attach:  lease ─▶ link, addresses, routes ─▶ bandwidth ─▶ rules
//! detach:  rules ─▶ link ─▶ lease, and the lease only where nothing else is left of the pod
//! ```
//!
//! The rules come last: where a pod's elements are whole, all before them was whole once.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pinnace_api::{Cidr, Pod, PodUid};
use pinnace_core::network::{NetworkState, PodAddresses};

use crate::config::NetConfig;
use crate::error::NetError;
use crate::host::{self, sysctl};
use crate::leases::Leases;
use crate::links::{self, LinkRequest, Shape, Sweeper};
use crate::names::HostNames;
use crate::rules::{HostPort, PodElements, Rules};

/// One root's pods on this host. All calls block.
#[derive(Debug)]
pub(crate) struct Node {
    config: NetConfig,
    names: HostNames,
    leases: Leases,
    sweeper: Sweeper,
    rules: Rules,
    /// The host was prepared.
    started: Mutex<bool>,
}

impl Node {
    pub(crate) fn new(config: NetConfig) -> Self {
        let names = HostNames::new(&config.layout);
        let known = |range: &&Cidr| range.is_ipv4() || sysctl::has_ipv6();
        let ranges: Vec<Cidr> = config.pod_ranges.iter().filter(known).copied().collect();
        Self {
            leases: Leases::new(config.layout.network(), ranges),
            rules: Rules::new(config.rules.clone(), names.clone()),
            sweeper: Sweeper::default(),
            started: Mutex::new(false),
            names,
            config,
        }
    }

    /// Prepares the host, where an earlier call has not.
    pub(crate) fn start(&self) -> Result<(), NetError> {
        self.started().map(|_| ())
    }

    /// The rules, of a host that is prepared.
    pub(crate) fn started(&self) -> Result<&Rules, NetError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            let has = |v4: bool| self.leases.ranges().iter().any(|range| range.is_ipv4() == v4);
            host::forward(has(true), has(false))?;
            host::close(self.leases.ranges())?;
            host::put_on_loopback(&self.loopback_addresses())?;
            links::configure_all(&self.names, self.config.rules.host_ports_on_loopback)?;
            self.rules.declare()?;
            *started = true;
        }
        Ok(&self.rules)
    }

    /// Takes away what is no pod's.
    pub(crate) fn retire(&self) -> Result<(), NetError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        *started = false;
        let mut errors: Vec<NetError> = Vec::new();
        errors.extend(self.rules.retract().err().map(NetError::from));
        let addresses = self.loopback_addresses();
        errors.extend(host::take_from_loopback(&addresses).err().map(NetError::from));
        errors.extend(self.sweep().err());
        errors.extend(host::open(self.leases.ranges()).err().map(NetError::from));
        NetError::all(errors)
    }

    pub(crate) fn list(&self) -> Result<Vec<PodUid>, NetError> {
        let mut pods = links::list(&self.names, &self.sweeper, || self.leases.list())?;
        pods.extend(self.rules.list()?);
        pods.sort();
        pods.dedup();
        Ok(pods)
    }

    pub(crate) fn observe(&self, uid: &PodUid, namespace: &Path) -> Result<NetworkState, NetError> {
        let Some(addresses) = self.leases.find(uid)? else {
            // The lease comes first and goes last; what is there without one is not from here.
            let left = links::is_there(&self.names, uid)?
                || self
                    .rules
                    .pod_elements(uid, &PodAddresses::default(), &self.names.link(uid))?
                    == PodElements::Partial;
            return Ok(if left {
                NetworkState::Partial
            } else {
                NetworkState::Absent
            });
        };
        let whole = links::is_whole(&self.names, uid, namespace, &addresses)?
            && self.rules.pod_elements(uid, &addresses, &self.names.link(uid))? == PodElements::Whole;
        Ok(if whole {
            NetworkState::Attached(addresses)
        } else {
            NetworkState::Partial
        })
    }

    pub(crate) fn attach(&self, uid: &PodUid, pod: &Pod, namespace: &Path) -> Result<PodAddresses, NetError> {
        let shape = Shape::of(pod)?;
        let rules = self.started()?;
        let addresses = self.leases.acquire(uid)?;
        let mtu = match self.config.mtu {
            Some(mtu) => mtu,
            None => host::mtu()?,
        };
        let link = links::ensure(&LinkRequest {
            uid,
            names: &self.names,
            namespace,
            addresses: &addresses,
            mtu,
            sweeper: &self.sweeper,
            from_loopback: self.config.rules.host_ports_on_loopback,
        })?;
        links::shape(shape, &link, namespace)?;
        rules.pod_attached(uid, &addresses, &link, &host_ports(pod))?;
        Ok(addresses)
    }

    /// Answers whether there is something to [`Node::sweep`].
    pub(crate) fn detach(&self, uid: &PodUid) -> Result<bool, NetError> {
        let mut errors: Vec<NetError> = Vec::new();
        errors.extend(self.rules.pod_detached(uid).err().map(NetError::from));
        let given_up = links::give_up(&self.names, uid);
        let sweep = given_up.as_ref().is_ok_and(|given_up| *given_up);
        errors.extend(given_up.err());
        if errors.is_empty() {
            // Not before: the address would come to another while something still leads here.
            errors.extend(self.leases.release(uid).err());
        }
        NetError::all(errors).map(|()| sweep)
    }

    /// Takes down the links of pods that were detached.
    pub(crate) fn sweep(&self) -> Result<(), NetError> {
        self.sweeper.sweep(&self.names)
    }

    fn loopback_addresses(&self) -> Vec<std::net::IpAddr> {
        let addresses = self.config.loopback_addresses.iter();
        addresses
            .filter(|address| address.is_ipv4() || sysctl::has_ipv6())
            .copied()
            .collect()
    }
}

/// The host ports of all containers.
fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
    ports
        .filter_map(|port| {
            Some(HostPort {
                host_ip: port.host_ip,
                protocol: port.protocol,
                host_port: port.host_port?,
                container_port: port.container_port,
            })
        })
        .collect()
}
