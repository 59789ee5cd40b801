//! Kubernetes' quantities, parsed once into the kernel's units.

/// Thousandths of a CPU, rounded up from the quantity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct MilliCpu(pub u64);

/// A number of bytes, rounded up from the quantity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Bytes(pub u64);
