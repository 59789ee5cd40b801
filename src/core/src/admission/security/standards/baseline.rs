//! The checks of the level `baseline`.

use std::collections::{BTreeMap, BTreeSet};

use pinnace_api::pod::{
    AppArmorProfile, Container, Hook, PodSpec, Probe, ProbeAction, SeLinuxOptions, SeccompProfile,
    VolumeSource,
};

use super::super::sysctls;
use super::{Finding, containers, plural, quoted, setters, those};

const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const SE_LINUX_TYPES: [&str; 5] = [
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

pub(super) fn app_armor(spec: &PodSpec, annotations: &BTreeMap<String, String>) -> Option<Finding> {
    let is_bad = |profile: &Option<AppArmorProfile>| *profile == Some(AppArmorProfile::Unconfined);
    let pod_does = is_bad(&spec.security.app_armor);
    let bad = those(spec, |container| is_bad(&container.security.app_armor));
    let of_annotations: BTreeSet<String> = annotations
        .iter()
        .filter(|(name, value)| {
            let allowed = value.is_empty() || *value == "runtime/default" || value.starts_with("localhost/");
            name.starts_with(APP_ARMOR_ANNOTATION) && !allowed
        })
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let mut who = setters(pod_does, &bad);
    let mut values: Vec<String> = (!who.is_empty())
        .then(|| "Unconfined".to_owned())
        .into_iter()
        .collect();
    if !of_annotations.is_empty() {
        let annotations = plural("annotation", "annotations", of_annotations.len());
        who = match who.as_str() {
            "" => annotations.to_owned(),
            who => format!("{who} and {annotations}"),
        };
    }
    values.extend(of_annotations);
    (!values.is_empty()).then(|| {
        let reason = plural(
            "forbidden AppArmor profile",
            "forbidden AppArmor profiles",
            values.len(),
        );
        Finding::new(
            reason,
            format!("{who} must not set AppArmor profile type to {}", quoted(values)),
        )
    })
}

pub(super) fn capabilities(spec: &PodSpec) -> Option<Finding> {
    let forbidden = |container: &Container| -> Vec<String> {
        let added = container.security.capabilities_add.iter();
        added
            .filter(|name| !CAPABILITIES.contains(&name.as_str()))
            .cloned()
            .collect()
    };
    let bad = those(spec, |container| !forbidden(container).is_empty());
    let names: BTreeSet<String> = spec.all_containers().flat_map(forbidden).collect();
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&bad),
            quoted(names)
        );
        Finding::new("non-default capabilities", detail)
    })
}

pub(super) fn host_namespaces(spec: &PodSpec) -> Option<Finding> {
    let shared = [
        ("hostNetwork=true", spec.host_network),
        ("hostPID=true", spec.host_pid),
        ("hostIPC=true", spec.host_ipc),
    ];
    let shared: Vec<&str> = shared
        .iter()
        .filter(|(_, is)| *is)
        .map(|(word, _)| *word)
        .collect();
    (!shared.is_empty()).then(|| Finding::new("host namespaces", shared.join(", ")))
}

pub(super) fn host_paths(spec: &PodSpec) -> Option<Finding> {
    let of_host = spec
        .volumes
        .iter()
        .filter(|volume| matches!(volume.source, VolumeSource::HostPath { .. }));
    let names: Vec<&str> = of_host.map(|volume| volume.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        let volumes = plural("volume", "volumes", names.len());
        Finding::new("hostPath volumes", format!("{volumes} {}", quoted(names)))
    })
}

pub(super) fn host_ports(spec: &PodSpec) -> Option<Finding> {
    let ports = |container: &Container| -> Vec<String> {
        let ports = container.ports.iter().filter_map(|port| port.host_port);
        ports.map(|port| port.to_string()).collect()
    };
    let bad = those(spec, |container| !ports(container).is_empty());
    // In the order of their letters, as Kubernetes tells them.
    let all: BTreeSet<String> = spec.all_containers().flat_map(ports).collect();
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} {}",
            containers(&bad),
            plural("uses", "use", bad.len()),
            plural("hostPort", "hostPorts", all.len()),
            all.into_iter().collect::<Vec<_>>().join(", ")
        );
        Finding::new("hostPort", detail)
    })
}

/// Probes and hooks that ask another host than the pod.
pub(super) fn hosts_of_checks(spec: &PodSpec) -> Option<Finding> {
    let bad: BTreeSet<&str> = those(spec, |container| !hosts(container).is_empty())
        .into_iter()
        .collect();
    let all: BTreeSet<String> = spec.all_containers().flat_map(hosts).collect();
    let bad: Vec<&str> = bad.into_iter().collect();
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} {} {} {}",
            containers(&bad),
            plural("uses", "use", bad.len()),
            plural("probe or lifecycle host", "probe or lifecycle hosts", all.len()),
            quoted(all)
        );
        Finding::new("probe or lifecycle host", detail)
    })
}

