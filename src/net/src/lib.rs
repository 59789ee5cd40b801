//! Pods' network: links, addresses, rules.
//!
//! ```text
//! Net (port Network) ──┬── leases  one file per address of the pod ranges, named after it, carrying the pod's UID
//!                      ├── links   a veth pair per pod, routed: host routes, no bridge
//!                      └── rules   one nftables table: sources, host ports, Services, policies
//! Dns (port Names) ────── dns     the node's DNS server
//! ```
//!
//! [`cni::CniNet`] is the same port by CNI plugins.
//!
//! All that is made for a pod carries its UID and is found again by looking at the host alone: the lease in its
//! file, the link in its alias, an element of the rules in its comment. So nothing is recorded beside it, and a
//! call that was cut short at any point is completed by the same call again.
//!
//! `attach` makes lease, link, rules, in this order; `detach` takes them back in the opposite order, so whatever
//! is left of a pod is always found by its lease.
//!
//! With another root than `/`, every name on the host carries the root's tag ([`names::HostNames`]).

pub mod cni;
mod config;
pub mod dns;
pub mod doctor;
mod error;
mod finding;
mod host;
mod leases;
mod links;
pub mod names;
mod net;
mod node;
pub mod rules;

pub use config::NetConfig;
pub use error::NetError;
pub use finding::Finding;
pub use net::Net;
