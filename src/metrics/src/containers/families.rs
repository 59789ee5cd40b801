//! The families: name, type, meaning and where the value comes from.

use super::Row;
use super::cgroup::Throttle;
use crate::encode::{Encoder, Kind, Value};

type Read = fn(&Row) -> Option<Value>;

fn throttle(row: &Row, value: fn(&Throttle) -> Value) -> Option<Value> {
    row.usage.throttle.as_ref().map(value)
}

const FAMILIES: [(&str, Kind, &str, Read); 27] = [
    (
        "container_cpu_cfs_periods_total",
        Kind::Counter,
        "Enforcement periods that have passed.",
        |r| throttle(r, |t| t.periods.into()),
    ),
    (
        "container_cpu_cfs_throttled_periods_total",
        Kind::Counter,
        "Enforcement periods in which the quota ran out.",
        |r| throttle(r, |t| t.throttled_periods.into()),
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        Kind::Counter,
        "Seconds for which tasks were held back by the quota.",
        |r| throttle(r, |t| t.throttled_seconds.into()),
    ),
    (
        "container_cpu_system_seconds_total",
        Kind::Counter,
        "Seconds of CPU in the kernel.",
        |r| Some(r.usage.cpu_system_seconds.into()),
    ),
    (
        "container_cpu_user_seconds_total",
        Kind::Counter,
        "Seconds of CPU in programs.",
        |r| Some(r.usage.cpu_user_seconds.into()),
    ),
    (
        "container_memory_cache",
        Kind::Gauge,
        "Bytes of page cache.",
        |r| Some(r.usage.memory.cache.into()),
    ),
    (
        "container_memory_failcnt",
        Kind::Counter,
        "Times that the memory limit was hit.",
        |r| r.usage.memory.failcnt.map(Into::into),
    ),
    (
        "container_memory_kernel_usage",
        Kind::Gauge,
        "Bytes of kernel memory.",
        |r| Some(r.usage.memory.kernel.into()),
    ),
    (
        "container_memory_mapped_file",
        Kind::Gauge,
        "Bytes of files mapped into memory.",
        |r| Some(r.usage.memory.mapped_file.into()),
    ),
    (
        "container_memory_max_usage_bytes",
        Kind::Gauge,
        "The highest memory usage so far, in bytes.",
        |r| r.usage.memory.max_usage.map(Into::into),
    ),
    (
        "container_memory_rss",
        Kind::Gauge,
        "Bytes of anonymous memory.",
        |r| Some(r.usage.memory.rss.into()),
    ),
    ("container_memory_swap", Kind::Gauge, "Bytes swapped out.", |r| {
        Some(r.usage.memory.swap.into())
    }),
    (
        "container_memory_total_active_file_bytes",
        Kind::Gauge,
        "Bytes of file pages in recent use.",
        |r| Some(r.usage.memory.active_file.into()),
    ),
    (
        "container_memory_total_inactive_file_bytes",
        Kind::Gauge,
        "Bytes of file pages not in recent use.",
        |r| Some(r.usage.memory.inactive_file.into()),
    ),
    (
        "container_memory_usage_bytes",
        Kind::Gauge,
        "Bytes of memory, those included that could be given back at once.",
        |r| Some(r.usage.memory.usage.into()),
    ),
    (
        "container_memory_working_set_bytes",
        Kind::Gauge,
        "Bytes of memory without file pages that are not in recent use.",
        |r| Some(r.usage.memory.working_set().into()),
    ),
    (
        "container_oom_events_total",
        Kind::Counter,
        "Processes killed for want of memory.",
        |r| {
            r.usage
                .oom_kills
                .map(|kills| kills.saturating_add(r.target.earlier_oom_kills).into())
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
        |r| r.usage.cpu_period_us.map(Into::into),
    ),
    (
        "container_spec_cpu_quota",
        Kind::Gauge,
        "The quota, in microseconds of CPU a period.",
        |r| throttle(r, |t| t.quota_us.into()),
    ),
    (
        "container_spec_cpu_shares",
        Kind::Gauge,
        "The share of CPU under contention.",
        |r| r.usage.cpu_shares.map(Into::into),
    ),
    (
        "container_spec_memory_limit_bytes",
        Kind::Gauge,
        "The memory limit in bytes; 0: none.",
        |r| Some(r.usage.memory_limit_bytes.into()),
    ),
    (
        "container_spec_memory_reservation_limit_bytes",
        Kind::Gauge,
        "Memory held back for it, in bytes; 0: none.",
        |r| Some(r.usage.reservation_bytes.into()),
    ),
    (
        "container_spec_memory_swap_limit_bytes",
        Kind::Gauge,
        "The limit of swap in bytes; 0: none.",
        |r| Some(r.usage.swap_limit_bytes.into()),
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
        |r| r.usage.threads.map(Into::into),
    ),
    (
        "container_threads_max",
        Kind::Gauge,
        "Tasks that there may be; 0: no limit.",
        |r| r.usage.threads.map(|_| r.usage.threads_max.into()),
    ),
];

/// Writes all families of all rows; `now` in seconds since 1970.
pub(super) fn write(rows: &[Row], now: u64, out: &mut Encoder) {
    for (name, kind, help, read) in FAMILIES {
        let mut family = out.family(name, kind, help);
        for row in rows {
            if let Some(value) = read(row) {
                family.labelled(&row.labels, value);
            }
        }
    }
    let mut family = out.family(
        "container_cpu_usage_seconds_total",
        Kind::Counter,
        "Seconds of CPU.",
    );
    for row in rows {
        family.labelled(&row.labels.with("cpu", "total"), row.usage.cpu_seconds);
    }
    let mut family = out.family(
        "container_last_seen",
        Kind::Gauge,
        "When this was read, in seconds since 1970.",
    );
    for row in rows {
        family.labelled(&row.labels, now);
    }
    write_faults(rows, out);
}

fn write_faults(rows: &[Row], out: &mut Encoder) {
    let mut family = out.family(
        "container_memory_failures_total",
        Kind::Counter,
        "Page faults: all, and those that waited for storage.",
    );
    for row in rows {
        let memory = &row.usage.memory;
        for (kind, counts) in [
            ("pgfault", memory.page_faults),
            ("pgmajfault", memory.major_faults),
        ] {
            for (scope, count) in ["container", "hierarchy"].into_iter().zip(counts) {
                family.labelled(&row.labels.with("failure_type", kind).with("scope", scope), count);
            }
        }
    }
}
