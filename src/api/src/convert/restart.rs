//! When a container is started again: its own policy, its rules, and what a change of its resources does.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::filled;
use crate::pod::{ResizePolicy, RestartAction, RestartPolicy, RestartRule};
use crate::report::Report;
use crate::tree::Path;

/// Rules that a container may have.
const MOST_RULES: usize = 20;

/// Exit codes that a rule may name.
const MOST_EXIT_CODES: usize = 255;

const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];

/// `restartPolicy` of a pod or container by its word.
pub(super) fn named(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<RestartPolicy> {
    match text {
        "Always" => Some(RestartPolicy::Always),
        "OnFailure" => Some(RestartPolicy::OnFailure),
        "Never" => Some(RestartPolicy::Never),
        other => {
            report.unsupported(path, other, &POLICIES);
            None
        }
    }
}

/// A container's own policy.
pub(super) fn policy(
    given: &v1::Container,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<RestartPolicy> {
    let path = path.field("restartPolicy");
    let has_rules = given
        .restart_policy_rules
        .as_ref()
        .is_some_and(|rules| !rules.is_empty());
    match filled(&given.restart_policy) {
        Some(text) => named(text, &path, report),
        None => {
            if has_rules {
                report.required(&path, "must specify restartPolicy when restart rules are used");
            }
            None
        }
    }
}

/// `restartPolicyRules`.
pub(super) fn rules(given: &v1::Container, path: &Path<'_>, report: &mut Report<'_>) -> Vec<RestartRule> {
    let path = path.field("restartPolicyRules");
    let rules = given.restart_policy_rules.as_deref().unwrap_or_default();
    if rules.len() > MOST_RULES {
        report.too_many(&path, rules.len(), MOST_RULES);
        return Vec::new();
    }
    let rule = |(index, given)| rule(given, &path.index(index), report);
    rules.iter().enumerate().filter_map(rule).collect()
}

fn rule(given: &v1::ContainerRestartRule, path: &Path<'_>, report: &mut Report<'_>) -> Option<RestartRule> {
    let action = match given.action.as_str() {
        "Restart" => Some(RestartAction::Restart),
        "RestartAllContainers" => Some(RestartAction::RestartAllContainers),
        other => {
            report.unsupported(&path.field("action"), other, &["Restart", "RestartAllContainers"]);
            None
        }
    };
    let codes_path = path.field("exitCodes");
    let Some(codes) = &given.exit_codes else {
        report.required(&codes_path, "must be specified");
        return None;
    };
    let is_in = match codes.operator.as_str() {
        "In" => Some(true),
        "NotIn" => Some(false),
        other => {
            report.unsupported(&codes_path.field("operator"), other, &["In", "NotIn"]);
            None
        }
    };
    let values = codes.values.clone().unwrap_or_default();
    if values.len() > MOST_EXIT_CODES {
        report.too_many(&codes_path.field("values"), values.len(), MOST_EXIT_CODES);
        return None;
    }
    Some(RestartRule {
        action: action?,
        is_in: is_in?,
        values,
    })
}

/// `resizePolicy`; a pod that restarts nothing cannot ask for a restart.
pub(super) fn resize_policy(
    given: Option<&[v1::ContainerResizePolicy]>,
    of_pod: Option<RestartPolicy>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> ResizePolicy {
    let mut policy = ResizePolicy::default();
    let mut seen = HashSet::new();
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        if !seen.insert(given.resource_name.as_str()) {
            report.duplicate(&path, &given.resource_name);
        }
        let restart_path = path.field("restartPolicy");
        let restarts = match given.restart_policy.as_str() {
            "NotRequired" => false,
            "RestartContainer" => true,
            "" => {
                report.required(&restart_path, "");
                continue;
            }
            other => {
                report.unsupported(&restart_path, other, &["NotRequired", "RestartContainer"]);
                continue;
            }
        };
        if restarts && of_pod == Some(RestartPolicy::Never) {
            let why = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            report.invalid(&restart_path, &given.restart_policy, why);
        }
        let name_path = path.field("resourceName");
        match given.resource_name.as_str() {
            "cpu" => policy.restart_for_cpu = restarts,
            "memory" => policy.restart_for_memory = restarts,
            "" => report.required(&name_path, ""),
            other => report.unsupported(&name_path, other, &["cpu", "memory"]),
        }
    }
    policy
}
