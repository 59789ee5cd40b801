//! The files of version 1.

use std::collections::BTreeMap;

use super::{CpuStats, IoStats, Keyed, MemoryStats, device, number};
use crate::cgroup::{Cgroup, groups_beneath, read_if_there};
use crate::error::SysResult;

/// "No limit" is the largest number of bytes in whole pages; pages are at most 64 KiB.
const NO_LIMIT: u64 = i64::MAX.cast_unsigned() - 0xffff;

pub(super) fn cpu(group: &Cgroup) -> SysResult<Option<CpuStats>> {
    let usage = number(group.read("cpuacct", "cpuacct.usage")?);
    let throttling = group.read("cpu", "cpu.stat")?;
    if usage.is_none() && throttling.is_none() {
        return Ok(None);
    }
    let throttling = throttling.unwrap_or_default();
    let throttling = Keyed::new(&throttling);
    let accounted = |name: &str| group.read("cpuacct", name).map(|text| number(text).unwrap_or(0));
    Ok(Some(CpuStats {
        usage_ns: usage.unwrap_or(0),
        user_ns: accounted("cpuacct.usage_user")?,
        system_ns: accounted("cpuacct.usage_sys")?,
        periods: throttling.get("nr_periods"),
        throttled_periods: throttling.get("nr_throttled"),
        throttled_ns: throttling.get("throttled_time"),
    }))
}

pub(super) fn memory(group: &Cgroup) -> SysResult<Option<MemoryStats>> {
    let read = |name: &str| group.read("memory", name);
    let Some(usage) = number(read("memory.usage_in_bytes")?) else {
        return Ok(None);
    };
    let stat = read("memory.stat")?.unwrap_or_default();
    let stat = Keyed::new(&stat);
    let inactive_file = stat.get("total_inactive_file");
    Ok(Some(MemoryStats {
        usage_bytes: usage,
        working_set_bytes: usage.saturating_sub(inactive_file),
        max_usage_bytes: number(read("memory.max_usage_in_bytes")?),
        rss_bytes: stat.get("total_rss"),
        cache_bytes: stat.get("total_cache"),
        mapped_file_bytes: stat.get("total_mapped_file"),
        swap_bytes: stat.get("total_swap"),
        inactive_file_bytes: inactive_file,
        active_file_bytes: stat.get("total_active_file"),
        limit_bytes: number(read("memory.limit_in_bytes")?).filter(|limit| *limit < NO_LIMIT),
        limit_hits: number(read("memory.failcnt")?).unwrap_or(0),
        oom_kills: oom_kills(group)?.unwrap_or(0),
        page_faults: stat.get("total_pgfault"),
        major_page_faults: stat.get("total_pgmajfault"),
    }))
}

/// Version 1 counts a kill only in the group that the process was in.
pub(super) fn oom_kills(group: &Cgroup) -> SysResult<Option<u64>> {
    let Some(directory) = group.directory("memory") else {
        return Ok(None);
    };
    let mut kills = None;
    for directory in groups_beneath(&directory)? {
        let text = read_if_there(&directory.join("memory.oom_control"))?;
        // Kernels before 4.13 do not count.
        let counted = text.as_deref().map(Keyed::new);
        if let Some(counted) = counted.filter(|lines| lines.0.contains_key("oom_kill")) {
            kills = Some(kills.unwrap_or(0) + counted.get("oom_kill"));
        }
    }
    Ok(kills)
}

pub(super) fn io(group: &Cgroup) -> SysResult<Vec<IoStats>> {
    let mut devices = BTreeMap::new();
    let read = |name: &str| group.read("blkio", name).map(Option::unwrap_or_default);
    add(
        &read("blkio.throttle.io_service_bytes_recursive")?,
        &mut devices,
        |stats, reads| {
            if reads {
                &mut stats.read_bytes
            } else {
                &mut stats.write_bytes
            }
        },
    );
    add(
        &read("blkio.throttle.io_serviced_recursive")?,
        &mut devices,
        |stats, reads| {
            if reads {
                &mut stats.reads
            } else {
                &mut stats.writes
            }
        },
    );
    Ok(devices.into_values().collect())
}

/// Lines are `254:0 Read 4096`; other operations and the total repeat what these two say.
fn add(
    text: &str,
    devices: &mut BTreeMap<(u32, u32), IoStats>,
    field: impl Fn(&mut IoStats, bool) -> &mut u64,
) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(operation), Some(value)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let reads = match operation {
            "Read" => true,
            "Write" => false,
            _ => continue,
        };
        if let (Some((major, minor)), Ok(value)) = (device(name), value.parse()) {
            let stats = devices.entry((major, minor)).or_insert(IoStats {
                major,
                minor,
                ..IoStats::default()
            });
            *field(stats, reads) = value;
        }
    }
}
