//! A Service.
//!
//! What an API server decides when it allocates (whether a cluster has both families, whether an address is
//! free) is decided by the node; here is what the document alone tells.

mod addresses;
mod balancer;
mod ports;

use std::time::Duration;

use k8s_openapi::api::core::v1;

use super::{filled, meta, sound};
use crate::document::Document;
use crate::names;
use crate::report::Report;
use crate::service::{Service, ServiceKind, ServiceSpec};
use crate::tree::Path;

const DEFAULT_AFFINITY_SECONDS: i32 = 10_800;
const MOST_AFFINITY_SECONDS: i32 = 86_400;

/// `type` of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    ClusterIp,
    NodePort,
    LoadBalancer,
    ExternalName,
}

/// A Service of a manifest.
pub(crate) fn service(given: &v1::Service, document: Document, report: &mut Report<'_>) -> Option<Service> {
    let path = Path::Root.field("metadata");
    let meta = meta::metadata_named(&given.metadata, names::dns_1035_label, &path, report);
    let absent = v1::ServiceSpec::default();
    let spec = spec(
        given.spec.as_ref().unwrap_or(&absent),
        &Path::Root.field("spec"),
        report,
    );
    Some(Service {
        meta: meta?,
        spec: spec?,
        document,
    })
}

fn spec(given: &v1::ServiceSpec, path: &Path<'_>, report: &mut Report<'_>) -> Option<ServiceSpec> {
    let kind = kind(filled(&given.type_), &path.field("type"), report);
    let addresses = addresses::read(given, kind, path, report);
    let is_headless = addresses.is_headless;
    let may_lack_ports = is_headless || matches!(kind, Some(Type::ExternalName) | None);
    let ports = ports::read(given, kind, may_lack_ports, path, report);
    let selector = meta::labels(given.selector.as_ref(), &path.field("selector"), report);
    let client_ip_affinity = affinity(given, path, report);
    let external_path = path.field("externalIPs");
    let mut external_ips = Vec::new();
    for (index, text) in given.external_ips.iter().flatten().enumerate() {
        external_ips.extend(super::address::reachable_ip(
            text,
            &external_path.index(index),
            report,
        ));
    }
    let external_name = external_name(given, kind, &path.field("externalName"), report);
    balancer::check(given, kind, path, report);
    let cluster = addresses.cluster;
    let service_kind = match kind? {
        Type::ExternalName => ServiceKind::ExternalName(external_name?),
        _ if is_headless => ServiceKind::Headless,
        Type::NodePort => ServiceKind::NodePort { addresses: cluster },
        Type::LoadBalancer if balancer::has_node_ports(given) => ServiceKind::NodePort { addresses: cluster },
        Type::ClusterIp | Type::LoadBalancer => ServiceKind::ClusterIp { addresses: cluster },
    };
    Some(ServiceSpec {
        kind: service_kind,
        selector,
        ports,
        client_ip_affinity,
        publish_not_ready_addresses: given.publish_not_ready_addresses.unwrap_or(false),
        external_ips,
        ip_families: addresses.families,
        ip_family_policy: addresses.policy?,
    })
}

fn kind(text: Option<&str>, path: &Path<'_>, report: &mut Report<'_>) -> Option<Type> {
    match text {
        None | Some("ClusterIP") => Some(Type::ClusterIp),
        Some("NodePort") => Some(Type::NodePort),
        Some("ExternalName") => Some(Type::ExternalName),
        Some("LoadBalancer") => {
            report.warn(
                path,
                "there is no load balancer here: the Service is served as a NodePort",
            );
            Some(Type::LoadBalancer)
        }
        Some(other) => {
            let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
            report.unsupported(path, other, &types);
            None
        }
    }
}

/// The other name, without the dot at its end.
fn external_name(
    given: &v1::ServiceSpec,
    kind: Option<Type>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<String> {
    if kind != Some(Type::ExternalName) {
        return None;
    }
    let given = given.external_name.as_deref().unwrap_or_default();
    let name = given.strip_suffix('.').unwrap_or(given);
    if name.is_empty() {
        report.required(path, "");
        return None;
    }
    sound(given, &names::dns_subdomain(name), path, report).then(|| name.to_owned())
}

/// How long a client stays with its endpoint.
fn affinity(given: &v1::ServiceSpec, path: &Path<'_>, report: &mut Report<'_>) -> Option<Duration> {
    match filled(&given.session_affinity) {
        None | Some("None") => None,
        Some("ClientIP") => {
            let config = given.session_affinity_config.as_ref();
            let seconds = config
                .and_then(|config| config.client_ip.as_ref())
                .and_then(|config| config.timeout_seconds)
                .unwrap_or(DEFAULT_AFFINITY_SECONDS);
            if (1..=MOST_AFFINITY_SECONDS).contains(&seconds) {
                return Some(Duration::from_secs(u64::from(seconds.unsigned_abs())));
            }
            let path = path.field("sessionAffinityConfig");
            let path = path.field("clientIP");
            let detail = format!("must be greater than 0 and less than {MOST_AFFINITY_SECONDS}");
            report.invalid_value(&path.field("timeoutSeconds"), seconds, detail);
            None
        }
        Some(other) => {
            report.unsupported(&path.field("sessionAffinity"), other, &["ClientIP", "None"]);
            None
        }
    }
}
