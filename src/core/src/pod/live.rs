//! What this agent knows of instances that run: hooks under way, and what probes have found. In memory only.
//!
//! A later agent begins anew: a hook that was under way is run again, as its end was not recorded, and a probe
//! asks anew, until when the recorded verdict holds.

use std::collections::BTreeMap;

use pinnace_api::ContainerName;

/// All that is kept in memory of a pod's instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// The newest hook of each kind, with its instance.
    hooks: BTreeMap<(ContainerName, HookPoint), (u32, HookState)>,
    /// What the probes of each container have found, with the instance that they asked.
    verdicts: BTreeMap<ContainerName, (u32, Verdicts)>,
}

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPoint {
    /// Just after the start.
    PostStart,
    /// Before the stop signal.
    PreStop,
}

impl HookPoint {
    /// Kubernetes' word.
    pub fn as_str(self) -> &'static str {
        match self {
            HookPoint::PostStart => "PostStart",
            HookPoint::PreStop => "PreStop",
        }
    }
}

/// How far a hook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookState {
    /// Begun.
    Running,
    /// It went through.
    Done,
    /// It failed; what it said.
    Failed(String),
}

/// What an instance's probes have found; `None` before a probe's first verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdicts {
    /// It has started, or will not.
    pub startup: Option<bool>,
    /// It is ready.
    pub readiness: Option<bool>,
    /// It lives.
    pub liveness: Option<bool>,
}

impl Live {
    /// How far the instance's hook is; `None` where this agent has not begun it.
    pub fn hook(&self, name: &ContainerName, attempt: u32, point: HookPoint) -> Option<&HookState> {
        let (of, state) = self.hooks.get(&(name.clone(), point))?;
        (*of == attempt).then_some(state)
    }

    /// A hook before an end was begun in this agent's life.
    pub fn has_begun_pre_stop(&self) -> bool {
        self.hooks.keys().any(|(_, point)| *point == HookPoint::PreStop)
    }

    /// Takes note of how far a hook is; of an older instance's nothing is to be known any more.
    pub fn set_hook(&mut self, name: &ContainerName, attempt: u32, point: HookPoint, state: HookState) {
        let key = (name.clone(), point);
        if self.hooks.get(&key).is_none_or(|(newest, _)| *newest <= attempt) {
            self.hooks.insert(key, (attempt, state));
        }
    }

    /// What the instance's probes have found.
    pub fn verdicts(&self, name: &ContainerName, attempt: u32) -> Verdicts {
        match self.verdicts.get(name) {
            Some((of, verdicts)) if *of == attempt => *verdicts,
            _ => Verdicts::default(),
        }
    }

    /// Takes note of what the instance's probes have found.
    pub fn set_verdicts(&mut self, name: &ContainerName, attempt: u32, verdicts: Verdicts) {
        self.verdicts.insert(name.clone(), (attempt, verdicts));
    }
}
