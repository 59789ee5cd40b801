//! A Pod and its spec.

use k8s_openapi::api::core::v1;

use super::{
    container, dns, filled, meta, required, resources, restart, scheduling, security, volume, within,
};
use crate::document::Document;
use crate::ident::NodeName;
use crate::names;
use crate::pod::{Pod, PodSpec, RestartPolicy};
use crate::report::Report;
use crate::tree::Path;

/// Bytes that the kernel takes of a host's name.
const MOST_HOSTNAME_BYTES: usize = 64;

const DEFAULT_GRACE_PERIOD_SECONDS: u32 = 30;

/// A pod of a manifest.
pub(crate) fn pod(pod: &v1::Pod, document: Document, report: &mut Report<'_>) -> Option<Pod> {
    let meta = meta::metadata(&pod.metadata, &Path::Root.field("metadata"), report);
    let spec = spec(pod.spec.as_ref(), &Path::Root.field("spec"), report);
    Some(Pod {
        meta: meta?,
        spec: spec?,
        document,
    })
}

/// A PodTemplate is checked as what is made of it would be.
pub(crate) fn pod_template(given: &v1::PodTemplate, report: &mut Report<'_>) {
    let path = Path::Root.field("template");
    let template = given.template.clone().unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    let meta_path = path.field("metadata");
    meta::labels(metadata.labels.as_ref(), &meta_path.field("labels"), report);
    let annotations_path = meta_path.field("annotations");
    meta::annotations(metadata.annotations.as_ref(), &annotations_path, report);
    spec(template.spec.as_ref(), &path.field("spec"), report);
}

/// A pod's spec; without one, its containers are what is missing.
pub(super) fn spec(spec: Option<&v1::PodSpec>, path: &Path<'_>, report: &mut Report<'_>) -> Option<PodSpec> {
    let absent = v1::PodSpec::default();
    let spec = spec.unwrap_or(&absent);
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let container_names: Vec<&str> = all.map(|container| container.name.as_str()).collect();
    let volumes_path = path.field("volumes");
    let volumes = volume::volumes(spec.volumes.as_deref(), &container_names, &volumes_path, report);
    let restart_policy = match filled(&spec.restart_policy) {
        None => Some(RestartPolicy::Always),
        Some(text) => restart::named(text, &path.field("restartPolicy"), report),
    };
    let times = times(spec, path, report);
    let os = os(spec.os.as_ref(), &path.field("os"), report);
    let host_users = spec.host_users.unwrap_or(true);
    let surroundings = container::Surroundings {
        containers: &container_names,
        volumes: &volumes,
        host_network: spec.host_network.unwrap_or(false),
        host_users,
        os: os.as_deref(),
        restart_policy,
        grace_period_seconds: times.grace_period_seconds,
    };
    let (init_containers, containers) = container::all(spec, &surroundings, path, report);
    check_namespaces(spec, path, report);
    check_windows(spec, path, report);
    let names = names(spec, path, report);
    let resolver = dns::resolver(spec, path, report);
    let aliases = spec.host_aliases.as_deref();
    let host_aliases = dns::host_aliases(aliases, &path.field("hostAliases"), report);
    let node_selector = meta::labels(spec.node_selector.as_ref(), &path.field("nodeSelector"), report);
    let affinity_path = path.field("affinity");
    let required_node_affinity =
        scheduling::required_affinity(spec.affinity.as_ref(), &affinity_path, report);
    let tolerations_path = path.field("tolerations");
    let tolerations = scheduling::tolerations(spec.tolerations.as_deref(), &tolerations_path, report);
    let security = security::pod(spec, &path.field("securityContext"), report);
    Some(PodSpec {
        init_containers,
        containers,
        volumes: volumes.sound,
        restart_policy: restart_policy?,
        termination_grace_period_seconds: times.grace_period_seconds?,
        active_deadline_seconds: times.active_deadline_seconds,
        scheduling_gates: scheduling_gates(spec, path, report),
        readiness_gates: readiness_gates(spec, &path.field("readinessGates"), report),
        node_name: names.node,
        node_selector,
        required_node_affinity,
        tolerations,
        host_network: spec.host_network.unwrap_or(false),
        host_pid: spec.host_pid.unwrap_or(false),
        host_ipc: spec.host_ipc.unwrap_or(false),
        share_process_namespace: spec.share_process_namespace.unwrap_or(false),
        host_users,
        runtime_class_name: names.runtime_class,
        priority_class_name: names.priority_class,
        priority: spec.priority,
        overhead: resources::overhead(spec.overhead.as_ref(), &path.field("overhead"), report),
        hostname: names.host,
        hostname_override: hostname_override(spec, &path.field("hostnameOverride"), report),
        subdomain: names.subdomain,
        set_hostname_as_fqdn: spec.set_hostname_as_fqdn.unwrap_or(false),
        host_aliases,
        dns_policy: resolver.policy?,
        dns_config: resolver.config,
        enable_service_links: spec.enable_service_links.unwrap_or(true),
        os,
        security,
        service_account_name: names.service_account,
    })
}

struct Times {
    grace_period_seconds: Option<u32>,
    active_deadline_seconds: Option<u64>,
}

