//! Probes, decided: when each asks next, and what its answers come to. Nothing here asks anybody.
//!
//! ```text
//! a running instance ──▶ Probing ── due(now) ──▶ the engine asks ── answer(…) ──▶ Verdicts
//! ```
//!
//! As in the kubelet: a startup probe gates the others until it succeeds; an answer that is no answer is thrown
//! away; a probe whose verdict ends the container, and a startup probe that succeeded, ask no more.

mod one;
#[cfg(test)]
mod tests;

use pinnace_api::pod::{Container, Probe};

use crate::pod::Verdicts;
use crate::time::BootMillis;
use one::One;

/// The three kinds of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Whether it has started.
    Startup,
    /// Whether it may be sent requests.
    Readiness,
    /// Whether it lives.
    Liveness,
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// Kubernetes' word, as in its events.
    pub fn as_str(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Readiness => "Readiness",
            ProbeKind::Liveness => "Liveness",
        }
    }

    /// The container's probe of this kind.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            ProbeKind::Startup => container.probes.startup.as_ref(),
            ProbeKind::Readiness => container.probes.readiness.as_ref(),
            ProbeKind::Liveness => container.probes.liveness.as_ref(),
        }
    }
}

/// What a probe was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All is well.
    Success,
    /// It is not.
    Failure,
    /// The question could not be asked.
    Unknown,
}

/// When and how probing of an instance begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// When the instance was started.
    pub started_at: BootMillis,
    /// When its probing begins.
    pub now: BootMillis,
    /// It has started already, by an earlier agent's probe.
    pub has_started: bool,
    /// An earlier agent started it: its probes begin at a random time within their period, this part of it
    /// (of 65,536), so that not all pods are asked at once.
    pub spread: Option<u16>,
}

/// The probes of one running instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probing {
    probes: Vec<(ProbeKind, One)>,
    started: bool,
    /// The pod is on its way out: only readiness is asked for.
    ending: bool,
}

impl Probing {
    /// Of an instance of this container.
    pub fn new(container: &Container, begin: Begin) -> Self {
        let kinds = ProbeKind::ALL.into_iter();
        let probes = kinds.filter_map(|kind| Some((kind, One::new(kind.of(container)?, begin))));
        Self {
            probes: probes.collect(),
            started: begin.has_started || container.probes.startup.is_none(),
            ending: false,
        }
    }

    /// The pod is on its way out.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// What is to be asked now; each counts as under way until it is answered.
    pub fn take_due(&mut self, now: BootMillis) -> Vec<ProbeKind> {
        let (started, ending) = (self.started, self.ending);
        let mut due = Vec::new();
        for (kind, one) in &mut self.probes {
            if is_open(*kind, started, ending) && one.due().is_some_and(|at| at <= now) {
                one.begin(now);
                due.push(*kind);
            }
        }
        due
    }

    /// When something is to be asked next.
    pub fn next_due(&self) -> Option<BootMillis> {
        let open = self.probes.iter();
        let open = open.filter(|(kind, _)| is_open(*kind, self.started, self.ending));
        open.filter_map(|(_, one)| one.due()).min()
    }

    /// Takes an answer; true if a verdict came of it that is not the one before.
    pub fn answer(&mut self, kind: ProbeKind, answer: Answer) -> bool {
        let Some((_, one)) = self.probes.iter_mut().find(|(own, _)| *own == kind) else {
            return false;
        };
        let changed = one.answer(answer);
        if kind == ProbeKind::Startup || (kind == ProbeKind::Liveness && one.verdict() == Some(false)) {
            one.hold_if_decided();
        }
        if kind == ProbeKind::Startup && one.verdict() == Some(true) {
            self.started = true;
        }
        changed
    }

    /// What the probes have found.
    pub fn verdicts(&self) -> Verdicts {
        let of = |kind| {
            let mut all = self.probes.iter();
            all.find(|(own, _)| *own == kind)
                .and_then(|(_, one)| one.verdict())
        };
        Verdicts {
            startup: of(ProbeKind::Startup),
            readiness: of(ProbeKind::Readiness),
            liveness: of(ProbeKind::Liveness),
        }
    }
}

fn is_open(kind: ProbeKind, started: bool, ending: bool) -> bool {
    match kind {
        ProbeKind::Startup => !started && !ending,
        ProbeKind::Readiness => started,
        ProbeKind::Liveness => started && !ending,
    }
}
