//! `cpu`: seconds that each CPU spent in each mode.
//!
//! The kernel's counters of idle and I/O-wait time may go back by a little. A counter that goes back looks
//! like a restart to Prometheus, so the highest value seen stands, unless the CPU was unplugged meanwhile and
//! counts anew.

use std::collections::BTreeMap;

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const FIELDS: usize = MODES.len() + GUEST_MODES.len();
const IDLE: usize = 3;
/// Idle time that went back by more than this means that the CPU was unplugged.
const RESET_SECONDS: u64 = 3;

type Ticks = [u64; FIELDS];

#[derive(Default)]
pub(super) struct Cpu {
    seen: BTreeMap<u32, Ticks>,
}

impl Collector for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let now = parse(&host.proc_once("stat")?).ok_or_else(|| host.malformed("stat", "a line of a CPU"))?;
        let ticks_per_second = procfs::ticks_per_second();
        let steady = now
            .into_iter()
            .map(|(cpu, ticks)| (cpu, steady(self.seen.get(&cpu), ticks, ticks_per_second)))
            .collect::<BTreeMap<_, _>>();
        write(&steady, ticks_per_second, out);
        self.seen = steady;
        Ok(())
    }
}

fn parse(stat: &str) -> Option<BTreeMap<u32, Ticks>> {
    let mut cpus = BTreeMap::new();
    for line in stat.lines().take_while(|line| line.starts_with("cpu")) {
        let mut words = line.split_ascii_whitespace();
        let Some(number) = words.next().and_then(|word| word.strip_prefix("cpu")) else {
            continue;
        };
        if number.is_empty() {
            continue;
        }
        let mut ticks = [0; FIELDS];
        // Older kernels have fewer fields.
        for (field, word) in ticks.iter_mut().zip(words) {
            *field = word.parse().ok()?;
        }
        cpus.insert(number.parse().ok()?, ticks);
    }
    (!cpus.is_empty()).then_some(cpus)
}

fn steady(before: Option<&Ticks>, mut now: Ticks, ticks_per_second: u64) -> Ticks {
    let Some(before) = before else { return now };
    if now[IDLE] + RESET_SECONDS * ticks_per_second < before[IDLE] {
        return now;
    }
    for (now, before) in now.iter_mut().zip(before) {
        *now = (*now).max(*before);
    }
    now
}

fn write(cpus: &BTreeMap<u32, Ticks>, ticks_per_second: u64, out: &mut Encoder) {
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
    let names: Vec<String> = cpus.keys().map(ToString::to_string).collect();
    let mut guest = out.family(
        "node_cpu_guest_seconds_total",
        Kind::Counter,
        "Seconds that a CPU ran guests, of those counted as user and nice.",
    );
    for (cpu, ticks) in names.iter().zip(cpus.values()) {
        for (mode, ticks) in GUEST_MODES.iter().zip(&ticks[MODES.len()..]) {
            guest.sample(&[("cpu", cpu), ("mode", mode)], seconds(*ticks));
        }
    }
    let mut all = out.family(
        "node_cpu_seconds_total",
        Kind::Counter,
        "Seconds that a CPU spent in each mode.",
    );
    for (cpu, ticks) in names.iter().zip(cpus.values()) {
        for (mode, ticks) in MODES.iter().zip(ticks) {
            all.sample(&[("cpu", cpu), ("mode", mode)], seconds(*ticks));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_cpus_keep_their_numbers_and_short_lines_are_read() {
        let cpus = parse("cpu 9 9\ncpu0 1 2 3 4\ncpu3 5 6 7 8 9 10 11 12 13 14\nintr 1\n").unwrap();
        assert_eq!(cpus[&0], [1, 2, 3, 4, 0, 0, 0, 0, 0, 0]);
        assert_eq!(cpus[&3], [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(cpus.len(), 2);
        assert!(parse("cpu0 1 x\n").is_none());
        assert!(parse("intr 1\n").is_none());
    }

    #[test]
    fn counters_do_not_go_back_unless_the_cpu_began_anew() {
        let before = [10, 0, 0, 1000, 50, 0, 0, 0, 0, 0];
        let now = [11, 0, 0, 999, 49, 0, 0, 0, 0, 0];
        assert_eq!(
            steady(Some(&before), now, 100),
            [11, 0, 0, 1000, 50, 0, 0, 0, 0, 0]
        );
        let anew = [1, 0, 0, 2, 0, 0, 0, 0, 0, 0];
        assert_eq!(steady(Some(&before), anew, 100), anew);
    }
}
