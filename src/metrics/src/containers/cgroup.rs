//! What a cgroup has used and may use, in the shape of cAdvisor's families.
//!
//! The statistics come from `sys` in one unit for both versions; here are the settings beside them, told as
//! cAdvisor does: v2's `cpu.weight` as shares, a limit that is none as 0.

use pinnace_sys::SysResult;
use pinnace_sys::cgroup::{CgroupVersion, CpuStats, HeldCgroup, MemoryStats, PidsStats};

/// v1 tells "no limit" as a number near 2^63, rounded to pages.
const NO_LIMIT_V1: u64 = 1 << 62;

/// Usage and settings of one cgroup; what the host does not have is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Usage {
    pub cpu: CpuStats,
    pub memory: Option<MemoryStats>,
    pub pids: Option<PidsStats>,
    pub processes: Option<u64>,
    pub settings: Settings,
}

/// What the cgroup is set to. It changes seldom, and is a third of what there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Settings {
    pub cpu_shares: Option<u64>,
    pub cpu_quota_us: Option<u64>,
    pub cpu_period_us: Option<u64>,
    pub swap_limit_bytes: u64,
    pub reservation_bytes: u64,
}

/// What is known of a cgroup, and need not be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// See [`HeldCgroup::memory_stats`].
    pub kills: Option<u64>,
    pub settings: Option<Settings>,
}

/// Reads a cgroup; `None` where it is gone.
pub(super) fn read(group: &HeldCgroup, version: CgroupVersion, known: Known) -> SysResult<Option<Usage>> {
    let Some(cpu) = group.cpu_stats()? else {
        return Ok(None);
    };
    let settings = || match version {
        CgroupVersion::V1 => settings_v1(group),
        CgroupVersion::V2 => settings_v2(group),
    };
    Ok(Some(Usage {
        cpu,
        memory: group.memory_stats(known.kills)?,
        pids: group.pids_stats()?,
        processes: group.read_with("cpu", "cgroup.procs", |text| text.lines().count() as u64)?,
        settings: known.settings.map_or_else(settings, Ok)?,
    }))
}

fn settings_v1(group: &HeldCgroup) -> SysResult<Settings> {
    let limit = |file: &str| -> SysResult<u64> {
        Ok(group
            .number("memory", file)?
            .filter(|limit| *limit < NO_LIMIT_V1)
            .unwrap_or(0))
    };
    Ok(Settings {
        cpu_shares: group.number("cpu", "cpu.shares")?,
        // -1, which is no number here, stands for none.
        cpu_quota_us: group.number("cpu", "cpu.cfs_quota_us")?,
        cpu_period_us: group.number("cpu", "cpu.cfs_period_us")?,
        swap_limit_bytes: limit("memory.memsw.limit_in_bytes")?,
        reservation_bytes: limit("memory.soft_limit_in_bytes")?,
    })
}

fn settings_v2(group: &HeldCgroup) -> SysResult<Settings> {
    let max = group.read_with("cpu", "cpu.max", |text| {
        let mut words = text.split_ascii_whitespace().map(|word| word.parse().ok());
        (words.next().flatten(), words.next().flatten())
    })?;
    let (cpu_quota_us, cpu_period_us) = max.unwrap_or_default();
    Ok(Settings {
        cpu_shares: group.number("cpu", "cpu.weight")?.map(shares_of_weight),
        cpu_quota_us,
        cpu_period_us,
        swap_limit_bytes: group.number("memory", "memory.swap.max")?.unwrap_or(0),
        reservation_bytes: group.number("memory", "memory.low")?.unwrap_or(0),
    })
}

/// The inverse of Kubernetes' formula from shares to weight.
fn shares_of_weight(weight: u64) -> u64 {
    2 + (weight.saturating_sub(1) * 262_142) / 9_999
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_told_as_the_shares_that_made_it() {
        for (shares, weight) in [(2, 1), (1024, 39), (262_144, 10_000)] {
            let values = pinnace_core::resources::CgroupValues {
                cpu_shares: Some(shares),
                ..Default::default()
            };
            assert_eq!(values.cpu_weight(), Some(weight));
        }
        assert_eq!(shares_of_weight(1), 2);
        assert_eq!(shares_of_weight(39), 998);
        assert_eq!(shares_of_weight(10_000), 262_144);
    }
}
