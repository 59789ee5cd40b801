//! What must hold at every action, checked without asking the plan's own reasons.

use std::collections::BTreeMap;

use pinnace_api::ContainerName;

use super::order::Order;
use crate::pod::{Action, Exit, Observed, PodStatus, Policy, Record, Termination};
use crate::time::{BootMillis, Now};

pub struct Rules {
    policy: Policy,
    /// Something was begun to be ended; nothing may be made from here on.
    terminating: Option<Termination>,
    finished: bool,
    /// Nothing but the record is left then.
    logs_removed: bool,
    restarts: BTreeMap<ContainerName, Restarts>,
    counts: BTreeMap<ContainerName, u32>,
    /// Who may begin and end when.
    pub order: Order,
    /// The newest status.
    pub status: Option<PodStatus>,
}

/// The back-off of one container, reckoned anew from the exits alone.
#[derive(Default)]
struct Restarts {
    newest: Option<u32>,
    before: Option<(BootMillis, u64)>,
    current: Option<(BootMillis, u64)>,
}

impl Rules {
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            terminating: None,
            finished: false,
            logs_removed: false,
            restarts: BTreeMap::new(),
            counts: BTreeMap::new(),
            order: Order::default(),
            status: None,
        }
    }

    /// The machine restarted, or the record was lost: only logs tell of restarts then.
    pub fn progress_lost(&mut self, observed: &Observed) {
        self.terminating = None;
        self.restarts.clear();
        for (name, count) in &mut self.counts {
            *count = (*count).min(observed.log_attempts.get(name).copied().unwrap_or(0));
        }
    }

    /// Compares the status with those before.
    pub fn asked(&mut self, status: PodStatus) {
        if let Some(before) = &self.status {
            let phase = before.phase;
            assert!(!phase.is_final() || status.phase == phase, "{phase:?} was left");
        }
        if !self.logs_removed {
            for container in status.all_containers() {
                let (name, count) = (&container.name, container.restart_count);
                let highest = self.counts.entry(name.clone()).or_default();
                assert!(
                    count >= *highest,
                    "restart count of {name} went from {highest} to {count}"
                );
                *highest = count;
            }
        }
        self.status = Some(status);
    }

    pub fn before(&mut self, action: &Action, record: &Record, now: Now) {
        self.logs_removed |= *action == Action::RemoveLogs;
        self.nothing_starts_after_the_end(action, record);
        self.records_come_first(action, record);
        self.back_off_is_waited_for(action, now);
    }

    /// The agent was started again: ends that were told of but not recorded are not known any more.
    pub fn memory_lost(&mut self, record: &Record) {
        for (name, own) in &mut self.restarts {
            let next = record
                .progress
                .container(name)
                .map_or(0, |progress| progress.next_attempt);
            if own.newest.is_some_and(|newest| newest >= next) {
                own.newest = None;
                own.current = own.before;
            }
        }
    }

    /// The record changed, or was read again.
    pub fn recorded(&mut self, record: &Record) {
        let terminating = &record.progress.terminating;
        assert!(
            self.terminating.is_none() || terminating.is_some(),
            "a termination was taken back"
        );
        self.terminating = terminating.clone();
        self.finished = record.identity.finished.is_some();
    }

    fn nothing_starts_after_the_end(&self, action: &Action, record: &Record) {
        let ended = self.finished || self.terminating.is_some();
        match action {
            Action::CreateSandbox { .. }
            | Action::AttachNetwork
            | Action::PrepareVolumes
            | Action::CreateContainer { .. }
            | Action::StartContainer { .. } => assert!(!ended, "{action:?} after the end"),
            Action::RemoveLogs | Action::ForgetRecord => assert!(
                record
                    .progress
                    .terminating
                    .as_ref()
                    .is_some_and(|it| it.eviction.is_none()),
                "{action:?} of a pod that stays listed"
            ),
            _ => {}
        }
    }

    fn records_come_first(&self, action: &Action, record: &Record) {
        match action {
            Action::StopContainer { name, .. } => {
                let own = record.progress.container(name);
                let stops = own.is_some_and(|own| own.stop.is_some());
                assert!(record.progress.terminating.is_some() || stops);
            }
            Action::RemoveVolumes => assert!(
                record.progress.terminating.is_some() || record.identity.finished.is_some(),
                "volumes removed from a pod that goes on"
            ),
            _ => {}
        }
    }

    fn back_off_is_waited_for(&mut self, action: &Action, now: Now) {
        match action {
            Action::NoteExit { name, attempt, exit } => {
                let policy = self.policy;
                let own = self.restarts.entry(name.clone()).or_default();
                let again = own.newest == Some(*attempt);
                if !again {
                    own.newest = Some(*attempt);
                    own.before = own.current;
                }
                let delay = own
                    .before
                    .map_or(0, |(_, delay)| next_delay(delay, exit, &policy));
                // Told again because it was not known to be recorded: either note may be the one that counts.
                own.current = match own.current.filter(|_| again) {
                    Some((noted, other)) => Some((noted, other.min(delay))),
                    None => Some((now.boot, delay)),
                };
            }
            Action::CreateContainer { name, .. } => {
                if let Some(Restarts {
                    current: Some((noted, delay)),
                    ..
                }) = self.restarts.get(name)
                {
                    let waited = now.boot.since(*noted);
                    assert!(waited >= *delay, "{name} waited {waited} ms out of {delay}");
                }
            }
            _ => {}
        }
    }
}

fn next_delay(previous: u64, exit: &Exit, policy: &Policy) -> u64 {
    let ran = exit
        .started_at
        .map_or(0, |started| exit.finished_at.0 - started.0);
    if ran >= policy.restart_reset_millis {
        return 0;
    }
    let grown = previous * u64::from(policy.restart.factor);
    grown.clamp(policy.restart.initial_millis, policy.restart.max_millis)
}
