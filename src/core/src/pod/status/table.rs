//! A pod as a line of `kubectl get pods`.

use pinnace_api::pod::{PodSpec, RestartPolicy};

use super::duration::human_duration;
use super::types::{ConditionStatus, ConditionType, ContainerStatus, PodStatus, Terminated};
use crate::admission::Verdict;
use crate::time::WallMillis;

/// The columns READY, STATUS, RESTARTS and AGE.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PodRow {
    /// `1/2`.
    pub ready: String,
    /// One word: the phase, or what stands out more.
    pub status: String,
    /// `2 (5m ago)`.
    pub restarts: String,
    /// `3h12m`.
    pub age: String,
}

/// What of a pod's spec its line counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowShape {
    /// Main containers.
    pub containers: usize,
    /// Init containers, sidecars among them.
    pub init_containers: usize,
    /// The names of the sidecars.
    pub sidecars: Vec<String>,
}

impl RowShape {
    /// Of this spec.
    pub fn of(spec: &PodSpec) -> Self {
        let init = spec.init_containers.iter();
        let sidecars = init.filter(|one| one.restart_policy == Some(RestartPolicy::Always));
        Self {
            containers: spec.containers.len(),
            init_containers: spec.init_containers.len(),
            sidecars: sidecars.map(|one| one.name.to_string()).collect(),
        }
    }

    fn is_sidecar(&self, one: &ContainerStatus) -> bool {
        self.sidecars.iter().any(|name| name == one.name.as_str())
    }
}

/// The line of a pod of this shape; `terminating`: its end has been asked for.
pub fn pods_table_row(
    status: &PodStatus,
    shape: &RowShape,
    terminating: bool,
    created_at: WallMillis,
    now: WallMillis,
) -> PodRow {
    let begins = initializing(status, shape);
    let counted = counted(status, shape, begins.is_some());
    let ready = counted
        .iter()
        .filter(|one| one.ready && one.state.running.is_some());
    PodRow {
        ready: format!("{}/{}", ready.count(), shape.containers + shape.sidecars.len()),
        status: if terminating && !status.phase.is_final() {
            "Terminating".to_owned()
        } else {
            begins.unwrap_or_else(|| status_word(status))
        },
        restarts: restarts(&counted, now),
        age: age(created_at, now),
    }
}

/// The containers whose restarts and readiness are shown: those that run first, until they are done, and then
/// sidecars and main containers.
fn counted<'a>(status: &'a PodStatus, shape: &RowShape, begins: bool) -> Vec<&'a ContainerStatus> {
    let init = status.init_container_statuses.iter();
    if begins {
        return init.collect();
    }
    let sidecars = init.filter(|one| shape.is_sidecar(one));
    sidecars.chain(&status.container_statuses).collect()
}

/// The word of a pod whose init containers are not done: `Init:0/2`, `Init:CrashLoopBackOff`.
fn initializing(status: &PodStatus, shape: &RowShape) -> Option<String> {
    if has(status, ConditionType::Initialized) {
        return None;
    }
    let is_done = |one: &ContainerStatus| {
        let ended = one.state.terminated.as_ref();
        let ended = ended.is_some_and(|ended| ended.exit_code == 0);
        ended || (shape.is_sidecar(one) && one.started == Some(true))
    };
    let mut all = status.init_container_statuses.iter().enumerate();
    let (number, first) = all.find(|(_, one)| !is_done(one))?;
    Some(match (&first.state.terminated, &first.state.waiting) {
        (Some(terminated), _) => format!("Init:{}", terminated_word(terminated)),
        (None, Some(waiting)) if waiting.reason != "PodInitializing" => format!("Init:{}", waiting.reason),
        _ => format!("Init:{number}/{}", shape.init_containers),
    })
}

/// The first container's reason counts most; `Completed` only where nothing else is to be told.
fn status_word(status: &PodStatus) -> String {
    let mut word = status
        .reason
        .clone()
        .unwrap_or_else(|| status.phase.as_str().to_owned());
    let gated = Verdict::SCHEDULING_GATED;
    if status
        .conditions
        .iter()
        .any(|one| one.reason.as_deref() == Some(gated))
    {
        gated.clone_into(&mut word);
    }
    let mut failure = None;
    let mut any_runs = false;
    for container in status.container_statuses.iter().rev() {
        let state = &container.state;
        if let Some(waiting) = &state.waiting {
            word.clone_from(&waiting.reason);
        } else if let Some(terminated) = &state.terminated {
            word = terminated_word(terminated);
            if terminated.exit_code != 0 {
                failure = Some(word.clone());
            }
        } else if container.ready && state.running.is_some() {
            any_runs = true;
        }
    }
    match failure {
        _ if word != "Completed" => word,
        _ if any_runs && has(status, ConditionType::Ready) => "Running".to_owned(),
        Some(failure) => failure,
        None if any_runs => "NotReady".to_owned(),
        None => word,
    }
}

fn terminated_word(terminated: &Terminated) -> String {
    match &terminated.reason {
        Some(reason) => reason.clone(),
        None => format!("ExitCode:{}", terminated.exit_code),
    }
}

fn has(status: &PodStatus, kind: ConditionType) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|one| one.kind == kind && one.status == ConditionStatus::True)
}

fn restarts(containers: &[&ContainerStatus], now: WallMillis) -> String {
    let counts = containers.iter().map(|one| u64::from(one.restart_count));
    let count: u64 = counts.sum();
    let ends = containers
        .iter()
        .filter_map(|one| one.last_state.terminated.as_ref());
    match ends.map(|ended| ended.finished_at.0).max() {
        Some(last) if count > 0 => format!("{count} ({} ago)", age(last, now)),
        _ => count.to_string(),
    }
}

fn age(since: WallMillis, now: WallMillis) -> String {
    let signed = |time: WallMillis| i64::try_from(time.0).unwrap_or(i64::MAX);
    human_duration(signed(now).saturating_sub(signed(since)))
}
