//! The files of version 2.

use super::{CpuStats, Files, IoStats, MemoryStats, counts, device, number};
use crate::cgroup::Cgroup;
use crate::error::SysResult;

const NANOS_PER_MICRO: u64 = 1000;

const CPU_STAT: [&str; 6] = [
    "usage_usec",
    "user_usec",
    "system_usec",
    "nr_periods",
    "nr_throttled",
    "throttled_usec",
];

pub(super) fn cpu(files: &impl Files) -> SysResult<Option<CpuStats>> {
    let stat = counts(files, "cpu", "cpu.stat", CPU_STAT)?;
    let nanos = |micros: u64| micros.saturating_mul(NANOS_PER_MICRO);
    Ok(stat.map(
        |[usage, user, system, periods, throttled_periods, throttled]| CpuStats {
            usage_ns: nanos(usage),
            user_ns: nanos(user),
            system_ns: nanos(system),
            periods,
            throttled_periods,
            throttled_ns: nanos(throttled),
        },
    ))
}

const MEMORY_STAT: [&str; 7] = [
    "anon",
    "file",
    "file_mapped",
    "inactive_file",
    "active_file",
    "pgfault",
    "pgmajfault",
];

pub(super) fn memory(files: &impl Files) -> SysResult<Option<MemoryStats>> {
    let of = |name: &str| number(files, "memory", name);
    let Some(usage) = of("memory.current")? else {
        return Ok(None);
    };
    let stat = counts(files, "memory", "memory.stat", MEMORY_STAT)?.unwrap_or_default();
    let [
        rss_bytes,
        cache_bytes,
        mapped_file_bytes,
        inactive_file,
        active_file_bytes,
        page_faults,
        major_page_faults,
    ] = stat;
    let events = counts(files, "memory", "memory.events", ["max", "oom_kill"])?;
    let [limit_hits, oom_kills] = events.unwrap_or_default();
    Ok(Some(MemoryStats {
        usage_bytes: usage,
        working_set_bytes: usage.saturating_sub(inactive_file),
        max_usage_bytes: of("memory.peak")?,
        rss_bytes,
        cache_bytes,
        mapped_file_bytes,
        swap_bytes: of("memory.swap.current")?.unwrap_or(0),
        inactive_file_bytes: inactive_file,
        active_file_bytes,
        limit_bytes: of("memory.max")?,
        limit_hits,
        oom_kills,
        page_faults,
        major_page_faults,
    }))
}

pub(super) fn oom_kills(group: &Cgroup) -> SysResult<Option<u64>> {
    let events = counts(group, "memory", "memory.events", ["oom_kill"])?;
    Ok(events.map(|[kills]| kills))
}

/// Lines are `254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
pub(super) fn io(group: &Cgroup) -> SysResult<Vec<IoStats>> {
    let text = group.read("io", "io.stat")?.unwrap_or_default();
    let mut devices: Vec<IoStats> = text.lines().filter_map(parse_io).collect();
    devices.sort_unstable_by_key(|stats| (stats.major, stats.minor));
    Ok(devices)
}

fn parse_io(line: &str) -> Option<IoStats> {
    let mut words = line.split_ascii_whitespace();
    let (major, minor) = device(words.next()?)?;
    let mut stats = IoStats {
        major,
        minor,
        ..IoStats::default()
    };
    for word in words {
        let (key, value) = word.split_once('=')?;
        let field = match key {
            "rbytes" => &mut stats.read_bytes,
            "wbytes" => &mut stats.write_bytes,
            "rios" => &mut stats.reads,
            "wios" => &mut stats.writes,
            _ => continue,
        };
        *field = value.parse().ok()?;
    }
    Some(stats)
}
