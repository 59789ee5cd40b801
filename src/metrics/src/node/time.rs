//! `time`: the wall clock, and which hardware clock the kernel goes by.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Time;

/// The clocks that there are, and the one in use.
const SOURCES: [&str; 2] = [
    "devices/system/clocksource/clocksource0/available_clocksource",
    "devices/system/clocksource/clocksource0/current_clocksource",
];

impl Collector for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let [available, current] = SOURCES.map(|file| host.sys_text(file));
        let mut family = out.family(
            "node_time_clocksource_available_info",
            Kind::Gauge,
            "Hardware clocks that the kernel can go by; always 1.",
        );
        for name in available.iter().flat_map(|names| names.split_ascii_whitespace()) {
            family.sample(&[("clocksource", name), ("device", "0")], 1_u64);
        }
        let mut family = out.family(
            "node_time_clocksource_current_info",
            Kind::Gauge,
            "The hardware clock that the kernel goes by; always 1.",
        );
        for name in current.iter().flat_map(|names| names.split_ascii_whitespace()) {
            family.sample(&[("clocksource", name), ("device", "0")], 1_u64);
        }
        // A clock before 1970 is shown as 1970.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        out.single(
            "node_time_seconds",
            Kind::Gauge,
            "The wall clock, in seconds since 1970.",
            now.as_secs_f64(),
        );
        Ok(())
    }
}
