//! CNI mode (`podNetwork: cni`): pods' network is made by plugins, as container daemons have it made.
//!
//! ```text
//! CniNet (port Network) ── CniNode ──┬── network    the first configuration of cniConfDir: a list of plugins
//!                                    ├── call       ADD, DEL, CHECK, STATUS, GC, VERSION of that list
//!                                    │     └── exec one execution of one plugin, bounded
//!                                    ├── lock       one operation at a time on a pod, from agent to agent
//!                                    ├── record     what an attachment was made with, and its result
//!                                    └── services   the node's own rules
//! ```
//!
//! - A record is written before the first plugin is executed and removed after the last DEL, so whatever a crash
//!   leaves is named by a record (`record`), and each half-made attachment is taken back before the next try.
//! - An attachment is whole where its record has a result of this boot and the pod's namespace shows its addresses.
//! - It is taken back with the configuration and arguments that it was made with; a pod whose record is lost, with
//!   those of now.
//! - GC is called once in an agent's life, before the first ADD to a network: every record, every pod that has a
//!   directory, and every attachment that libcni's users note in their cache is valid.
//!
//! What is the plugins' here: addresses, routes, host ports, bandwidth, masquerade, policies. What stays the
//! node's: names, and Services, by its own rules.

mod arguments;
mod call;
mod config;
pub mod doctor;
mod error;
mod exec;
mod lock;
mod look;
mod net;
mod network;
mod node;
mod others;
mod record;
mod result;
mod services;
mod version;

pub use config::CniConfig;
pub use error::CniError;
pub use exec::RunError;
pub use net::CniNet;
pub use network::NetworkError;
pub use result::ResultError;

/// `CNI_IFNAME`: the pod's interface.
pub(crate) const INTERFACE: &str = "eth0";
