//! Services and pods to endpoints, as Kubernetes' controllers and kube-proxy make them.
//!
//! - A pod is an endpoint where it has an address of one of the Service's families and every label that the
//!   selector asks for; of a port with a named target, where one of its containers names that port.
//! - Ready pods get traffic; where none is ready, those that are still ready on their way out. All of them get
//!   it where the Service publishes pods that are not ready.
//! - A Service that was given nothing ([`super::allocate`] refused it) is not in the table.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use pinnace_api::pod::Pod;
use pinnace_api::service::{IpFamily, ServiceKind, ServicePort, TargetPort};
use pinnace_api::{Namespace, Service};

use super::allocate::{families, port_key};
use super::inputs::{PodOnNetwork, ServiceAllocations, ServiceRanges};
use super::tables::{Endpoint, PortEntry, ServiceEntry, ServiceForm, ServiceTable};
use crate::ports::ServiceAllocation;

/// All Services with their endpoints.
pub fn service_table<'s>(
    services: impl IntoIterator<Item = &'s Service>,
    allocations: &ServiceAllocations,
    pods: &[PodOnNetwork],
    ranges: &ServiceRanges,
) -> ServiceTable {
    let index = Index::of(pods);
    let mut table = ServiceTable::default();
    for service in services {
        let name = (service.meta.namespace.clone(), service.meta.name.clone());
        let Some(given) = allocations.get(&name) else {
            continue;
        };
        table.services.insert(name, entry(service, given, &index, ranges));
    }
    table
}

/// Pods by namespace and label: a Service looks only at those that have its first label.
struct Index<'p> {
    by_label: BTreeMap<(&'p Namespace, &'p str, &'p str), Vec<&'p PodOnNetwork>>,
}

impl<'p> Index<'p> {
    fn of(pods: &'p [PodOnNetwork]) -> Self {
        let mut by_label: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in pods {
            let meta = &one.pod.meta;
            for (key, value) in &meta.labels {
                let label = (&meta.namespace, key.as_str(), value.as_str());
                by_label.entry(label).or_default().push(one);
            }
        }
        Self { by_label }
    }

    /// The pods behind a Service; none without a selector.
    fn behind<'s>(&'s self, service: &'s Service) -> Vec<&'s PodOnNetwork> {
        let selector = &service.spec.selector;
        let Some((key, value)) = selector.iter().next() else {
            return Vec::new();
        };
        let label = (&service.meta.namespace, key.as_str(), value.as_str());
        let found = self.by_label.get(&label).into_iter().flatten().copied();
        let has_all = |one: &&PodOnNetwork| {
            let labels = &one.pod.meta.labels;
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        found.filter(has_all).collect()
    }
}

fn entry(
    service: &Service,
    given: &ServiceAllocation,
    index: &Index<'_>,
    ranges: &ServiceRanges,
) -> ServiceEntry {
    let spec = &service.spec;
    let (form, families) = match &spec.kind {
        ServiceKind::ClusterIp { .. } => (ServiceForm::ClusterIp, of_addresses(&given.cluster_ips)),
        ServiceKind::NodePort { .. } => (ServiceForm::NodePort, of_addresses(&given.cluster_ips)),
        ServiceKind::Headless => (
            ServiceForm::Headless,
            families(spec, &ranges.cluster).unwrap_or_default(),
        ),
        ServiceKind::ExternalName(name) => (ServiceForm::ExternalName(name.clone()), Vec::new()),
    };
    let is_headless = form == ServiceForm::Headless;
    let pods = if families.is_empty() {
        Vec::new()
    } else {
        index.behind(service)
    };
    let backends = Backends {
        service,
        families: &families,
        pods: &pods,
        may_fall_back: !is_headless,
    };
    let has_node_ports = form == ServiceForm::NodePort;
    let port = |port: &ServicePort| PortEntry {
        name: port.name.clone(),
        protocol: port.protocol,
        port: port.port,
        node_port: given
            .node_ports
            .get(&port_key(port))
            .copied()
            .filter(|_| has_node_ports),
        endpoints: backends.endpoints(|pod| target_port(pod, port)),
    };
    let portless = if is_headless && spec.ports.is_empty() {
        backends.endpoints(|_| Some(0))
    } else {
        Vec::new()
    };
    let external = spec.external_ips.iter().copied();
    ServiceEntry {
        form,
        cluster_ips: given.cluster_ips.clone(),
        external_ips: external
            .filter(|ip| families.contains(&IpFamily::of(*ip)) && !is_headless)
            .collect(),
        client_ip_affinity: spec.client_ip_affinity,
        ports: spec.ports.iter().map(port).collect(),
        portless,
    }
}

fn of_addresses(addresses: &[IpAddr]) -> Vec<IpFamily> {
    addresses.iter().map(|address| IpFamily::of(*address)).collect()
}

/// Where the pod listens for connections to the port; `None` where no container of it names the target.
fn target_port(pod: &Pod, port: &ServicePort) -> Option<u16> {
    match &port.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => {
            let mut ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
            let found =
                ports.find(|one| one.name.as_deref() == Some(name.as_str()) && one.protocol == port.protocol);
            found.map(|one| one.container_port)
        }
    }
}

/// The pods behind one Service.
struct Backends<'b> {
    service: &'b Service,
    families: &'b [IpFamily],
    pods: &'b [&'b PodOnNetwork],
    /// Where no pod is ready, those on their way out that still are get traffic.
    may_fall_back: bool,
}

impl Backends<'_> {
    /// Endpoints of one port; `port_of` answers where a pod listens.
    fn endpoints(&self, port_of: impl Fn(&Pod) -> Option<u16>) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        let mut leaving = Vec::new();
        for one in self.pods {
            let Some(port) = port_of(&one.pod) else { continue };
            for address in &one.addresses {
                if !self.families.contains(&IpFamily::of(*address)) {
                    continue;
                }
                if one.ready && one.terminating {
                    leaving.push(endpoints.len());
                }
                endpoints.push(self.endpoint(one, *address, port));
            }
        }
        // Each family falls back by itself, as it is balanced by itself.
        for family in self.families {
            let is_of = |endpoint: &Endpoint| IpFamily::of(endpoint.address) == *family;
            let is_served = endpoints
                .iter()
                .any(|endpoint| endpoint.serving && is_of(endpoint));
            if self.may_fall_back && !is_served {
                for place in &leaving {
                    let endpoint = &mut endpoints[*place];
                    endpoint.serving |= is_of(endpoint);
                }
            }
        }
        endpoints.sort_unstable();
        endpoints.dedup();
        endpoints
    }

    fn endpoint(&self, one: &PodOnNetwork, address: IpAddr, port: u16) -> Endpoint {
        let Self { service, .. } = self;
        let (meta, spec) = (&one.pod.meta, &one.pod.spec);
        let is_named = spec.subdomain.as_deref() == Some(service.meta.name.as_str());
        Endpoint {
            address,
            port,
            serving: service.spec.publish_not_ready_addresses || one.ready && !one.terminating,
            pod: (meta.namespace.clone(), meta.name.clone()),
            hostname: spec.hostname.clone().filter(|_| is_named),
        }
    }
}