fn times(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> Times {
    let grace_path = path.field("terminationGracePeriodSeconds");
    let grace_period_seconds = match spec.termination_grace_period_seconds {
        None => Some(DEFAULT_GRACE_PERIOD_SECONDS),
        Some(seconds) if seconds < 0 => {
            report.invalid_value(&grace_path, seconds, "must be greater than or equal to 0");
            None
        }
        Some(seconds) => within(seconds, 0, i64::from(u32::MAX), &grace_path, report),
    };
    let deadline_path = path.field("activeDeadlineSeconds");
    let deadline = spec.active_deadline_seconds;
    Times {
        grace_period_seconds,
        active_deadline_seconds: deadline
            .and_then(|seconds| within(seconds, 1, i32::MAX.into(), &deadline_path, report)),
    }
}

/// What the spec names, each name checked; `None` where it is absent or wrong.
struct Names {
    node: Option<NodeName>,
    host: Option<String>,
    subdomain: Option<String>,
    runtime_class: Option<String>,
    priority_class: Option<String>,
    service_account: Option<String>,
}

fn names(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> Names {
    let mut checked = |name: Option<&str>, rule: fn(&str) -> Vec<String>, field: &str| {
        required(name?, rule, &path.field(field), report).map(str::to_owned)
    };
    let account = filled(&spec.service_account_name).or(filled(&spec.service_account));
    let node = checked(filled(&spec.node_name), names::dns_subdomain, "nodeName");
    Names {
        node: node.and_then(|name| NodeName::new(name).ok()),
        host: checked(filled(&spec.hostname), names::dns_label, "hostname"),
        subdomain: checked(filled(&spec.subdomain), names::dns_label, "subdomain"),
        runtime_class: checked(
            filled(&spec.runtime_class_name),
            names::dns_subdomain,
            "runtimeClassName",
        ),
        priority_class: checked(
            filled(&spec.priority_class_name),
            names::dns_subdomain,
            "priorityClassName",
        ),
        service_account: checked(account, names::dns_subdomain, "serviceAccountName"),
    }
}

/// Which of the host's namespaces go with which of the pod's own.
fn check_namespaces(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) {
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        report.invalid_value(&path.field("shareProcessNamespace"), true, why);
    }
    if spec.host_users != Some(false) {
        return;
    }
    let shared = [
        ("hostNetwork", spec.host_network),
        ("hostPID", spec.host_pid),
        ("hostIPC", spec.host_ipc),
    ];
    for (field, _) in shared.iter().filter(|(_, given)| *given == Some(true)) {
        report.forbidden(&path.field(field), "when `pod.Spec.HostUsers` is false");
    }
}

/// What concerns Windows goes with no pod of Linux.
fn check_windows(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) {
    if spec.os.as_ref().is_none_or(|os| os.name != "linux") {
        return;
    }
    let why = "windows options cannot be set for a linux pod";
    let context = spec.security_context.as_ref();
    if context.is_some_and(|context| context.windows_options.is_some()) {
        report.forbidden(&path.field("securityContext").field("windowsOptions"), why);
    }
    for (list, containers) in [
        (
            "initContainers",
            spec.init_containers.as_deref().unwrap_or_default(),
        ),
        ("containers", &spec.containers),
    ] {
        let path = path.field(list);
        for (index, container) in containers.iter().enumerate() {
            let context = container.security_context.as_ref();
            if context.is_some_and(|context| context.windows_options.is_some()) {
                let item_path = path.index(index);
                let context_path = item_path.field("securityContext");
                report.forbidden(&context_path.field("windowsOptions"), why);
            }
        }
    }
}

/// What the pod calls itself, whatever else names it.
fn hostname_override(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
    let name = required(
        filled(&spec.hostname_override)?,
        names::dns_subdomain,
        path,
        report,
    )?;
    if name.len() > MOST_HOSTNAME_BYTES {
        report.too_long(path, MOST_HOSTNAME_BYTES);
    }
    for (field, given) in [
        ("setHostnameAsFQDN", spec.set_hostname_as_fqdn),
        ("hostNetwork", spec.host_network),
    ] {
        if given == Some(true) {
            report.forbidden(path, &format!("may not be set when `{field}` is true"));
        }
    }
    Some(name.to_owned())
}

/// What keeps the pod from being scheduled; a pod that names its node is scheduled already.
fn scheduling_gates(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> Vec<String> {
    let gates_path = path.field("schedulingGates");
    let mut gates: Vec<String> = Vec::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let path = gates_path.index(index);
        let wrong = names::qualified_name(&gate.name);
        if !super::sound(&gate.name, &wrong, &path.field("name"), report) {
            continue;
        }
        if gates.contains(&gate.name) {
            report.duplicate(&path.field("name"), &gate.name);
        }
        gates.push(gate.name.clone());
    }
    if !gates.is_empty() && filled(&spec.node_name).is_some() {
        let why = "cannot be set until all schedulingGates have been cleared";
        report.forbidden(&path.field("nodeName"), why);
    }
    gates
}

fn readiness_gates(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut gates = Vec::new();
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let item_path = path.index(index);
        let path = item_path.field("conditionType");
        gates.extend(required(&gate.condition_type, names::qualified_name, &path, report).map(str::to_owned));
    }
    gates
}

fn os(os: Option<&v1::PodOS>, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
    let name = os?.name.as_str();
    match name {
        "" => report.required(&path.field("name"), ""),
        "linux" | "windows" => return Some(name.to_owned()),
        _ => report.unsupported(&path.field("name"), name, &["linux", "windows"]),
    }
    None
}
