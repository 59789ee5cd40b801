//! What a cgroup has used and may use, read from either version into one shape.
//!
//! The arithmetic is cAdvisor's: the working set is the usage without inactive file pages; v2's `cpu.weight`
//! is told as shares; a limit that is none is 0.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::host::read;

/// v1 tells "no limit" as a number near 2^63, rounded to pages.
const NO_LIMIT_V1: u64 = 1 << 62;

/// Usage and limits of one cgroup; what the kernel or its version does not have is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Usage {
    pub cpu_seconds: f64,
    pub cpu_user_seconds: f64,
    pub cpu_system_seconds: f64,
    pub throttle: Option<Throttle>,
    pub cpu_shares: Option<u64>,
    pub cpu_period_us: Option<u64>,
    pub memory: Memory,
    pub oom_kills: Option<u64>,
    pub memory_limit_bytes: u64,
    pub swap_limit_bytes: u64,
    pub reservation_bytes: u64,
    pub processes: Option<u64>,
    pub threads: Option<u64>,
    pub threads_max: u64,
}

/// Present where there is a quota.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Throttle {
    pub quota_us: u64,
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_seconds: f64,
}

/// Memory in bytes. Faults: those of the cgroup itself, and of its subtree.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Memory {
    pub usage: u64,
    pub max_usage: Option<u64>,
    pub failcnt: Option<u64>,
    pub cache: u64,
    pub rss: u64,
    pub swap: u64,
    pub mapped_file: u64,
    pub kernel: u64,
    pub active_file: u64,
    pub inactive_file: u64,
    pub page_faults: [u64; 2],
    pub major_faults: [u64; 2],
}

impl Memory {
    pub(super) fn working_set(&self) -> u64 {
        self.usage.saturating_sub(self.inactive_file)
    }
}

/// The cgroup hierarchies of this host.
pub(super) enum Hierarchy {
    /// One directory for each controller beneath it.
    V1(PathBuf),
    /// One directory for all.
    V2(PathBuf),
}

impl Hierarchy {
    /// Looks which version is mounted on `root`.
    pub(super) fn find(root: &Path) -> Self {
        match root.join("cgroup.controllers").exists() {
            true => Hierarchy::V2(root.to_owned()),
            false => Hierarchy::V1(root.to_owned()),
        }
    }

    /// `None` where the cgroup is gone.
    pub(super) fn usage(&self, cgroup: &str) -> Option<Usage> {
        let cgroup = cgroup.trim_start_matches('/');
        match self {
            Hierarchy::V1(root) => usage_v1(&|controller: &str| Dir(root.join(controller).join(cgroup))),
            Hierarchy::V2(root) => usage_v2(&Dir(root.join(cgroup))),
        }
    }
}

/// A cgroup's directory in one hierarchy.
struct Dir(PathBuf);

impl Dir {
    fn text(&self, file: &str) -> Option<String> {
        read(&self.0.join(file)).ok()
    }
    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }
    /// A number, or `max` for none, which is 0.
    fn limit(&self, file: &str) -> u64 {
        self.number(file).unwrap_or(0)
    }
    fn limit_v1(&self, file: &str) -> u64 {
        self.number(file)
            .filter(|limit| *limit < NO_LIMIT_V1)
            .unwrap_or(0)
    }
    fn lines(&self, file: &str) -> Option<u64> {
        Some(self.text(file)?.lines().count() as u64)
    }
}

/// A file of names and numbers.
struct Flat(String);

impl Flat {
    fn map(&self) -> HashMap<&str, u64> {
        self.0
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(name, value)| Some((name, value.trim().parse().ok()?)))
            .collect()
    }
}

fn usage_v2(dir: &Dir) -> Option<Usage> {
    let cpu = Flat(dir.text("cpu.stat")?);
    let cpu = cpu.map();
    let get = |name: &str| cpu.get(name).copied().unwrap_or(0);
    let seconds = |name: &str| get(name) as f64 / 1e6;
    let max = dir.text("cpu.max").unwrap_or_default();
    let mut max = max.split_ascii_whitespace();
    let quota: Option<u64> = max.next().and_then(|quota| quota.parse().ok());
    let events = Flat(dir.text("memory.events").unwrap_or_default());
    let events = events.map();
    Some(Usage {
        cpu_seconds: seconds("usage_usec"),
        cpu_user_seconds: seconds("user_usec"),
        cpu_system_seconds: seconds("system_usec"),
        throttle: quota.map(|quota_us| Throttle {
            quota_us,
            periods: get("nr_periods"),
            throttled_periods: get("nr_throttled"),
            throttled_seconds: seconds("throttled_usec"),
        }),
        cpu_shares: dir.number("cpu.weight").map(shares_of_weight),
        cpu_period_us: max.next().and_then(|period| period.parse().ok()),
        memory: memory_v2(dir, events.get("max").copied()),
        oom_kills: events.get("oom_kill").copied(),
        memory_limit_bytes: dir.limit("memory.max"),
        swap_limit_bytes: dir.limit("memory.swap.max"),
        reservation_bytes: dir.limit("memory.low"),
        processes: dir.lines("cgroup.procs"),
        threads: dir.number("pids.current"),
        threads_max: dir.limit("pids.max"),
    })
}

