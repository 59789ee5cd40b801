//! Policies that allow more than the rules may hold, told where people look: problems, events, the log.

use pinnace_api::{ObjectKey, Problem, Severity};
use pinnace_core::event::{Event, EventType};
use pinnace_core::host::Host;
use pinnace_core::network::PolicyTable;

use super::NetworkObjects;
use crate::adapters::Adapters;
use crate::worker::Shared;

/// The event's reason.
const REASON: &str = "NetworkPolicyTooLarge";

/// Tells of those that are refused; of each once, for as long as it stays as it is.
pub(super) fn tell<A: Adapters>(shared: &Shared<A>, table: &PolicyTable, objects: &NetworkObjects) {
    let found: Vec<(ObjectKey, Problem)> = table
        .refused
        .iter()
        .map(|((namespace, name), refused)| {
            let key = ObjectKey {
                kind: "NetworkPolicy".to_owned(),
                namespace: namespace.clone(),
                name: name.clone(),
            };
            let place = objects.policy_places.get(&(namespace.clone(), name.clone()));
            let problem = Problem {
                severity: Severity::Error,
                file: place.map(|(file, _)| file.clone()).unwrap_or_default(),
                line: place.map(|(_, line)| *line),
                object: Some(key.to_string()),
                field: Some("spec".to_owned()),
                message: refused.to_string(),
            };
            (key, problem)
        })
        .collect();
    let problems: Vec<Problem> = found.iter().map(|(_, problem)| problem.clone()).collect();
    let news = shared.board.set_policy_problems(&problems);
    for (object, problem) in found.into_iter().filter(|(_, problem)| news.contains(problem)) {
        shared.board.record(Event {
            kind: EventType::Warning,
            reason: REASON.to_owned(),
            message: problem.message,
            object,
            at: shared.adapters.host().now().wall,
        });
    }
}
