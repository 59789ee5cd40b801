//! The per-pod supervisor, and the protocol that the agent and every shim speak.
//!
//! - [`protocol`]: containerd's shim API on the wire; the agent is a client of it
//! - [`logs`]: containers' logs in the CRI format, and the URIs that ask for them
//! - [`socket`]: unix sockets at paths of any length
//! - [`program`]: the binary `pinnace-shim`; `docs/shim.md` tells how it works

pub mod logs;
pub mod program;
pub mod protocol;
pub mod socket;

mod bundle;
mod chain;
mod container_cgroup;
mod oci;
mod reactor;
mod relay;
mod stdio;
mod supervisor;
