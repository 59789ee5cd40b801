//! The conditions of a pod, in the kubelet's words.

use pinnace_api::pod::PodSpec;

use super::Timestamp;
use super::types::{ConditionStatus, ConditionType, ContainerStatus, PodCondition, PodPhase, PodStatus};
use crate::time::WallMillis;

pub(super) struct Conditions<'a> {
    pub phase: PodPhase,
    pub spec: &'a PodSpec,
    pub containers: &'a [ContainerStatus],
    pub has_sandbox: bool,
    pub started: WallMillis,
    pub previous: Option<&'a PodStatus>,
    pub now: WallMillis,
}

/// Whether a condition holds, and why.
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
        let completed = (self.phase == PodPhase::Succeeded).then_some("PodCompleted");
        let initialized = Verdict {
            holds: true,
            reason: completed,
            message: None,
        };
        vec![
            self.condition(
                ConditionType::PodReadyToStartContainers,
                Verdict::of(self.has_sandbox),
                self.started,
            ),
            self.condition(ConditionType::Initialized, initialized, self.started),
            self.condition(ConditionType::Ready, self.containers_ready(), self.ready_since()),
            self.condition(
                ConditionType::ContainersReady,
                self.containers_ready(),
                self.ready_since(),
            ),
            self.condition(ConditionType::PodScheduled, Verdict::of(true), self.started),
        ]
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
        let is_unready = |name: &str| {
            self.containers
                .iter()
                .any(|one| one.name.as_str() == name && !one.ready)
        };
        let names = self
            .spec
            .containers
            .iter()
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

    /// Since when the containers are as they are, as far as they tell; for the first status after a start of
    /// the agent.
    fn ready_since(&self) -> WallMillis {
        let changes = self.containers.iter().flat_map(|one| {
            let running = one.state.running.as_ref().map(|running| running.started_at.0);
            let ended = one
                .state
                .terminated
                .as_ref()
                .or(one.last_state.terminated.as_ref());
            running.into_iter().chain(ended.map(|ended| ended.finished_at.0))
        });
        changes.max().unwrap_or(self.started)
    }

    fn condition(&self, kind: ConditionType, verdict: Verdict, first_time: WallMillis) -> PodCondition {
        let times = Times {
            previous: self.previous,
            first_time,
            now: self.now,
        };
        times.condition(kind, verdict)
    }
}

/// Where the time of a transition comes from.
struct Times<'a> {
    previous: Option<&'a PodStatus>,
    first_time: WallMillis,
    now: WallMillis,
}

impl Times<'_> {
    fn condition(&self, kind: ConditionType, verdict: Verdict) -> PodCondition {
        let status = if verdict.holds {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        let before = self
            .previous
            .and_then(|previous| previous.conditions.iter().find(|before| before.kind == kind));
        let last_transition_time = match before {
            Some(before) if before.status == status => before.last_transition_time,
            Some(_) => Timestamp(self.now),
            None => Timestamp(self.first_time),
        };
        PodCondition {
            kind,
            status,
            last_probe_time: None,
            last_transition_time,
            reason: verdict.reason.map(str::to_owned),
            message: verdict.message,
        }
    }
}

/// The one condition of a pod that fits no node.
pub(super) fn unschedulable(
    message: String,
    previous: Option<&PodStatus>,
    now: WallMillis,
) -> Vec<PodCondition> {
    let times = Times {
        previous,
        first_time: now,
        now,
    };
    let verdict = Verdict {
        holds: false,
        reason: Some("Unschedulable"),
        message: Some(message),
    };
    vec![times.condition(ConditionType::PodScheduled, verdict)]
}
