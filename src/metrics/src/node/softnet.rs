//! `softnet`: packets that each CPU took off the interfaces' queues.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Softnet;

/// Family, type, column and meaning.
const FAMILIES: [(&str, Kind, usize, &str); 7] = [
    (
        "node_softnet_backlog_len",
        Kind::Gauge,
        11,
        "Packets that wait in a CPU's queue.",
    ),
    (
        "node_softnet_cpu_collision_total",
        Kind::Counter,
        8,
        "Times that a device's lock was held by another CPU.",
    ),
    (
        "node_softnet_dropped_total",
        Kind::Counter,
        1,
        "Packets dropped because a CPU's queue was full.",
    ),
    (
        "node_softnet_flow_limit_count_total",
        Kind::Counter,
        10,
        "Times that a flow was held back.",
    ),
    (
        "node_softnet_processed_total",
        Kind::Counter,
        0,
        "Packets processed.",
    ),
    (
        "node_softnet_received_rps_total",
        Kind::Counter,
        9,
        "Times that another CPU woke this one for a packet.",
    ),
    (
        "node_softnet_times_squeezed_total",
        Kind::Counter,
        2,
        "Times that packets were left for want of time.",
    ),
];
/// The column with the CPU's number, since Linux 5.14; before, it is the line's.
const CPU_COLUMN: usize = 12;

impl Collector for Softnet {
    fn name(&self) -> &'static str {
        "softnet"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_text("net/softnet_stat")?;
        let mut cpus = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let columns: Result<Vec<u64>, _> = line
                .split_ascii_whitespace()
                .map(|word| u64::from_str_radix(word, 16))
                .collect();
            let columns = columns.map_err(|_| host.malformed("net/softnet_stat", "a column"))?;
            let cpu = columns.get(CPU_COLUMN).copied().unwrap_or(number as u64);
            cpus.push((cpu.to_string(), columns));
        }
        for (name, kind, column, help) in FAMILIES {
            let mut family = out.family(name, kind, help);
            for (cpu, columns) in &cpus {
                if let Some(value) = columns.get(column) {
                    family.sample(&[("cpu", cpu)], *value);
                }
            }
        }
        Ok(())
    }
}
