//! Values for the cgroups of a container and of its pod.
//!
//! Shares come of requests, quota and memory limit of limits. The pod's cgroup holds all containers that run at one
//! time; it has a limit only where every container has one, since one container without would otherwise be held by what
//! the others asked for.

use pinnace_api::MilliCpu;
use pinnace_api::pod::{Container, PodSpec};

use super::qos::{QosClass, qos_class};
use super::requests::{Requests, peak, pod_requests};

const SHARES_PER_CPU: u64 = 1024;
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;
/// The kernel refuses less.
const MIN_QUOTA_US: u64 = 1_000;
/// The kernel's and Kubernetes' default.
const DEFAULT_PERIOD_US: u64 = 100_000;

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
    /// `cpu.weight` (1 to 10000) for the shares, by the formula that Kubernetes documents for cgroup v2 and
    /// the kubelet uses for its pods.
    ///
    /// Newer OCI runtimes bend the curve so that one CPU weighs as much as a system service, at the price of
    /// the proportion between siblings; it is the proportion that requests promise, so it is kept at every
    /// level here.
    pub fn cpu_weight(&self) -> Option<u64> {
        self.cpu_shares
            .map(|shares| 1 + (shares.clamp(MIN_SHARES, MAX_SHARES) - 2) * 9999 / 262_142)
    }
}

/// What the node's configuration says about all cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupPolicy {
    /// `cpuCFSQuota`: cpu limits are enforced.
    pub cpu_cfs_quota: bool,
    /// `cpuCFSQuotaPeriod` in microseconds.
    pub cpu_period_us: u64,
    /// `podPidsLimit`; `None`: the node's own limit only.
    pub pod_pids_limit: Option<u64>,
}

impl Default for CgroupPolicy {
    fn default() -> Self {
        Self {
            cpu_cfs_quota: true,
            cpu_period_us: DEFAULT_PERIOD_US,
            pod_pids_limit: None,
        }
    }
}

impl CgroupPolicy {
    /// The quota for a cpu limit, at least a millisecond; none for no limit, or where quotas are off.
    fn quota_us(&self, limit: MilliCpu) -> Option<u64> {
        if limit.0 == 0 || !self.cpu_cfs_quota {
            return None;
        }
        Some((limit.0.saturating_mul(self.cpu_period_us) / 1000).max(MIN_QUOTA_US))
    }
}

/// `cpu.shares` for a request: 1024 for a whole CPU, never less than 2.
fn shares(request: MilliCpu) -> u64 {
    (request.0.saturating_mul(SHARES_PER_CPU) / 1000).clamp(MIN_SHARES, MAX_SHARES)
}

/// Values of a container's own cgroup.
pub fn container_values(container: &Container, policy: &CgroupPolicy) -> CgroupValues {
    let limits = &container.resources.limits;
    let cpu_limit = limits.cpu.unwrap_or_default();
    // A request left out means the limit, one of zero means zero.
    let cpu_request = container.resources.requests.cpu.unwrap_or(cpu_limit);
    CgroupValues {
        cpu_shares: Some(shares(cpu_request)),
        cpu_quota_us: policy.quota_us(cpu_limit),
        cpu_period_us: policy.cpu_period_us,
        memory_limit_bytes: limits.memory.map(|memory| memory.0).filter(|bytes| *bytes > 0),
        pids_limit: None,
    }
}

/// One of the limits at the moment at which they come to most; `None` unless each container has it.
fn peak_of_limits(spec: &PodSpec, amount: impl Fn(&Requests) -> u64) -> Option<u64> {
    let limits = |container: &Container| Requests::from(&container.resources.limits);
    let all_have_it = spec
        .all_containers()
        .all(|container| amount(&limits(container)) > 0);
    let overhead = amount(&Requests::from(&spec.overhead));
    all_have_it.then(|| amount(&peak(spec, limits)).saturating_add(overhead))
}

/// Values of the pod's cgroup, above those of its containers.
pub fn pod_values(spec: &PodSpec, policy: &CgroupPolicy) -> CgroupValues {
    let mut values = CgroupValues {
        cpu_shares: Some(MIN_SHARES),
        cpu_quota_us: None,
        cpu_period_us: policy.cpu_period_us,
        memory_limit_bytes: None,
        pids_limit: policy.pod_pids_limit,
    };
    if qos_class(spec) == QosClass::BestEffort {
        return values;
    }
    values.cpu_shares = Some(shares(pod_requests(spec).cpu));
    values.cpu_quota_us =
        peak_of_limits(spec, |limits| limits.cpu.0).and_then(|limit| policy.quota_us(MilliCpu(limit)));
    values.memory_limit_bytes = peak_of_limits(spec, |limits| limits.memory.0);
    values
}
