//! The checks of the level `restricted`, beside those of the baseline.

use std::collections::BTreeSet;

use pinnace_api::pod::{Container, PodSpec, SeccompProfile, VolumeSource};

use super::{Finding, containers, plural, quoted, setters, those};

/// Pods of another system are exempt from what only Linux has.
fn is_of_windows(spec: &PodSpec) -> bool {
    spec.os.as_deref() == Some("windows")
}

pub(super) fn privilege_escalation(spec: &PodSpec) -> Option<Finding> {
    let bad = those(spec, |container| !container.security.no_new_privileges);
    (!bad.is_empty() && !is_of_windows(spec)).then(|| {
        let detail = format!(
            "{} must set securityContext.allowPrivilegeEscalation=false",
            containers(&bad)
        );
        Finding::new("allowPrivilegeEscalation != false", detail)
    })
}

pub(super) fn capabilities(spec: &PodSpec) -> Option<Finding> {
    let drops_all = |container: &Container| {
        container
            .security
            .capabilities_drop
            .iter()
            .any(|name| name == "ALL")
    };
    let forbidden = |container: &Container| -> Vec<String> {
        let added = container.security.capabilities_add.iter();
        added
            .filter(|name| *name != "NET_BIND_SERVICE")
            .cloned()
            .collect()
    };
    let keeping = those(spec, |container| !drops_all(container));
    let adding = those(spec, |container| !forbidden(container).is_empty());
    let names: BTreeSet<String> = spec.all_containers().flat_map(forbidden).collect();
    let mut details = Vec::new();
    if !keeping.is_empty() {
        let who = containers(&keeping);
        details.push(format!(
            "{who} must set securityContext.capabilities.drop=[\"ALL\"]"
        ));
    }
    if !adding.is_empty() {
        let who = containers(&adding);
        let names = quoted(names);
        details.push(format!(
            "{who} must not include {names} in securityContext.capabilities.add"
        ));
    }
    (!details.is_empty() && !is_of_windows(spec))
        .then(|| Finding::new("unrestricted capabilities", details.join("; ")))
}

pub(super) fn volumes(spec: &PodSpec) -> Option<Finding> {
    // Of the kinds that this node takes, hostPath alone is restricted.
    let of_host = spec
        .volumes
        .iter()
        .filter(|volume| matches!(volume.source, VolumeSource::HostPath { .. }));
    let names: Vec<&str> = of_host.map(|volume| volume.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} restricted volume type \"hostPath\"",
            plural("volume", "volumes", names.len()),
            quoted(&names),
            plural("uses", "use", names.len()),
        );
        Finding::new("restricted volume types", detail)
    })
}

pub(super) fn non_root(spec: &PodSpec) -> Option<Finding> {
    const REASON: &str = "runAsNonRoot != true";
    if !spec.host_users {
        return None;
    }
    let of_pod = spec.security.run_as_non_root;
    let saying_no = those(spec, |container| {
        container.security.run_as_non_root == Some(false)
    });
    let who = setters(of_pod == Some(false), &saying_no);
    if !who.is_empty() {
        let detail = format!("{who} must not set securityContext.runAsNonRoot=false");
        return Some(Finding::new(REASON, detail));
    }
    let silent = those(spec, |container| container.security.run_as_non_root.is_none());
    (of_pod != Some(true) && !silent.is_empty()).then(|| {
        let detail = format!(
            "pod or {} must set securityContext.runAsNonRoot=true",
            containers(&silent)
        );
        Finding::new(REASON, detail)
    })
}

pub(super) fn root_user(spec: &PodSpec) -> Option<Finding> {
    let bad = those(spec, |container| container.security.run_as_user == Some(0));
    let who = setters(spec.security.run_as_user == Some(0), &bad);
    (!who.is_empty() && spec.host_users)
        .then(|| Finding::new("runAsUser=0", format!("{who} must not set runAsUser=0")))
}

pub(super) fn seccomp(spec: &PodSpec) -> Option<Finding> {
    const REASON: &str = "seccompProfile";
    if is_of_windows(spec) {
        return None;
    }
    if let Some(unconfined) = super::baseline::seccomp(spec) {
        return Some(unconfined);
    }
    let of_pod: &Option<SeccompProfile> = &spec.security.seccomp;
    let silent = those(spec, |container| container.security.seccomp.is_none());
    (of_pod.is_none() && !silent.is_empty()).then(|| {
        let detail = format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            containers(&silent)
        );
        Finding::new(REASON, detail)
    })
}
