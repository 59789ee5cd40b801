//! `pressure`: time that tasks lost for want of CPU, memory or I/O (pressure stall information).

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Pressure;

const CPU: &str = "pressure/cpu";
/// Family, file, line and meaning; the families of a file stand together.
const FAMILIES: [(&str, &str, &str, &str); 6] = [
    (
        "node_pressure_cpu_waiting_seconds_total",
        CPU,
        "some",
        "Seconds in which some task waited for a CPU.",
    ),
    (
        "node_pressure_io_waiting_seconds_total",
        "pressure/io",
        "some",
        "Seconds in which some task waited for I/O.",
    ),
    (
        "node_pressure_io_stalled_seconds_total",
        "pressure/io",
        "full",
        "Seconds in which all tasks waited for I/O.",
    ),
    (
        "node_pressure_memory_waiting_seconds_total",
        "pressure/memory",
        "some",
        "Seconds in which some task waited for memory.",
    ),
    (
        "node_pressure_memory_stalled_seconds_total",
        "pressure/memory",
        "full",
        "Seconds in which all tasks waited for memory.",
    ),
    (
        "node_pressure_irq_stalled_seconds_total",
        "pressure/irq",
        "full",
        "Seconds that interrupts took from all tasks.",
    ),
];

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        // Each file once, though it serves two families; without that of the CPUs there is none at all.
        let cpu = host.proc_text(CPU)?;
        let mut open = (CPU, Some(cpu));
        for (family, file, line, help) in FAMILIES {
            if open.0 != file {
                open = (file, host.proc_text(file).ok());
            }
            // The file for interrupts came with Linux 6.1.
            if let Some(microseconds) = open.1.as_deref().and_then(|text| total(text, line)) {
                out.single(family, Kind::Counter, help, microseconds as f64 / 1e6);
            }
        }
        Ok(())
    }
}

/// `total` of a line such as `some avg10=0.00 avg60=0.00 avg300=0.00 total=5`.
fn total(text: &str, kind: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
    line.split(' ')
        .find_map(|word| word.strip_prefix("total=")?.parse().ok())
}
