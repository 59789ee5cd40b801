//! Pods as processes: sandboxes, shims, OCI runtimes, and the images that they run.
//!
//! ```text
//! engine ──PodRuntime──▶ Runtime ─┬─ sandbox    cgroup, pinned namespaces, shared files
//!                                 ├─ container  bundle: root file system, spec, what is known of its end
//!                                 ├─ launch     starts a pod's shim and finds it again
//!                                 ├─ task       speaks with it
//!                                 └─ events     takes what shims forward
//! ```
//!
//! [`images`] keeps images: archives in, an OCI layout and unpacked layers out; [`rootfs`] is what is needed of
//! them here. [`oci`] chooses the OCI runtime by trying, [`spec`] turns a pod's container into its document. All
//! that this crate makes on the host carries the pod's UID and is found again by listing the host alone.

mod config;
mod container;
mod error;
pub mod events;
mod folders;
pub mod images;
mod launch;
pub mod oci;
mod paths;
mod records;
pub mod rootfs;
mod runtime;
mod sandbox;
pub mod spec;
pub mod task;

pub use config::{Naming, RuntimeConfig};
pub use error::RuntimeError;
pub use launch::LaunchError;
pub use records::{ContainerRecord, SandboxRecord};
pub use rootfs::{ImageRoot, ImageRoots};
pub use runtime::{ContainerDisk, Exec, ExecRequest, OpenError, RunningContainer, Runtime};
