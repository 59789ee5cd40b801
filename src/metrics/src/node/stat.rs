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
        let mut values = [None; FAMILIES.len()];
        for line in text.lines() {
            let found = FAMILIES
                .iter()
                .position(|(_, _, start, _)| line.starts_with(start));
            if let Some(index) = found
                && values[index].is_none()
            {
                let mut words = line.split(' ');
                values[index] = words.nth(1).and_then(|word| word.parse::<u64>().ok());
            }
        }
        for ((name, kind, start, help), value) in FAMILIES.into_iter().zip(values) {
            let value = value.ok_or_else(|| host.malformed("stat", start.trim_end()))?;
            out.single(name, kind, help, value);
        }
        Ok(())
    }
}
