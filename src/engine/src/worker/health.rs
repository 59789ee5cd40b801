//! The worker's part of probes and hooks: what runs is told to the prober, what was found goes into the record.

use std::collections::BTreeMap;

use pinnace_api::ContainerName;
use pinnace_core::pod::{ContainerSeen, Health, InstanceState, Observed};
use pinnace_core::time::{BootMillis, Now};

use super::PodWorker;
use super::prober::{Prober, Target};
use crate::adapters::Adapters;

/// Instances that this agent started.
pub(super) type Begun = BTreeMap<ContainerName, u32>;

impl<A: Adapters> PodWorker<A> {
    /// Takes note of what the probes found, and of which instances are to be probed from here on.
    pub(super) fn follow_health(&mut self, observed: &Observed, now: Now) {
        let runs = |name: &ContainerName, attempt: u32| {
            observed.containers.iter().any(|seen| {
                seen.name == *name
                    && seen.attempt == attempt
                    && matches!(seen.state, InstanceState::Running { .. })
            })
        };
        self.hooks.keep(runs);
        self.make_prober();
        let Some(prober) = &self.prober else {
            return;
        };
        for (name, attempt, verdicts) in prober.found() {
            self.record.live.set_verdicts(&name, attempt, verdicts);
        }
        prober.follow(self.targets(observed, now));
    }

    /// The running instances whose postStart hook is done, if they have one.
    fn targets(&self, observed: &Observed, now: Now) -> Vec<Target> {
        let (spec, progress) = (&self.context.pod.spec, &self.record.progress);
        let address = self.own_address();
        let target = |seen: &ContainerSeen| {
            let InstanceState::Running { started_at, .. } = seen.state else {
                return None;
            };
            let container = spec.container(&seen.name)?;
            let own = progress.container(&seen.name);
            let is_ending = progress.terminating.is_some();
            if Health::of(container, seen.attempt, progress, &self.record.live).hook_holds {
                return None;
            }
            let recorded = own.and_then(|own| own.started) == Some(seen.attempt);
            let age = now.wall.0.saturating_sub(started_at.0);
            Some(Target {
                name: seen.name.clone(),
                attempt: seen.attempt,
                started_at: BootMillis(now.boot.0.saturating_sub(age)),
                has_started: recorded,
                is_adopted: self.begun.get(&seen.name) != Some(&seen.attempt),
                is_ending,
                address,
            })
        };
        observed.containers.iter().filter_map(target).collect()
    }

    /// The prober of the pod, if it has any probe; another one where its task failed.
    fn make_prober(&mut self) {
        if self.prober.as_ref().is_none_or(Prober::has_failed) {
            self.prober = Prober::of(&self.shared, &self.context);
        }
    }
}
