//! The Pod Security Standards at their latest version, with the checks, their order and their words as
//! Kubernetes' own admission has them.
//!
//! A check answers with what it finds; all findings make one sentence. Annotations that say what fields say
//! since Kubernetes 1.30 are looked at too, as Kubernetes does.

mod baseline;
mod levels;
mod restricted;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pinnace_api::pod::{Container, PodSpec};

pub use levels::{Level, Levels};

/// What one check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// In few words.
    reason: &'static str,
    /// What exactly; may be empty.
    detail: String,
}

impl Finding {
    fn new(reason: &'static str, detail: String) -> Self {
        Self { reason, detail }
    }
}

/// What of the pod the level does not allow; `None` where it allows all.
pub fn violation(level: Level, spec: &PodSpec, annotations: &BTreeMap<String, String>) -> Option<String> {
    let mut findings = Vec::new();
    match level {
        Level::Privileged => return None,
        Level::Baseline => {
            findings.push(baseline::app_armor(spec, annotations));
            findings.push(baseline::capabilities(spec));
            findings.push(baseline::host_namespaces(spec));
            findings.push(baseline::host_paths(spec));
            findings.push(baseline::host_ports(spec));
            findings.push(baseline::hosts_of_checks(spec));
            findings.push(baseline::privileged(spec));
            findings.push(baseline::proc_mount(spec));
            findings.push(baseline::se_linux(spec));
            findings.push(baseline::seccomp(spec));
            findings.push(baseline::sysctls(spec));
        }
        // Four checks of the baseline are not asked: stricter ones take their place.
        Level::Restricted => {
            findings.push(baseline::app_armor(spec, annotations));
            findings.push(baseline::host_namespaces(spec));
            findings.push(baseline::host_ports(spec));
            findings.push(baseline::hosts_of_checks(spec));
            findings.push(baseline::privileged(spec));
            findings.push(baseline::se_linux(spec));
            findings.push(baseline::sysctls(spec));
            findings.push(restricted::privilege_escalation(spec));
            findings.push(restricted::capabilities(spec));
            findings.push(baseline::any_proc_mount(spec));
            findings.push(restricted::volumes(spec));
            findings.push(restricted::non_root(spec));
            findings.push(restricted::root_user(spec));
            findings.push(restricted::seccomp(spec));
        }
    }
    let told: Vec<String> = findings
        .into_iter()
        .flatten()
        .map(|finding| match finding.detail.as_str() {
            "" => finding.reason.to_owned(),
            detail => format!("{} ({detail})", finding.reason),
        })
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// `"a", "b"`.
fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = items
        .into_iter()
        .map(|item| format!("\"{}\"", item.as_ref()))
        .collect();
    quoted.join(", ")
}

/// The one word or the other, by how many there are.
fn plural(one: &'static str, many: &'static str, count: usize) -> &'static str {
    match count {
        1 => one,
        _ => many,
    }
}

/// `container "a"`, `containers "a", "b"`.
fn containers(names: &[&str]) -> String {
    format!(
        "{} {}",
        plural("container", "containers", names.len()),
        quoted(names)
    )
}

/// The containers of which something holds.
fn those(spec: &PodSpec, holds: impl Fn(&Container) -> bool) -> Vec<&str> {
    let found = spec.all_containers().filter(|container| holds(container));
    found.map(|container| container.name.as_str()).collect()
}

/// `pod and containers "a", "b"`: who sets something; empty where nobody does.
fn setters(pod_does: bool, names: &[&str]) -> String {
    let mut setters: Vec<String> = pod_does.then(|| "pod".to_owned()).into_iter().collect();
    if !names.is_empty() {
        setters.push(containers(names));
    }
    setters.join(" and ")
}
