//! A policy's rules as ranges of peers and ports.

use std::collections::BTreeMap;

use pinnace_api::label_selector::LabelSelector;
use pinnace_api::namespace::labels_of_unmade;
use pinnace_api::network_policy::{PolicyPeer, PolicyPortNumber, PolicyRule};
use pinnace_api::pod::{Pod, Protocol};
use pinnace_api::service::IpFamily;
use pinnace_api::{LabelName, Namespace, NetworkPolicy};

use super::ranges::{self, Range, merged_peers};
use crate::network::inputs::{NamespaceLabels, PodOnNetwork};
use crate::network::tables::Direction;

type Labels = BTreeMap<LabelName, String>;

/// The pods that policies concern, and their namespaces.
pub(super) struct World<'w> {
    pods: Vec<&'w PodOnNetwork>,
    namespaces: BTreeMap<&'w Namespace, Labels>,
}

impl<'w> World<'w> {
    pub(super) fn of(pods: &'w [PodOnNetwork], labels: &NamespaceLabels) -> Self {
        let pods: Vec<_> = pods.iter().filter(|one| !one.pod.spec.host_network).collect();
        let labelled = |one: &&'w PodOnNetwork| {
            let namespace = &one.pod.meta.namespace;
            let mut all = labels.get(namespace).cloned().unwrap_or_default();
            all.extend(labels_of_unmade(namespace));
            (namespace, all)
        };
        let namespaces = pods.iter().map(labelled).collect();
        Self { pods, namespaces }
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &'w PodOnNetwork> {
        self.pods.iter().copied()
    }

    /// Pods by their labels and their namespaces'; of namespace `own` where there is no selector of namespaces.
    fn selected(
        &self,
        own: &Namespace,
        namespaces: Option<&LabelSelector>,
        pods: &LabelSelector,
    ) -> impl Iterator<Item = &'w PodOnNetwork> {
        let is_meant = |namespace: &Namespace, labels: &Labels| {
            namespaces.map_or(namespace == own, |selector| selector.matches(labels))
        };
        let meant = self
            .namespaces
            .iter()
            .filter(|(namespace, labels)| is_meant(namespace, labels));
        let meant: Vec<&Namespace> = meant.map(|(namespace, _)| *namespace).collect();
        self.pods.iter().copied().filter(move |one| {
            let meta = &one.pod.meta;
            meant.binary_search(&&meta.namespace).is_ok() && pods.matches(&meta.labels)
        })
    }
}

/// Peers, all of whom are allowed on all of the ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// Sorted, apart from each other.
    pub(super) peers: Vec<Range>,
    /// No protocol: all of them, on every port.
    pub(super) ports: Vec<(Option<Protocol>, (u16, u16))>,
}

/// Ports by a name that each receiver has for itself.
struct Named {
    peers: Vec<Range>,
    protocol: Protocol,
    name: String,
}

#[derive(Default)]
struct Side {
    parts: Vec<Part>,
    named: Vec<Named>,
}

/// A policy, its peers looked up.
pub(super) struct Compiled<'p> {
    pub(super) policy: &'p NetworkPolicy,
    /// By direction: IPv4, IPv6.
    ingress: [Side; 2],
    egress: [Side; 2],
}

const FAMILIES: [IpFamily; 2] = [IpFamily::Ipv4, IpFamily::Ipv6];
const EVERY_PORT: (u16, u16) = (0, u16::MAX);

impl<'p> Compiled<'p> {
    pub(super) fn of(policy: &'p NetworkPolicy, world: &World<'_>) -> Self {
        let side = |rules: &Option<Vec<PolicyRule>>, direction: Direction| {
            FAMILIES.map(|family| {
                let mut side = Side::default();
                for rule in rules.iter().flatten() {
                    let peers = Peers::of(rule, &policy.meta.namespace, world, family);
                    side.add(rule, &peers, direction);
                }
                side
            })
        };
        Self {
            policy,
            ingress: side(&policy.ingress, Direction::Ingress),
            egress: side(&policy.egress, Direction::Egress),
        }
    }

