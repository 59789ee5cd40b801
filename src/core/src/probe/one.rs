//! One probe of one instance.

use pinnace_api::pod::Probe;

use super::{Answer, Begin};
use crate::time::BootMillis;

/// Its timings, and what its answers came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct One {
    period_millis: u64,
    success_threshold: u32,
    failure_threshold: u32,
    next: BootMillis,
    under_way: bool,
    /// It asks no more.
    on_hold: bool,
    /// The newest answer, and how often it came in a row.
    last: Option<(bool, u32)>,
    verdict: Option<bool>,
}

impl One {
    pub fn new(probe: &Probe, begin: Begin) -> Self {
        let period_millis = u64::from(probe.period_seconds.max(1)) * 1000;
        let allowed_at = begin
            .started_at
            .after(u64::from(probe.initial_delay_seconds) * 1000);
        let begins_at = begin.spread.map_or(begin.now, |part| {
            begin.now.after((period_millis * u64::from(part)) >> 16)
        });
        Self {
            period_millis,
            success_threshold: probe.success_threshold.max(1),
            failure_threshold: probe.failure_threshold.max(1),
            next: allowed_at.max(begins_at),
            under_way: false,
            on_hold: false,
            last: None,
            verdict: None,
        }
    }

    /// When it asks next; `None` while it waits for an answer, or asks no more.
    pub fn due(&self) -> Option<BootMillis> {
        (!self.under_way && !self.on_hold).then_some(self.next)
    }

    /// It asks now. What was missed meanwhile is not made up for: the next question keeps its distance.
    pub fn begin(&mut self, now: BootMillis) {
        self.under_way = true;
        let missed = now.since(self.next) / self.period_millis;
        self.next = self.next.after((missed + 1).saturating_mul(self.period_millis));
    }

    /// Takes an answer; true if the verdict changed.
    pub fn answer(&mut self, answer: Answer) -> bool {
        self.under_way = false;
        let well = match answer {
            Answer::Success => true,
            Answer::Failure => false,
            Answer::Unknown => return false,
        };
        let run = match self.last {
            Some((last, run)) if last == well => run.saturating_add(1),
            _ => 1,
        };
        self.last = Some((well, run));
        let threshold = if well {
            self.success_threshold
        } else {
            self.failure_threshold
        };
        if run < threshold || self.verdict == Some(well) {
            return false;
        }
        self.verdict = Some(well);
        true
    }

    pub fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// A verdict is the last one.
    pub fn hold_if_decided(&mut self) {
        self.on_hold |= self.verdict.is_some();
    }
}
