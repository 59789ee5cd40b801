//! `pressure`: time that tasks lost for want of CPU, memory or I/O (pressure stall information).

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::{CollectError, Host};

pub(super) struct Pressure;

/// Family, file, line and meaning.
const FAMILIES: [(&str, &str, &str, &str); 6] = [
    (
        "node_pressure_cpu_waiting_seconds_total",
        "cpu",
        "some",
        "Seconds in which some task waited for a CPU.",
    ),
    (
        "node_pressure_io_waiting_seconds_total",
        "io",
        "some",
        "Seconds in which some task waited for I/O.",
    ),
    (
        "node_pressure_io_stalled_seconds_total",
        "io",
        "full",
        "Seconds in which all tasks waited for I/O.",
    ),
    (
        "node_pressure_memory_waiting_seconds_total",
        "memory",
        "some",
        "Seconds in which some task waited for memory.",
    ),
    (
        "node_pressure_memory_stalled_seconds_total",
        "memory",
        "full",
        "Seconds in which all tasks waited for memory.",
    ),
    (
        "node_pressure_irq_stalled_seconds_total",
        "irq",
        "full",
        "Seconds that interrupts took from all tasks.",
    ),
];

impl Collector for Pressure {
    fn name(&self) -> &'static str {
        "pressure"
    }

    fn collect(&self, host: &Host, out: &mut Encoder) -> Result<(), CollectError> {
        let cpu = host.proc_text("pressure/cpu")?;
        let others =
            ["io", "memory", "irq"].map(|file| (file, host.proc_text(&format!("pressure/{file}")).ok()));
        for (family, file, line, help) in FAMILIES {
            let text = match file {
                "cpu" => Some(cpu.as_str()),
                _ => others
                    .iter()
                    .find(|other| other.0 == file)
                    .and_then(|other| other.1.as_deref()),
            };
            // The file for interrupts came with Linux 6.1.
            if let Some(microseconds) = text.and_then(|text| total(text, line)) {
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
