//! The files of version 2.

use super::{CpuStats, IoStats, Keyed, MemoryStats, device, number};
use crate::cgroup::Cgroup;
use crate::error::SysResult;

const NANOS_PER_MICRO: u64 = 1000;

pub(super) fn cpu(group: &Cgroup) -> SysResult<Option<CpuStats>> {
    let Some(text) = group.read("cpu", "cpu.stat")? else {
        return Ok(None);
    };
    let stat = Keyed::new(&text);
    let nanos = |key: &str| stat.get(key).saturating_mul(NANOS_PER_MICRO);
    Ok(Some(CpuStats {
        usage_ns: nanos("usage_usec"),
        user_ns: nanos("user_usec"),
        system_ns: nanos("system_usec"),
        periods: stat.get("nr_periods"),
        throttled_periods: stat.get("nr_throttled"),
        throttled_ns: nanos("throttled_usec"),
    }))
}

pub(super) fn memory(group: &Cgroup) -> SysResult<Option<MemoryStats>> {
    let read = |name: &str| group.read("memory", name);
    let Some(usage) = number(read("memory.current")?) else {
        return Ok(None);
    };
    let (stat, events) = (
        read("memory.stat")?.unwrap_or_default(),
        read("memory.events")?.unwrap_or_default(),
    );
    let (stat, events) = (Keyed::new(&stat), Keyed::new(&events));
    let inactive_file = stat.get("inactive_file");
    Ok(Some(MemoryStats {
        usage_bytes: usage,
        working_set_bytes: usage.saturating_sub(inactive_file),
        max_usage_bytes: number(read("memory.peak")?),
        rss_bytes: stat.get("anon"),
        cache_bytes: stat.get("file"),
        mapped_file_bytes: stat.get("file_mapped"),
        swap_bytes: number(read("memory.swap.current")?).unwrap_or(0),
        inactive_file_bytes: inactive_file,
        active_file_bytes: stat.get("active_file"),
        limit_bytes: number(read("memory.max")?),
        limit_hits: events.get("max"),
        oom_kills: events.get("oom_kill"),
        page_faults: stat.get("pgfault"),
        major_page_faults: stat.get("pgmajfault"),
    }))
}

pub(super) fn oom_kills(group: &Cgroup) -> SysResult<Option<u64>> {
    let events = group.read("memory", "memory.events")?;
    Ok(events.map(|events| Keyed::new(&events).get("oom_kill")))
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