    pub(super) fn isolates(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.policy.ingress.is_some(),
            Direction::Egress => self.policy.egress.is_some(),
        }
    }

    fn side(&self, direction: Direction, family: IpFamily) -> &Side {
        let sides = match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        };
        match family {
            IpFamily::Ipv4 => &sides[0],
            IpFamily::Ipv6 => &sides[1],
        }
    }

    /// What is the same for every pod that the policy selects.
    pub(super) fn parts(&self, direction: Direction, family: IpFamily) -> impl Iterator<Item = &Part> {
        self.side(direction, family).parts.iter()
    }

    /// What its named ports allow to a pod.
    pub(super) fn named_in(&self, one: &PodOnNetwork, family: IpFamily) -> impl Iterator<Item = Part> {
        self.side(Direction::Ingress, family)
            .named
            .iter()
            .filter_map(|named| {
                let ports = ports_of(&one.pod, named.protocol, &named.name);
                (!ports.is_empty()).then(|| Part {
                    peers: named.peers.clone(),
                    ports,
                })
            })
    }
}

impl Side {
    fn add(&mut self, rule: &PolicyRule, peers: &Peers<'_>, direction: Direction) {
        let mut ports = Vec::new();
        if rule.ports.is_empty() {
            ports.push((None, EVERY_PORT));
        }
        for port in &rule.ports {
            let protocol = port.protocol;
            match (&port.port, direction) {
                (None, _) => ports.push((Some(protocol), EVERY_PORT)),
                (Some(PolicyPortNumber::Range(range)), _) => {
                    ports.push((Some(protocol), (*range.start(), *range.end())));
                }
                (Some(PolicyPortNumber::Name(name)), Direction::Ingress) => self.named.push(Named {
                    peers: peers.ranges.clone(),
                    protocol,
                    name: name.clone(),
                }),
                (Some(PolicyPortNumber::Name(name)), Direction::Egress) => {
                    self.parts.extend(peers.naming(protocol, name));
                }
            }
        }
        if !ports.is_empty() && !peers.ranges.is_empty() {
            let peers = peers.ranges.clone();
            self.parts.push(Part { peers, ports });
        }
    }
}

/// The peers of one rule.
struct Peers<'w> {
    world: &'w World<'w>,
    family: IpFamily,
    ranges: Vec<Range>,
}

impl<'w> Peers<'w> {
    fn of(rule: &PolicyRule, own: &Namespace, world: &'w World<'w>, family: IpFamily) -> Self {
        let mut found = Vec::new();
        if rule.peers.is_empty() {
            found.push(ranges::everybody(family));
        }
        for peer in &rule.peers {
            match peer {
                PolicyPeer::Pods { namespaces, pods } => {
                    let selected = world.selected(own, namespaces.as_ref(), pods);
                    found.extend(selected.flat_map(|one| addresses(one, family)));
                }
                PolicyPeer::IpBlock { cidr, except } if IpFamily::of(cidr.first()) == family => {
                    let except = except.iter().map(|range| ranges::of_cidr(*range)).collect();
                    found.extend(ranges::without(ranges::of_cidr(*cidr), except));
                }
                PolicyPeer::IpBlock { .. } => {}
            }
        }
        Self {
            world,
            family,
            ranges: merged_peers(found),
        }
    }

    fn contain(&self, address: Range) -> bool {
        let behind = self.ranges.partition_point(|range| range.0 <= address.0);
        let candidate = behind.checked_sub(1).and_then(|index| self.ranges.get(index));
        candidate.is_some_and(|range| address.1 <= range.1)
    }

    /// The pods among them that name a port, each with the number that it gives the name.
    fn naming(&self, protocol: Protocol, name: &str) -> Vec<Part> {
        let mut by_ports: BTreeMap<Vec<_>, Vec<Range>> = BTreeMap::new();
        for one in self.world.pods() {
            let ports = ports_of(&one.pod, protocol, name);
            let meant: Vec<Range> = addresses(one, self.family)
                .filter(|address| self.contain(*address))
                .collect();
            if !ports.is_empty() && !meant.is_empty() {
                by_ports.entry(ports).or_default().extend(meant);
            }
        }
        let part = |(ports, peers)| Part {
            peers: merged_peers(peers),
            ports,
        };
        by_ports.into_iter().map(part).collect()
    }
}

fn addresses(one: &PodOnNetwork, family: IpFamily) -> impl Iterator<Item = Range> {
    let addresses = one.addresses.iter().copied();
    addresses
        .filter(move |address| IpFamily::of(*address) == family)
        .map(ranges::of_address)
}

/// The ports that a pod's containers call by a name.
fn ports_of(pod: &Pod, protocol: Protocol, name: &str) -> Vec<(Option<Protocol>, (u16, u16))> {
    let ports = pod.spec.containers.iter().flat_map(|container| &container.ports);
    let named = ports.filter(|port| port.name.as_deref() == Some(name) && port.protocol == protocol);
    named
        .map(|port| (Some(protocol), (port.container_port, port.container_port)))
        .collect()
}
