//! A Pod and its spec.

use k8s_openapi::api::core::v1;

use super::{container, dns, filled, meta, required, scheduling, security, volume};
use crate::document::Document;
use crate::ident::NodeName;
use crate::names;
use crate::pod::{Pod, PodSpec, ResourceList, RestartPolicy};
use crate::report::Report;
use crate::tree::Path;

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

/// A pod's spec; without one, its containers are what is missing.
pub(super) fn spec(spec: Option<&v1::PodSpec>, path: &Path<'_>, report: &mut Report<'_>) -> Option<PodSpec> {
    let absent = v1::PodSpec::default();
    let spec = spec.unwrap_or(&absent);
    let volumes = volume::volumes(spec.volumes.as_deref(), &path.field("volumes"), report);
    let host_network = spec.host_network.unwrap_or(false);
    let containers = container::containers(
        &spec.containers,
        &container::Surroundings {
            volumes: &volumes,
            host_network,
        },
        &path.field("containers"),
        report,
    );
    security::check_non_root(spec, path, report);
    let restart_policy = restart_policy(filled(&spec.restart_policy), &path.field("restartPolicy"), report);
    let grace_path = path.field("terminationGracePeriodSeconds");
    let termination_grace_period_seconds = match spec.termination_grace_period_seconds {
        None => Some(DEFAULT_GRACE_PERIOD_SECONDS),
        Some(seconds) => grace_period(seconds, &grace_path, report),
    };
    let node_name = filled(&spec.node_name)
        .and_then(|name| required(name, names::dns_subdomain, &path.field("nodeName"), report))
        .and_then(|name| NodeName::new(name).ok());
    let mut label = |name: &Option<String>, field: &str| {
        filled(name)
            .and_then(|name| required(name, names::dns_label, &path.field(field), report))
            .map(str::to_owned)
    };
    let hostname = label(&spec.hostname, "hostname");
    let subdomain = label(&spec.subdomain, "subdomain");
    let resolver = dns::resolver(spec, path, report);
    let aliases = spec.host_aliases.as_deref();
    let host_aliases = dns::host_aliases(aliases, &path.field("hostAliases"), report);
    let node_selector = meta::labels(spec.node_selector.as_ref(), &path.field("nodeSelector"), report);
    let required_node_affinity =
        scheduling::required_affinity(spec.affinity.as_ref(), &path.field("affinity"), report);
    let tolerations =
        scheduling::tolerations(spec.tolerations.as_deref(), &path.field("tolerations"), report);
    let os = os(spec.os.as_ref(), &path.field("os"), report);
    let security = security::pod(
        spec.security_context.as_ref(),
        &path.field("securityContext"),
        report,
    );
    let account = filled(&spec.service_account_name).or(filled(&spec.service_account));
    let service_account_name = account.and_then(|name| {
        required(
            name,
            names::dns_subdomain,
            &path.field("serviceAccountName"),
            report,
        )
    });
    Some(PodSpec {
        init_containers: Vec::new(),
        containers,
        volumes: volumes.sound,
        restart_policy: restart_policy?,
        termination_grace_period_seconds: termination_grace_period_seconds?,
        active_deadline_seconds: None,
        readiness_gates: Vec::new(),
        node_name,
        node_selector,
        required_node_affinity,
        tolerations,
        host_network,
        host_pid: spec.host_pid.unwrap_or(false),
        host_ipc: spec.host_ipc.unwrap_or(false),
        share_process_namespace: false,
        host_users: true,
        runtime_class_name: None,
        priority_class_name: filled(&spec.priority_class_name).map(str::to_owned),
        priority: spec.priority,
        overhead: ResourceList::default(),
        hostname,
        subdomain,
        set_hostname_as_fqdn: spec.set_hostname_as_fqdn.unwrap_or(false),
        host_aliases,
        dns_policy: resolver.policy?,
        dns_config: resolver.config,
        enable_service_links: spec.enable_service_links.unwrap_or(true),
        os,
        security,
        service_account_name: service_account_name.map(str::to_owned),
    })
}

fn restart_policy(text: Option<&str>, path: &Path<'_>, report: &mut Report<'_>) -> Option<RestartPolicy> {
    match text {
        None | Some("Always") => Some(RestartPolicy::Always),
        Some("OnFailure") => Some(RestartPolicy::OnFailure),
        Some("Never") => Some(RestartPolicy::Never),
        Some(other) => {
            report.unsupported(path, other, &["Always", "Never", "OnFailure"]);
            None
        }
    }
}

fn grace_period(seconds: i64, path: &Path<'_>, report: &mut Report<'_>) -> Option<u32> {
    if seconds < 0 {
        report.invalid_value(path, seconds, "must be greater than or equal to 0");
        return None;
    }
    super::within(seconds, 0, i64::from(u32::MAX), path, report)
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
