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
    namespaces: BTreeMap<&'w Namespace, Members<'w>>,
}

/// One namespace that has pods.
struct Members<'w> {
    labels: Labels,
    pods: Vec<&'w PodOnNetwork>,
}

impl<'w> World<'w> {
    pub(super) fn of(pods: &'w [PodOnNetwork], labels: &NamespaceLabels) -> Self {
        let mut namespaces: BTreeMap<&Namespace, Members<'_>> = BTreeMap::new();
        for one in pods.iter().filter(|one| !one.pod.spec.host_network) {
            let namespace = &one.pod.meta.namespace;
            let members = namespaces.entry(namespace).or_insert_with(|| {
                let mut all = labels.get(namespace).cloned().unwrap_or_default();
                all.extend(labels_of_unmade(namespace));
                Members {
                    labels: all,
                    pods: Vec::new(),
                }
            });
            members.pods.push(one);
        }
        Self { namespaces }
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &'w PodOnNetwork> {
        self.namespaces
            .values()
            .flat_map(|members| members.pods.iter().copied())
    }

    /// Pods by their labels and their namespaces'; of namespace `own` where there is no selector of namespaces.
    fn select(
        &self,
        own: &Namespace,
        namespaces: Option<&LabelSelector>,
        pods: &LabelSelector,
    ) -> Vec<&'w PodOnNetwork> {
        let matching = |members: &Members<'w>| -> Vec<&'w PodOnNetwork> {
            let all = members.pods.iter().copied();
            all.filter(|one| pods.matches(&one.pod.meta.labels)).collect()
        };
        let Some(selector) = namespaces else {
            return self.namespaces.get(own).map(matching).unwrap_or_default();
        };
        let meant = self
            .namespaces
            .values()
            .filter(|members| selector.matches(&members.labels));
        meant.flat_map(matching).collect()
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
        let sides = |rules: &Option<Vec<PolicyRule>>, direction: Direction| {
            let mut sides = [Side::default(), Side::default()];
            for rule in rules.iter().flatten() {
                let selected = Selected::of(rule, &policy.meta.namespace, world);
                for (side, family) in sides.iter_mut().zip(FAMILIES) {
                    let peers = Peers::of(rule, &selected, world, family);
                    side.add(rule, &peers, direction);
                }
            }
            sides
        };
        Self {
            policy,
            ingress: sides(&policy.ingress, Direction::Ingress),
            egress: sides(&policy.egress, Direction::Egress),
        }
    }

    pub(super) fn isolates(&self, direction: Direction) -> bool {
        match direction {
            Direction::Ingress => self.policy.ingress.is_some(),
            Direction::Egress => self.policy.egress.is_some(),
        }
    }

    /// Whether any of its rules allows anything to any pod.
    pub(super) fn allows(&self, direction: Direction) -> bool {
        FAMILIES.iter().any(|family| {
            let side = self.side(direction, *family);
            !side.parts.is_empty() || !side.named.is_empty()
        })
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

/// The pods that a rule's selectors mean, of either family.
struct Selected<'w>(Vec<&'w PodOnNetwork>);

impl<'w> Selected<'w> {
    fn of(rule: &PolicyRule, own: &Namespace, world: &World<'w>) -> Self {
        let select = |peer: &PolicyPeer| match peer {
            PolicyPeer::Pods { namespaces, pods } => world.select(own, namespaces.as_ref(), pods),
            PolicyPeer::IpBlock { .. } => Vec::new(),
        };
        Self(rule.peers.iter().flat_map(select).collect())
    }
}

/// The peers of one rule.
struct Peers<'w> {
    world: &'w World<'w>,
    family: IpFamily,
    ranges: Vec<Range>,
}

impl<'w> Peers<'w> {
    fn of(rule: &PolicyRule, selected: &Selected<'_>, world: &'w World<'w>, family: IpFamily) -> Self {
        let mut found = Vec::new();
        if rule.peers.is_empty() {
            found.push(ranges::everybody(family));
        }
        for peer in &rule.peers {
            if let PolicyPeer::IpBlock { cidr, except } = peer
                && IpFamily::of(cidr.first()) == family
            {
                let except = except.iter().map(|range| ranges::of_cidr(*range)).collect();
                found.extend(ranges::without(ranges::of_cidr(*cidr), except));
            }
        }
        found.extend(selected.0.iter().flat_map(|one| addresses(one, family)));
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
