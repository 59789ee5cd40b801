//! Requests and limits as the kernel's values, in the kubelet's arithmetic.
//!
//! | part | answers |
//! | --- | --- |
//! | [`qos`] | the pod's class |
//! | [`requests`] | what a pod counts for on its node |
//! | [`cgroup`] | values for the cgroups of a container and of its pod |
//! | [`oom`] | `oom_score_adj` of a container's processes |
//! | [`storage`] | whether a pod holds more of the disk than it may |
//!
//! All is integer arithmetic that rounds as the kubelet does, saturates at the ends, and never fails: absurd
//! amounts were refused when the manifest was read.

pub mod cgroup;
pub mod oom;
pub mod qos;
pub mod requests;
pub mod storage;

pub use cgroup::{CgroupPolicy, CgroupValues, container_values, pod_values};
pub use oom::oom_score_adj;
pub use qos::{QosClass, qos_class};
pub use requests::{Requests, pod_requests};
pub use storage::{has_storage_limit, storage_exceeded};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
