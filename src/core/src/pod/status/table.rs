//! A pod as a line of `kubectl get pods`.

use super::duration::human_duration;
use super::types::{ConditionStatus, ConditionType, PodStatus, Terminated};
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

/// The line of a pod of `containers` containers; `terminating`: its end has been asked for.
pub fn pods_table_row(
    status: &PodStatus,
    containers: usize,
    terminating: bool,
    created_at: WallMillis,
    now: WallMillis,
) -> PodRow {
    let ready = status.container_statuses.iter();
    let ready = ready
        .filter(|one| one.ready && one.state.running.is_some())
        .count();
    PodRow {
        ready: format!("{ready}/{containers}"),
        status: if terminating && !status.phase.is_final() {
            "Terminating".to_owned()
        } else {
            status_word(status)
        },
        restarts: restarts(status, now),
        age: age(created_at, now),
    }
}

/// The first container's reason counts most; `Completed` only where nothing else is to be told.
fn status_word(status: &PodStatus) -> String {
    let mut word = status
        .reason
        .clone()
        .unwrap_or_else(|| status.phase.as_str().to_owned());
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
        _ if any_runs && is_ready(status) => "Running".to_owned(),
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

fn is_ready(status: &PodStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|one| one.kind == ConditionType::Ready && one.status == ConditionStatus::True)
}

fn restarts(status: &PodStatus, now: WallMillis) -> String {
    let counts = status
        .container_statuses
        .iter()
        .map(|one| u64::from(one.restart_count));
    let count: u64 = counts.sum();
    let ends = status
        .container_statuses
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
