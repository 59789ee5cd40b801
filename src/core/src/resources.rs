//! Requests and limits as the kernel's values, in the kubelet's arithmetic.

/// Quality of service of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum QosClass {
    /// Every container has cpu and memory limits equal to its requests.
    Guaranteed,
    /// Some request or limit.
    Burstable,
    /// None at all.
    BestEffort,
}

/// Values for one cgroup, in units both cgroup versions can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct CgroupValues {
    /// `cpu.shares` of v1 (2 to 262144); v2's `cpu.weight` is made of it by [`CgroupValues::cpu_weight`].
    pub cpu_shares: Option<u64>,
    /// `cpu.cfs_quota_us` or the first number of `cpu.max`; `None`: no limit.
    pub cpu_quota_us: Option<u64>,
    /// The period that goes with the quota, 100,000 by default.
    pub cpu_period_us: u64,
    /// `memory.limit_in_bytes` or `memory.max`.
    pub memory_limit_bytes: Option<u64>,
    /// `pids.max`.
    pub pids_limit: Option<u64>,
}

impl CgroupValues {
    /// `cpu.weight` (1 to 10000) for the shares, by the formula that Kubernetes documents for cgroup v2.
    pub fn cpu_weight(&self) -> Option<u64> {
        self.cpu_shares
            .map(|shares| 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142)
    }
}
