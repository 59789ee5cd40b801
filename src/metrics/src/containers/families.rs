//! The families: name, type, meaning and where the value comes from.

use pinnace_sys::cgroup::{CpuStats, MemoryStats};

use super::Row;
use crate::encode::{Encoder, Kind, Labels, Value};

type Read = fn(&Row) -> Option<Value>;

fn seconds(nanoseconds: u64) -> Value {
    Value::Float(nanoseconds as f64 / 1e9)
}

/// The enforcement of a quota is told only where there is one.
fn enforced(row: &Row, value: fn(&CpuStats) -> Value) -> Option<Value> {
    row.usage.settings.cpu_quota_us.map(|_| value(&row.usage.cpu))
}

fn memory(row: &Row, value: fn(&MemoryStats) -> u64) -> Option<Value> {
    row.usage.memory.as_ref().map(|memory| value(memory).into())
}

const FAMILIES: [(&str, Kind, &str, Read); 26] = [
    (
        "container_cpu_cfs_periods_total",
        Kind::Counter,
        "Enforcement periods that have passed.",
        |r| enforced(r, |c| c.periods.into()),
    ),
    (
        "container_cpu_cfs_throttled_periods_total",
        Kind::Counter,
        "Enforcement periods in which the quota ran out.",
        |r| enforced(r, |c| c.throttled_periods.into()),
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        Kind::Counter,
        "Seconds for which tasks were held back by the quota.",
        |r| enforced(r, |c| seconds(c.throttled_ns)),
    ),
    (
        "container_cpu_system_seconds_total",
        Kind::Counter,
        "Seconds of CPU in the kernel.",
        |r| Some(seconds(r.usage.cpu.system_ns)),
    ),
    (
        "container_cpu_user_seconds_total",
        Kind::Counter,
        "Seconds of CPU in programs.",
        |r| Some(seconds(r.usage.cpu.user_ns)),
    ),
    (
        "container_memory_cache",
        Kind::Gauge,
        "Bytes of page cache.",
        |r| memory(r, |m| m.cache_bytes),
    ),
    (
        "container_memory_failcnt",
        Kind::Counter,
        "Times that the memory limit was hit.",
        |r| memory(r, |m| m.limit_hits),
    ),
    (
        "container_memory_mapped_file",
        Kind::Gauge,
        "Bytes of files mapped into memory.",
        |r| memory(r, |m| m.mapped_file_bytes),
    ),
    (
        "container_memory_max_usage_bytes",
        Kind::Gauge,
        "The highest memory usage so far, in bytes.",
        |r| r.usage.memory.as_ref()?.max_usage_bytes.map(Into::into),
    ),
    (
        "container_memory_rss",
        Kind::Gauge,
        "Bytes of anonymous memory.",
        |r| memory(r, |m| m.rss_bytes),
    ),
    ("container_memory_swap", Kind::Gauge, "Bytes swapped out.", |r| {
        memory(r, |m| m.swap_bytes)
    }),
    (
        "container_memory_total_active_file_bytes",
        Kind::Gauge,
        "Bytes of file pages in recent use.",
        |r| memory(r, |m| m.active_file_bytes),
    ),
    (
        "container_memory_total_inactive_file_bytes",
        Kind::Gauge,
        "Bytes of file pages not in recent use.",
        |r| memory(r, |m| m.inactive_file_bytes),
    ),
    (
        "container_memory_usage_bytes",
        Kind::Gauge,
        "Bytes of memory, those included that could be given back at once.",
        |r| memory(r, |m| m.usage_bytes),
    ),
    (
        "container_memory_working_set_bytes",
        Kind::Gauge,
        "Bytes of memory without file pages that are not in recent use.",
        |r| memory(r, |m| m.working_set_bytes),
    ),
    (
        "container_oom_events_total",
        Kind::Counter,
        "Processes killed for want of memory.",
        |r| {
            let kills = r.usage.memory.as_ref()?.oom_kills;
            Some(kills.saturating_add(r.target.earlier_oom_kills).into())
        },
    ),
    (
        "container_processes",
        Kind::Gauge,
        "Processes of the cgroup itself.",
        |r| r.usage.processes.map(Into::into),
    ),
    (
        "container_spec_cpu_period",
        Kind::Gauge,
        "The quota's period, in microseconds.",
        |r| r.usage.settings.cpu_period_us.map(Into::into),
    ),
    (
        "container_spec_cpu_quota",
        Kind::Gauge,
        "The quota, in microseconds of CPU a period.",
        |r| r.usage.settings.cpu_quota_us.map(Into::into),
    ),
    (
        "container_spec_cpu_shares",
        Kind::Gauge,
        "The share of CPU under contention.",
        |r| r.usage.settings.cpu_shares.map(Into::into),
    ),
    (
        "container_spec_memory_limit_bytes",
        Kind::Gauge,
        "The memory limit in bytes; 0: none.",
        |r| memory(r, |m| m.limit_bytes.unwrap_or(0)),
    ),
    (
        "container_spec_memory_reservation_limit_bytes",
        Kind::Gauge,
        "Memory held back for it, in bytes; 0: none.",
        |r| Some(r.usage.settings.reservation_bytes.into()),
    ),
    (
        "container_spec_memory_swap_limit_bytes",
        Kind::Gauge,
        "The limit of swap in bytes; 0: none.",
        |r| Some(r.usage.settings.swap_limit_bytes.into()),
    ),
    (
        "container_start_time_seconds",
        Kind::Gauge,
        "When it was started, in seconds since 1970.",
        |r| r.target.started_at.map(|at| Value::Float(at.0 as f64 / 1000.0)),
    ),
    (
        "container_threads",
        Kind::Gauge,
        "Tasks, those of inner cgroups included.",
        |r| r.usage.pids.map(|pids| pids.current.into()),
    ),
    (
        "container_threads_max",
        Kind::Gauge,
        "Tasks that there may be; 0: no limit.",
        |r| r.usage.pids.map(|pids| pids.limit.unwrap_or(0).into()),
    ),
];

/// Writes all families of all rows; `now` in seconds since 1970.
pub(super) fn write(rows: &[Row], now: u64, out: &mut Encoder) {
    for (name, kind, help, read) in FAMILIES {
        let found = rows.iter().filter_map(|row| Some((&row.labels, read(row)?)));
        out.samples(name, kind, help, found);
    }
    out.samples(
        "container_cpu_usage_seconds_total",
        Kind::Counter,
        "Seconds of CPU.",
        rows.iter()
            .map(|row| (row.labels.with("cpu", "total"), seconds(row.usage.cpu.usage_ns))),
    );
    out.samples(
        "container_last_seen",
        Kind::Gauge,
        "When this was read, in seconds since 1970.",
        rows.iter().map(|row| (&row.labels, now)),
    );
    out.samples(
        "container_memory_failures_total",
        Kind::Counter,
        "Page faults: all, and those that waited for storage.",
        rows.iter().filter_map(faults).flatten(),
    );
}

fn faults(row: &Row) -> Option<[(Labels, u64); 2]> {
    let memory = row.usage.memory.as_ref()?;
    let labels = |kind| row.labels.with("failure_type", kind).with("scope", "hierarchy");
    Some([
        (labels("pgfault"), memory.page_faults),
        (labels("pgmajfault"), memory.major_page_faults),
    ])
}
