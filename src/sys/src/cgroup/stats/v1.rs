//! The files of version 1.

use std::collections::BTreeMap;

use super::{CpuStats, Files, IoStats, MemoryStats, counts, device, fields, number};
use crate::cgroup::{Cgroup, groups_beneath, read_if_there};
use crate::error::SysResult;

/// "No limit" is the largest number of bytes in whole pages; pages are at most 64 KiB.
const NO_LIMIT: u64 = i64::MAX.cast_unsigned() - 0xffff;

pub(super) fn cpu(files: &impl Files) -> SysResult<Option<CpuStats>> {
    let usage = number(files, "cpuacct", "cpuacct.usage")?;
    let throttling = counts(
        files,
        "cpu",
        "cpu.stat",
        ["nr_periods", "nr_throttled", "throttled_time"],
    )?;
    if usage.is_none() && throttling.is_none() {
        return Ok(None);
    }
    let [periods, throttled_periods, throttled_ns] = throttling.unwrap_or_default();
    Ok(Some(CpuStats {
        usage_ns: usage.unwrap_or(0),
        user_ns: number(files, "cpuacct", "cpuacct.usage_user")?.unwrap_or(0),
        system_ns: number(files, "cpuacct", "cpuacct.usage_sys")?.unwrap_or(0),
        periods,
        throttled_periods,
        throttled_ns,
    }))
}

const MEMORY_STAT: [&str; 8] = [
    "total_rss",
    "total_cache",
    "total_mapped_file",
    "total_swap",
    "total_inactive_file",
    "total_active_file",
    "total_pgfault",
    "total_pgmajfault",
];

pub(super) fn memory(
    files: &impl Files,
    kills: impl FnOnce() -> SysResult<Option<u64>>,
) -> SysResult<Option<MemoryStats>> {
    let of = |name: &str| number(files, "memory", name);
    let Some(usage) = of("memory.usage_in_bytes")? else {
        return Ok(None);
    };
    let stat = counts(files, "memory", "memory.stat", MEMORY_STAT)?.unwrap_or_default();
    let [
        rss_bytes,
        cache_bytes,
        mapped_file_bytes,
        swap_bytes,
        inactive_file,
        active_file_bytes,
        page_faults,
        major_page_faults,
    ] = stat;
    Ok(Some(MemoryStats {
        usage_bytes: usage,
        working_set_bytes: usage.saturating_sub(inactive_file),
        max_usage_bytes: of("memory.max_usage_in_bytes")?,
        rss_bytes,
        cache_bytes,
        mapped_file_bytes,
        swap_bytes,
        inactive_file_bytes: inactive_file,
        active_file_bytes,
        limit_bytes: of("memory.limit_in_bytes")?.filter(|limit| *limit < NO_LIMIT),
        limit_hits: of("memory.failcnt")?.unwrap_or(0),
        oom_kills: kills()?.unwrap_or(0),
        page_faults,
        major_page_faults,
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
        if let Some([Some(counted)]) = text.as_deref().map(|text| fields(text, ["oom_kill"])) {
            kills = Some(kills.unwrap_or(0) + counted);
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
