//! `stat`: what the kernel did since it started.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Stat;

/// Family, type, line of `/proc/stat` and meaning.
const FAMILIES: [(&str, Kind, &str, &str); 6] = [
    (
        "node_boot_time_seconds",
        Kind::Gauge,
        "btime ",
        "When this machine started, in seconds since 1970.",
    ),
    (
        "node_context_switches_total",
        Kind::Counter,
        "ctxt ",
        "Switches from one task to another.",
    ),
    (
        "node_forks_total",
        Kind::Counter,
        "processes ",
        "Processes and threads started.",
    ),
    ("node_intr_total", Kind::Counter, "intr ", "Interrupts serviced."),
    (
        "node_procs_blocked",
        Kind::Gauge,
        "procs_blocked ",
        "Tasks that wait for I/O.",
    ),
    (
        "node_procs_running",
        Kind::Gauge,
        "procs_running ",
        "Tasks that run or could.",
    ),
];

impl Collector for Stat {
    fn name(&self) -> &'static str {
        "stat"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_once("stat")?;
        for (name, kind, start, help) in FAMILIES {
            let value: u64 = text
                .lines()
                .find_map(|line| line.strip_prefix(start)?.split(' ').next()?.parse().ok())
                .ok_or_else(|| host.malformed("stat", start.trim_end()))?;
            out.single(name, kind, help, value);
        }
        Ok(())
    }
}
