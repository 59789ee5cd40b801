//! The conditions of a pod, in the kubelet's words.

use std::collections::BTreeMap;

use pinnace_api::ContainerName;
use pinnace_api::pod::PodSpec;

use super::Timestamp;
use super::phase;
use super::types::{ConditionStatus, ConditionType, ContainerStatus, PodCondition, PodPhase, PodStatus};
use crate::time::WallMillis;

pub(super) struct Conditions<'a> {
    pub phase: PodPhase,
    pub spec: &'a PodSpec,
    pub init_containers: &'a [ContainerStatus],
    pub containers: &'a [ContainerStatus],
    /// A sandbox with its network.
    pub has_sandbox: bool,
    pub started: WallMillis,
    /// When the newest verdict of a container's readiness probe came.
    pub found_at: BTreeMap<ContainerName, WallMillis>,
    /// When the sandbox before this one was given up, if there was one.
    pub sandbox_lost: Option<WallMillis>,
    pub previous: Option<&'a PodStatus>,
}

/// Whether a condition holds, and why.
#[derive(Clone)]
struct Verdict {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    fn of(holds: bool) -> Self {
        Self {
            holds,
            reason: None,
            message: None,
        }
    }
}

impl Conditions<'_> {
    pub fn all(&self) -> Vec<PodCondition> {
        let initialized = self.initialized();
        let initialized_since = self.initialized_since();
        let (started, containers_ready) = (self.started, self.containers_ready());
        let ready = self.ready(&containers_ready);
        let has_sandbox = Verdict::of(self.has_sandbox);
        let sandbox_since = self.sandbox_lost.unwrap_or(started);
        let ready_since = self.ready_since(containers_ready.holds);
        vec![
            self.condition(
                ConditionType::PodReadyToStartContainers,
                has_sandbox,
                sandbox_since,
            ),
            self.condition(ConditionType::Initialized, initialized, initialized_since),
            self.condition(ConditionType::Ready, ready, ready_since),
            self.condition(ConditionType::ContainersReady, containers_ready, ready_since),
            self.condition(ConditionType::PodScheduled, Verdict::of(true), started),
        ]
    }

    fn initialized(&self) -> Verdict {
        if self.phase == PodPhase::Succeeded {
            return Verdict {
                reason: Some("PodCompleted"),
                ..Verdict::of(true)
            };
        }
        if phase::any_has_started(self.containers) {
            return Verdict::of(true);
        }
        let is_done = |one: &&ContainerStatus| match phase::is_sidecar(self.spec, one) {
            true => one.started == Some(true),
            false => one.ready,
        };
        let undone = self.init_containers.iter().filter(|one| !is_done(one));
        let names: Vec<&str> = undone.map(|one| one.name.as_str()).collect();
        if names.is_empty() {
            return Verdict::of(true);
        }
        let message = format!("containers with incomplete status: [{}]", names.join(" "));
        Verdict {
            holds: false,
            reason: Some("ContainersNotInitialized"),
            message: Some(message),
        }
    }

    /// Since when all that comes before the main containers is done.
    fn initialized_since(&self) -> WallMillis {
        let done_at = |one: &ContainerStatus| {
            let ended = one.state.terminated.as_ref().map(|ended| ended.finished_at.0);
            ended.or(one.state.running.as_ref().map(|running| running.started_at.0))
        };
        let ends = self.init_containers.iter().filter_map(done_at);
        ends.max()
            .filter(|_| self.initialized().holds)
            .unwrap_or(self.started)
    }

    /// The pod is ready where its containers are and its gates are open; nothing here opens one.
    fn ready(&self, containers_ready: &Verdict) -> Verdict {
        let gates = &self.spec.readiness_gates;
        if !containers_ready.holds || gates.is_empty() {
            return containers_ready.clone();
        }
        let missing: Vec<String> = gates
            .iter()
            .map(|gate| format!("corresponding condition of pod readiness gate {gate:?} does not exist."))
            .collect();
        Verdict {
            holds: false,
            reason: Some("ReadinessGatesNotReady"),
            message: Some(missing.join(", ")),
        }
    }

    /// The containers whose readiness counts: sidecars and main ones.
    fn counted(&self) -> impl Iterator<Item = &ContainerStatus> + Clone {
        let sidecars = self.init_containers.iter();
        let sidecars = sidecars.filter(|one| phase::is_sidecar(self.spec, one));
        sidecars.chain(self.containers)
    }

    fn containers_ready(&self) -> Verdict {
        match self.phase {
            PodPhase::Succeeded => {
                return Verdict {
                    reason: Some("PodCompleted"),
                    ..Verdict::of(false)
                };
            }
            PodPhase::Failed => {
                return Verdict {
                    reason: Some("PodFailed"),
                    ..Verdict::of(false)
                };
            }
            PodPhase::Pending | PodPhase::Running => {}
        }
        let is_unready = |name: &str| self.counted().any(|one| one.name.as_str() == name && !one.ready);
        let names = self
            .spec
            .all_containers()
            .map(|container| container.name.as_str());
        let unready: Vec<&str> = names.filter(|name| is_unready(name)).collect();
        if unready.is_empty() {
            return Verdict::of(true);
        }
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        Verdict {
            holds: false,
            reason: Some("ContainersNotReady"),
            message: Some(message),
        }
    }

    /// Since when all containers run, or the first of those that do not. Told by the containers' own times and
    /// not by the look that found them so: a later agent, which was not there, says the same.
    fn ready_since(&self, ready: bool) -> WallMillis {
        let since = |one: &ContainerStatus| {
            let running = one.state.running.as_ref().map(|running| {
                let found = self.found_at.get(&one.name).copied();
                running.started_at.0.max(found.unwrap_or_default())
            });
            let ended = one
                .state
                .terminated
                .as_ref()
                .or(one.last_state.terminated.as_ref());
            running.or(ended.map(|ended| ended.finished_at.0))
        };
        if ready {
            self.counted().filter_map(since).max()
        } else {
            let unready = self.counted().filter(|one| !one.ready);
            unready.map(|one| since(one).unwrap_or(self.started)).min()
        }
        .unwrap_or(self.started)
    }

    fn condition(&self, kind: ConditionType, verdict: Verdict, since: WallMillis) -> PodCondition {
        condition(kind, verdict, since, self.previous)
    }
}

/// A condition that is as it was keeps its time.
fn condition(
    kind: ConditionType,
    verdict: Verdict,
    since: WallMillis,
    previous: Option<&PodStatus>,
) -> PodCondition {
    let status = if verdict.holds {
        ConditionStatus::True
    } else {
        ConditionStatus::False
    };
    let before = previous
        .and_then(|previous| previous.conditions.iter().find(|before| before.kind == kind))
        .filter(|before| before.status == status);
    PodCondition {
        kind,
        status,
        last_probe_time: None,
        last_transition_time: before.map_or(Timestamp(since), |before| before.last_transition_time),
        reason: verdict.reason.map(str::to_owned),
        message: verdict.message,
    }
}

/// The one condition of a pod that has no node.
pub(super) fn unscheduled(
    reason: &'static str,
    message: String,
    previous: Option<&PodStatus>,
    now: WallMillis,
) -> Vec<PodCondition> {
    let verdict = Verdict {
        holds: false,
        reason: Some(reason),
        message: Some(message),
    };
    vec![condition(ConditionType::PodScheduled, verdict, now, previous)]
}
