//! The agent's own families, in a registry of their own.
//!
//! The engine tells what happens through `core`'s port [`Telemetry`]; this is its adapter. Every call is a few
//! atomic operations. The number of series is bounded whatever is told: reasons past a bound are counted as
//! `Other`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pinnace_core::ports::{PhaseCounts, Telemetry};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::scrape_cost::ScrapeCost;

/// Distinct reasons that are counted by name.
const MOST_REASONS: usize = 64;
/// A reason longer than this is no reason of Kubernetes'.
const LONGEST_REASON: usize = 64;
const OTHER: &str = "Other";

/// Which build this is, for `pinnace_build_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInfo {
    /// The program's version.
    pub version: &'static str,
    /// The commit that it was built of, or empty.
    pub revision: &'static str,
}

/// The agent's own families could not be set up (a mistake in their names).
#[derive(Debug, thiserror::Error)]
#[error("register the agent's own metrics")]
pub struct RegisterError(#[from] prometheus::Error);

/// The typed handle through which the agent counts.
pub struct AgentMetrics {
    registry: Registry,
    phases: IntGaugeVec,
    started: Histogram,
    restarts: IntCounter,
    verdicts: IntCounterVec,
    reasons: Mutex<HashSet<String>>,
    errors: IntCounterVec,
    pub(crate) cost: ScrapeCost,
}

impl AgentMetrics {
    /// Sets all families up; those without labels are there from the first scrape.
    pub fn new(build: BuildInfo) -> Result<Self, RegisterError> {
        let registry = Registry::new();
        let started = HistogramOpts::new(
            "pinnace_pod_start_duration_seconds",
            "Seconds from when a pod's manifest was seen until the pod runs.",
        )
        .buckets(vec![
            0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
        ]);
        let build_info = IntGaugeVec::new(
            Opts::new("pinnace_build_info", "Which build of the agent runs; always 1."),
            &["revision", "version"],
        )?;
        build_info
            .with_label_values(&[build.revision, build.version])
            .set(1);
        let metrics = Self {
            phases: register(
                &registry,
                IntGaugeVec::new(Opts::new("pinnace_pods", "Pods by phase."), &["phase"])?,
            )?,
            started: register(&registry, Histogram::with_opts(started)?)?,
            restarts: register(
                &registry,
                IntCounter::new(
                    "pinnace_container_restarts_total",
                    "Containers started again after they had ended.",
                )?,
            )?,
            verdicts: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "pinnace_admission_verdicts_total",
                        "Answers of admission, by verdict and reason.",
                    ),
                    &["reason", "verdict"],
                )?,
            )?,
            reasons: Mutex::default(),
            errors: register(
                &registry,
                IntCounterVec::new(
                    Opts::new("pinnace_errors_total", "Failed operations."),
                    &["operation"],
                )?,
            )?,
            cost: ScrapeCost::register(&registry)?,
            registry,
        };
        register(&metrics.registry, build_info)?;
        metrics.pod_phases(PhaseCounts::default());
        Ok(metrics)
    }

    /// Registers a gauge of another part of the agent's, without labels.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, RegisterError> {
        Ok(register(&self.registry, IntGauge::new(name, help)?)?)
    }

    /// Registers a counter of another part of the agent's, without labels.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, RegisterError> {
        Ok(register(&self.registry, IntCounter::new(name, help)?)?)
    }

    /// All families in the text format.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The reason itself, or [`OTHER`] for one too many.
    fn known<'a>(&self, reason: &'a str) -> &'a str {
        if reason.is_empty() {
            return reason;
        }
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if reasons.contains(reason) {
            return reason;
        }
        if reasons.len() >= MOST_REASONS || reason.len() > LONGEST_REASON {
            return OTHER;
        }
        reasons.insert(reason.to_owned());
        reason
    }
}

pub(crate) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

impl Telemetry for AgentMetrics {
    fn pod_started(&self, took: Duration) {
        self.started.observe(took.as_secs_f64());
    }
    fn container_restarted(&self) {
        self.restarts.inc();
    }
    fn admission_verdict(&self, verdict: &'static str, reason: &str) {
        self.verdicts
            .with_label_values(&[self.known(reason), verdict])
            .inc();
    }
    fn error(&self, operation: &'static str) {
        self.errors.with_label_values(&[operation]).inc();
    }
    fn pod_phases(&self, counts: PhaseCounts) {
        let phases = [
            ("Pending", counts.pending),
            ("Running", counts.running),
            ("Succeeded", counts.succeeded),
            ("Failed", counts.failed),
            ("Unknown", counts.unknown),
        ];
        for (phase, count) in phases {
            self.phases
                .with_label_values(&[phase])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> AgentMetrics {
        AgentMetrics::new(BuildInfo {
            version: "1.2.3",
            revision: "abc",
        })
        .unwrap()
    }

    #[test]
    fn what_is_told_is_shown() {
        let metrics = metrics();
        metrics.pod_started(Duration::from_millis(30));
        metrics.container_restarted();
        metrics.admission_verdict("pending", "Unschedulable");
        metrics.admission_verdict("admitted", "");
        metrics.error("mount the root file system of");
        metrics.pod_phases(PhaseCounts {
            running: 3,
            ..PhaseCounts::default()
        });
        let text = metrics.text().unwrap();
        for line in [
            "pinnace_pod_start_duration_seconds_bucket{le=\"0.025\"} 0",
            "pinnace_pod_start_duration_seconds_bucket{le=\"0.05\"} 1",
            "pinnace_container_restarts_total 1",
            "pinnace_admission_verdicts_total{reason=\"Unschedulable\",verdict=\"pending\"} 1",
            "pinnace_admission_verdicts_total{reason=\"\",verdict=\"admitted\"} 1",
            "pinnace_errors_total{operation=\"mount the root file system of\"} 1",
            "pinnace_pods{phase=\"Running\"} 3",
            "pinnace_pods{phase=\"Failed\"} 0",
            "pinnace_build_info{revision=\"abc\",version=\"1.2.3\"} 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn reasons_are_bounded() {
        let metrics = metrics();
        for number in 0..1000 {
            metrics.admission_verdict("rejected", &format!("Reason{number}"));
        }
        metrics.admission_verdict("rejected", &"x".repeat(1000));
        let text = metrics.text().unwrap();
        assert_eq!(
            text.matches("pinnace_admission_verdicts_total{").count(),
            MOST_REASONS + 1
        );
        assert!(text.contains("{reason=\"Other\",verdict=\"rejected\"} 937\n"));
    }

    #[test]
    fn two_agents_of_one_process_share_nothing() {
        let (first, second) = (metrics(), metrics());
        first.container_restarted();
        assert!(
            second
                .text()
                .unwrap()
                .contains("pinnace_container_restarts_total 0\n")
        );
    }
}
