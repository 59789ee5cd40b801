//! What pods are on the network: addresses, the Services in front of them, the policies around them, their
//! names.
//!
//! ```text
//! Services, NetworkPolicies, pods' statuses ──▶ ServiceTable ──▶ the rules' maps
//!                                          │        └─────────▶ NameTable ──▶ the DNS server
//!                                          └──▶ PolicyTable ──▶ the rules' sets
//! ```
//!
//! A table is the whole of what is wanted; an adapter compares it with what it laid down before, and changes
//! elements only.

mod addresses;
mod allocate;
mod env;
mod files;
mod inputs;
mod names;
mod policies;
mod resolver;
mod services;
mod tables;
#[cfg(test)]
mod testing;

pub use addresses::{ClusterDns, NetworkState, PodAddresses};
pub use allocate::{Allocated, AllocationProblem, allocate};
pub use env::service_variables;
pub use files::{HostNames, NameTooLong, hosts_of_host};
pub use inputs::{NamespaceLabels, PodOnNetwork, ServiceAllocations, ServiceName, ServiceRanges};
pub use names::{name_table, reverse_name};
pub use policies::policy_table;
pub use resolver::{PodResolver, ResolvConf, ResolverWarning, pod_resolver};
pub use services::service_table;
pub use tables::{
    Allowed, Direction, Endpoint, Excess, NameRecord, NameTable, PolicyTable, PortEntry, RefusedPolicy,
    ServiceEntry, ServiceForm, ServiceTable,
};
