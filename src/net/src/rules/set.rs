//! The sets and maps of which elements change. Each is there twice, for IPv4 and IPv6.

use super::element::Field;

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// (interface, source): what may come from a pod.
    Sources,
    /// (pod, pod): a pod that reached itself by a detour.
    Hairpin,
    /// (address of the host, protocol, port) to (pod, port).
    HostPorts,
    /// (protocol, port) to (pod, port), at any address of the host.
    HostPortsAny,
    /// (address, protocol, port) to the chain that chooses.
    Services,
    /// (address, protocol, port, number drawn) to (pod, port).
    Endpoints,
    /// (protocol, port of the node) to the chain that chooses.
    NodePorts,
    /// (protocol, port of the node, number drawn) to (pod, port).
    NodeEndpoints,
    /// (address, protocol, port) to the chain that remembers.
    Affine,
    /// (protocol, port of the node) to the chain that remembers.
    AffineNodes,
    /// (client, address, protocol, port) to (pod, port); the kernel fills it.
    Affinity,
    /// Addresses of Services that are not of their range.
    External,
    /// Pods of which incoming traffic must be allowed.
    IsolatedIn,
    /// Pods of which outgoing traffic must be allowed.
    IsolatedOut,
    /// (pod, peers): every protocol.
    AllowedAnyIn,
    /// The same of what goes out.
    AllowedAnyOut,
    /// (pod, peers, protocol, ports).
    AllowedIn,
    /// The same of what goes out.
    AllowedOut,
}

/// Whether a set is a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// It is.
    Nowhere,
    /// A map to an address and a port.
    ToPort,
    /// A map to a chain.
    ToChain,
}

/// Those that hold what each pod has.
pub(super) const OF_PODS: [Kind; 4] = [Kind::Sources, Kind::Hairpin, Kind::HostPorts, Kind::HostPortsAny];
/// Those that hold Services.
pub(super) const OF_SERVICES: [Kind; 7] = [
    Kind::Services,
    Kind::Endpoints,
    Kind::NodePorts,
    Kind::NodeEndpoints,
    Kind::Affine,
    Kind::AffineNodes,
    Kind::External,
];
/// Those that hold policies.
pub(super) const OF_POLICIES: [Kind; 6] = [
    Kind::IsolatedIn,
    Kind::IsolatedOut,
    Kind::AllowedAnyIn,
    Kind::AllowedAnyOut,
    Kind::AllowedIn,
    Kind::AllowedOut,
];

/// A set of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Set {
    pub(super) kind: Kind,
    pub(super) v4: bool,
}

/// These of both families.
pub(super) fn both(kinds: &[Kind]) -> Vec<Set> {
    let families = |kind: &Kind| [true, false].map(|v4| Set { kind: *kind, v4 });
    kinds.iter().flat_map(families).collect()
}

/// All of them.
pub(super) fn all() -> Vec<Set> {
    let mut sets = both(&OF_PODS);
    sets.extend(both(&OF_SERVICES));
    sets.extend(both(&[Kind::Affinity]));
    sets.extend(both(&OF_POLICIES));
    sets
}

impl Set {
    pub(super) fn name(self) -> String {
        let name = match self.kind {
            Kind::Sources => "sources",
            Kind::Hairpin => "hairpin",
            Kind::HostPorts => "host-ports",
            Kind::HostPortsAny => "host-ports-any",
            Kind::Services => "services",
            Kind::Endpoints => "endpoints",
            Kind::NodePorts => "node-ports",
            Kind::NodeEndpoints => "node-endpoints",
            Kind::Affine => "affine",
            Kind::AffineNodes => "affine-nodes",
            Kind::Affinity => "affinity",
            Kind::External => "external",
            Kind::IsolatedIn => "isolated-in",
            Kind::IsolatedOut => "isolated-out",
            Kind::AllowedAnyIn => "allowed-any-in",
            Kind::AllowedAnyOut => "allowed-any-out",
            Kind::AllowedIn => "allowed-in",
            Kind::AllowedOut => "allowed-out",
        };
        format!("{name}{}", if self.v4 { 4 } else { 6 })
    }

    fn address(self) -> Field {
        if self.v4 { Field::V4 } else { Field::V6 }
    }

    /// The fields of its keys.
    pub(super) fn key(self) -> Vec<Field> {
        let address = self.address();
        match self.kind {
            Kind::Sources => vec![Field::Link, address],
            Kind::Hairpin | Kind::AllowedAnyIn | Kind::AllowedAnyOut => vec![address, address],
            Kind::HostPorts | Kind::Services | Kind::Affine => vec![address, Field::Protocol, Field::Port],
            Kind::HostPortsAny | Kind::NodePorts | Kind::AffineNodes => vec![Field::Protocol, Field::Port],
            Kind::Endpoints => vec![address, Field::Protocol, Field::Port, Field::Index],
            Kind::NodeEndpoints => vec![Field::Protocol, Field::Port, Field::Index],
            Kind::Affinity | Kind::AllowedIn | Kind::AllowedOut => {
                vec![address, address, Field::Protocol, Field::Port]
            }
            Kind::External | Kind::IsolatedIn | Kind::IsolatedOut => vec![address],
        }
    }

    /// The fields of its values.
    pub(super) fn value(self) -> Vec<Field> {
        vec![self.address(), Field::Port]
    }

    pub(super) fn leads(self) -> Leads {
        match self.kind {
            Kind::HostPorts | Kind::HostPortsAny | Kind::Endpoints | Kind::NodeEndpoints | Kind::Affinity => {
                Leads::ToPort
            }
            Kind::Services | Kind::NodePorts | Kind::Affine | Kind::AffineNodes => Leads::ToChain,
            _ => Leads::Nowhere,
        }
    }

    /// Its keys are ranges.
    pub(super) fn is_of_ranges(self) -> bool {
        matches!(
            self.kind,
            Kind::AllowedAnyIn | Kind::AllowedAnyOut | Kind::AllowedIn | Kind::AllowedOut
        )
    }

    /// The kernel adds to it, and forgets what it added.
    pub(super) fn is_dynamic(self) -> bool {
        self.kind == Kind::Affinity
    }
}