fn hosts(container: &Container) -> Vec<String> {
    let of_probe = |probe: &Option<Probe>| match probe.as_ref().map(|probe| &probe.action) {
        Some(ProbeAction::HttpGet(get)) => get.host.clone(),
        Some(ProbeAction::TcpSocket(socket)) => socket.host.clone(),
        _ => None,
    };
    let of_hook = |hook: &Option<Hook>| match hook {
        Some(Hook::HttpGet(get)) => get.host.clone(),
        Some(Hook::TcpSocket(socket)) => socket.host.clone(),
        _ => None,
    };
    let (probes, hooks) = (&container.probes, &container.lifecycle);
    let all = [
        of_probe(&probes.liveness),
        of_probe(&probes.readiness),
        of_probe(&probes.startup),
        of_hook(&hooks.post_start),
        of_hook(&hooks.pre_stop),
    ];
    all.into_iter()
        .flatten()
        .filter(|host| !host.is_empty())
        .collect()
}

pub(super) fn privileged(spec: &PodSpec) -> Option<Finding> {
    let bad = those(spec, |container| container.security.privileged);
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} must not set securityContext.privileged=true",
            containers(&bad)
        );
        Finding::new("privileged", detail)
    })
}

/// A pod with a user namespace of its own may see all of `/proc`.
pub(super) fn proc_mount(spec: &PodSpec) -> Option<Finding> {
    any_proc_mount(spec).filter(|_| spec.host_users)
}

pub(super) fn any_proc_mount(spec: &PodSpec) -> Option<Finding> {
    let bad = those(spec, |container| container.security.unmasked_proc);
    (!bad.is_empty()).then(|| {
        let detail = format!(
            "{} must not set securityContext.procMount to \"Unmasked\"",
            containers(&bad)
        );
        Finding::new("procMount", detail)
    })
}

pub(super) fn se_linux(spec: &PodSpec) -> Option<Finding> {
    let is_bad = |options: &Option<SeLinuxOptions>| {
        options.as_ref().is_some_and(|options| {
            let kind = SE_LINUX_TYPES.contains(&options.kind.as_str());
            !kind || !options.user.is_empty() || !options.role.is_empty()
        })
    };
    let bad = those(spec, |container| is_bad(&container.security.se_linux));
    let who = setters(is_bad(&spec.security.se_linux), &bad);
    let all = std::iter::once(&spec.security.se_linux)
        .chain(
            spec.all_containers()
                .map(|container| &container.security.se_linux),
        )
        .flatten();
    let types: BTreeSet<&str> = all
        .clone()
        .map(|options| options.kind.as_str())
        .filter(|kind| !SE_LINUX_TYPES.contains(kind))
        .collect();
    let mut what = Vec::new();
    if !types.is_empty() {
        what.push(format!(
            "{} {}",
            plural("type", "types", types.len()),
            quoted(types)
        ));
    }
    if all.clone().any(|options| !options.user.is_empty()) {
        what.push("user may not be set".to_owned());
    }
    if all.clone().any(|options| !options.role.is_empty()) {
        what.push("role may not be set".to_owned());
    }
    (!who.is_empty()).then(|| {
        let detail = format!(
            "{who} set forbidden securityContext.seLinuxOptions: {}",
            what.join("; ")
        );
        Finding::new("seLinuxOptions", detail)
    })
}

pub(super) fn seccomp(spec: &PodSpec) -> Option<Finding> {
    let is_bad = |profile: &Option<SeccompProfile>| *profile == Some(SeccompProfile::Unconfined);
    let bad = those(spec, |container| is_bad(&container.security.seccomp));
    let who = setters(is_bad(&spec.security.seccomp), &bad);
    (!who.is_empty()).then(|| {
        let detail = format!("{who} must not set securityContext.seccompProfile.type to \"Unconfined\"");
        Finding::new("seccompProfile", detail)
    })
}

pub(super) fn sysctls(spec: &PodSpec) -> Option<Finding> {
    let asked = spec.security.sysctls.iter().map(|(name, _)| name.as_str());
    let forbidden: Vec<&str> = asked.filter(|name| !sysctls::SAFE.contains(name)).collect();
    (!forbidden.is_empty()).then(|| Finding::new("forbidden sysctls", forbidden.join(", ")))
}
