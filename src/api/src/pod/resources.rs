//! What a container asks for, and may use.

use crate::quantity::{Bytes, MilliCpu};

/// Requests and limits; a limit without a request is its request too, as Kubernetes defaults it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// What admission counts and shares are made of.
    pub requests: ResourceList,
    /// What the kernel enforces.
    pub limits: ResourceList,
}

/// Amounts of the node's own resources; `None` where the manifest says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceList {
    /// Thousandths of a CPU.
    pub cpu: Option<MilliCpu>,
    /// Bytes of memory.
    pub memory: Option<Bytes>,
    /// Bytes of local storage: accepted and measured.
    pub ephemeral_storage: Option<Bytes>,
}

/// Whether a change of a container's resources restarts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResizePolicy {
    /// A change of cpu does.
    pub restart_for_cpu: bool,
    /// A change of memory does.
    pub restart_for_memory: bool,
}
