//! Limits of a group, in the units of each version.

use super::{Cgroup, CgroupVersion};
use crate::error::SysResult;

/// The kernel's own period, where none is asked for.
const DEFAULT_PERIOD_US: u64 = 100_000;

/// What a group may use. `None` takes a limit away, but leaves shares and weight as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CgroupLimits {
    /// `cpu.shares` of version 1, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// `cpu.weight` of version 2, 1 to 10000.
    pub cpu_weight: Option<u64>,
    /// Microseconds of CPU in a period.
    pub cpu_quota_us: Option<u64>,
    /// The period; 0 means 100,000.
    pub cpu_period_us: u64,
    /// `memory.limit_in_bytes` or `memory.max`.
    pub memory_limit_bytes: Option<u64>,
    /// `pids.max`.
    pub pids_limit: Option<u64>,
}

impl Cgroup {
    /// Writes the limits; the group must be there. Answers the controllers of which a limit was asked for
    /// and that this host does not have.
    pub fn apply(&self, limits: &CgroupLimits) -> SysResult<Vec<&'static str>> {
        let mut absent = Vec::new();
        let cpu_asked = limits.cpu_shares.is_some() || limits.cpu_quota_us.is_some();
        let asked = [
            ("cpu", "cpu.max", "cpu.cfs_quota_us", cpu_asked),
            (
                "memory",
                "memory.max",
                "memory.limit_in_bytes",
                limits.memory_limit_bytes.is_some(),
            ),
            ("pids", "pids.max", "pids.max", limits.pids_limit.is_some()),
        ];
        for (controller, v2_file, v1_file, asked) in asked {
            let file = match self.groups.version() {
                CgroupVersion::V1 => v1_file,
                CgroupVersion::V2 => v2_file,
            };
            if self.read(controller, file)?.is_some() {
                match controller {
                    "cpu" => self.apply_cpu(limits)?,
                    "memory" => self.apply_memory(limits)?,
                    _ => self.write("pids", "pids.max", &or_word(limits.pids_limit, "max"))?,
                }
            } else if asked {
                absent.push(controller);
            }
        }
        Ok(absent)
    }

    fn apply_cpu(&self, limits: &CgroupLimits) -> SysResult<()> {
        let period = match limits.cpu_period_us {
            0 => DEFAULT_PERIOD_US,
            period => period,
        };
        match self.groups.version() {
            CgroupVersion::V1 => {
                if let Some(shares) = limits.cpu_shares {
                    self.write("cpu", "cpu.shares", &shares.to_string())?;
                }
                self.apply_quota_v1(limits.cpu_quota_us, period)
            }
            CgroupVersion::V2 => {
                if let Some(weight) = limits.cpu_weight {
                    self.write("cpu", "cpu.weight", &weight.to_string())?;
                }
                let quota = or_word(limits.cpu_quota_us, "max");
                self.write("cpu", "cpu.max", &format!("{quota} {period}"))
            }
        }
    }

    /// Quota and period are two files, and the kernel checks their ratio against the groups above and
    /// beneath after each write: where one order is refused, the other is right.
    fn apply_quota_v1(&self, quota: Option<u64>, period: u64) -> SysResult<()> {
        let quota = or_word(quota, "-1");
        let period = period.to_string();
        let write_period = || self.write("cpu", "cpu.cfs_period_us", &period);
        let write_quota = || self.write("cpu", "cpu.cfs_quota_us", &quota);
        match write_period() {
            Err(error) if error.errno() == Some(libc::EINVAL) => {
                write_quota()?;
                write_period()
            }
            other => other.and_then(|()| write_quota()),
        }
    }

    fn apply_memory(&self, limits: &CgroupLimits) -> SysResult<()> {
        let limit = limits.memory_limit_bytes;
        match self.groups.version() {
            CgroupVersion::V1 => self.write("memory", "memory.limit_in_bytes", &or_word(limit, "-1")),
            CgroupVersion::V2 => self.write("memory", "memory.max", &or_word(limit, "max")),
        }
    }
}

fn or_word(limit: Option<u64>, unlimited: &str) -> String {
    limit.map_or_else(|| unlimited.to_owned(), |limit| limit.to_string())
}
