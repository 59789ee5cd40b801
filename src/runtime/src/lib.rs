//! Pods as processes: sandboxes, shims, OCI runtimes, and the images that they run.
//!
//! | module | does |
//! | --- | --- |
//! | [`task`] | speaks with a pod's shim |
//! | [`events`] | takes what shims forward |
//! | [`images`] | archives in, an OCI layout and unpacked layers out |
//! | [`spec`] | turns a pod's container into the OCI runtime's document |

pub mod config;
pub mod events;
pub mod images;
pub mod oci;
pub mod spec;
pub mod task;
#[cfg(test)]
mod testing;
