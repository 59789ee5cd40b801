//! What the scrapes themselves cost.

use std::time::Duration;

use prometheus::{Counter, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use crate::agent::register;

/// Counts collections, their time and their CPU.
pub(crate) struct ScrapeCost {
    duration: Histogram,
    cpu: Counter,
    shared: IntCounter,
    refused: IntCounter,
    bytes: IntGauge,
}

impl ScrapeCost {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let duration = HistogramOpts::new(
            "pinnace_scrape_duration_seconds",
            "Seconds that a collection took.",
        )
        .buckets(vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0,
        ]);
        let counter = |name: &str, help: &str| register(registry, IntCounter::new(name, help)?);
        Ok(Self {
            duration: register(registry, Histogram::with_opts(duration)?)?,
            cpu: register(
                registry,
                Counter::new(
                    "pinnace_scrape_cpu_seconds_total",
                    "Seconds of CPU that collections took.",
                )?,
            )?,
            shared: counter(
                "pinnace_scrapes_shared_total",
                "Scrapes answered with another one's collection.",
            )?,
            refused: counter(
                "pinnace_scrapes_refused_total",
                "Scrapes refused because too many waited.",
            )?,
            bytes: register(
                registry,
                IntGauge::new(
                    "pinnace_scrape_size_bytes",
                    "Size of the exposition before this one.",
                )?,
            )?,
        })
    }

    /// A collection has ended; the next one shows it.
    pub(crate) fn collected(&self, took: Duration, cpu: Duration, bytes: usize) {
        self.duration.observe(took.as_secs_f64());
        self.cpu.inc_by(cpu.as_secs_f64());
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    pub(crate) fn shared(&self) {
        self.shared.inc();
    }
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }
}