/// The inverse of Kubernetes' formula from shares to weight.
fn shares_of_weight(weight: u64) -> u64 {
    2 + (weight.saturating_sub(1) * 262_142) / 9_999
}

fn memory_v2(dir: &Dir, failcnt: Option<u64>) -> Memory {
    let stat = Flat(dir.text("memory.stat").unwrap_or_default());
    let stat = stat.map();
    let get = |name: &str| stat.get(name).copied().unwrap_or(0);
    Memory {
        usage: dir.number("memory.current").unwrap_or(0),
        // The file came with Linux 5.19.
        max_usage: dir.number("memory.peak"),
        failcnt,
        cache: get("file"),
        rss: get("anon"),
        swap: dir.number("memory.swap.current").unwrap_or(0),
        mapped_file: get("file_mapped"),
        kernel: get("kernel"),
        active_file: get("active_file"),
        inactive_file: get("inactive_file"),
        // v2 counts for the whole subtree only.
        page_faults: [get("pgfault"); 2],
        major_faults: [get("pgmajfault"); 2],
    }
}

fn usage_v1(dir: &dyn Fn(&str) -> Dir) -> Option<Usage> {
    let (cpu, cpuacct, memory, pids) = (dir("cpu"), dir("cpuacct"), dir("memory"), dir("pids"));
    let nanoseconds = cpuacct.number("cpuacct.usage")?;
    let ticks = Flat(cpuacct.text("cpuacct.stat").unwrap_or_default());
    let ticks = ticks.map();
    let ticks_per_second = procfs::ticks_per_second();
    let mode = |name: &str| ticks.get(name).copied().unwrap_or(0) as f64 / ticks_per_second as f64;
    let oom = Flat(memory.text("memory.oom_control").unwrap_or_default());
    Some(Usage {
        cpu_seconds: nanoseconds as f64 / 1e9,
        cpu_user_seconds: mode("user"),
        cpu_system_seconds: mode("system"),
        // A quota of -1 is none.
        throttle: cpu
            .number("cpu.cfs_quota_us")
            .map(|quota_us| throttle_v1(&cpu, quota_us)),
        cpu_shares: cpu.number("cpu.shares"),
        cpu_period_us: cpu.number("cpu.cfs_period_us"),
        memory: memory_v1(&memory),
        oom_kills: oom.map().get("oom_kill").copied(),
        memory_limit_bytes: memory.limit_v1("memory.limit_in_bytes"),
        swap_limit_bytes: memory.limit_v1("memory.memsw.limit_in_bytes"),
        reservation_bytes: memory.limit_v1("memory.soft_limit_in_bytes"),
        processes: cpu.lines("cgroup.procs"),
        threads: pids.number("pids.current"),
        threads_max: pids.limit("pids.max"),
    })
}

fn throttle_v1(cpu: &Dir, quota_us: u64) -> Throttle {
    let stat = Flat(cpu.text("cpu.stat").unwrap_or_default());
    let stat = stat.map();
    let get = |name: &str| stat.get(name).copied().unwrap_or(0);
    Throttle {
        quota_us,
        periods: get("nr_periods"),
        throttled_periods: get("nr_throttled"),
        throttled_seconds: get("throttled_time") as f64 / 1e9,
    }
}

fn memory_v1(dir: &Dir) -> Memory {
    let stat = Flat(dir.text("memory.stat").unwrap_or_default());
    let stat = stat.map();
    let get = |name: &str| stat.get(name).copied().unwrap_or(0);
    // The subtree's value; without hierarchy there is only the cgroup's own.
    let total = |name: &str| {
        stat.get(format!("total_{name}").as_str())
            .copied()
            .unwrap_or_else(|| get(name))
    };
    Memory {
        usage: dir.number("memory.usage_in_bytes").unwrap_or(0),
        max_usage: dir.number("memory.max_usage_in_bytes"),
        failcnt: dir.number("memory.failcnt"),
        cache: total("cache"),
        rss: total("rss"),
        swap: total("swap"),
        mapped_file: total("mapped_file"),
        kernel: dir.number("memory.kmem.usage_in_bytes").unwrap_or(0),
        active_file: total("active_file"),
        inactive_file: total("inactive_file"),
        page_faults: [get("pgfault"), total("pgfault")],
        major_faults: [get("pgmajfault"), total("pgmajfault")],
    }
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

    #[test]
    fn working_set_is_never_below_nothing() {
        let memory = Memory {
            usage: 5,
            inactive_file: 6,
            ..Memory::default()
        };
        assert_eq!(memory.working_set(), 0);
    }
}
