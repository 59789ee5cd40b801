//! How a Service is reached from outside: fields of load balancers, and of traffic's way.

use k8s_openapi::api::core::v1;

use super::Type;
use crate::convert::{address, filled, sound};
use crate::names;
use crate::report::Report;
use crate::tree::Path;

const FOR_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";
const POLICIES: [&str; 2] = ["Cluster", "Local"];

/// Checks what has no effect on one node, by Kubernetes' rules all the same.
pub(super) fn check(given: &v1::ServiceSpec, kind: Option<Type>, path: &Path<'_>, report: &mut Report<'_>) {
    let Some(kind) = kind else { return };
    let is_balancer = kind == Type::LoadBalancer;
    check_balancer(given, is_balancer, path, report);
    let has_external_ips = given.external_ips.as_ref().is_some_and(|list| !list.is_empty());
    let is_accessible = match kind {
        Type::LoadBalancer | Type::NodePort => true,
        Type::ClusterIp => has_external_ips,
        Type::ExternalName => false,
    };
    let external = filled(&given.external_traffic_policy);
    let external_path = path.field("externalTrafficPolicy");
    match external {
        Some(policy) if !is_accessible => {
            let detail = "may only be set for externally-accessible services";
            report.invalid(&external_path, policy, detail);
        }
        Some(policy) if !POLICIES.contains(&policy) => report.unsupported(&external_path, policy, &POLICIES),
        _ => {}
    }
    if let Some(policy) = filled(&given.internal_traffic_policy)
        && !POLICIES.contains(&policy)
    {
        report.unsupported(&path.field("internalTrafficPolicy"), policy, &POLICIES);
    }
    check_health_port(given, is_balancer && external == Some("Local"), path, report);
    if let Some(distribution) = filled(&given.traffic_distribution) {
        let known = ["PreferClose", "PreferSameNode", "PreferSameZone"];
        if !known.contains(&distribution) {
            report.unsupported(&path.field("trafficDistribution"), distribution, &known);
        }
    }
}

fn check_balancer(given: &v1::ServiceSpec, is_balancer: bool, path: &Path<'_>, report: &mut Report<'_>) {
    let ranges_path = path.field("loadBalancerSourceRanges");
    let ranges = given.load_balancer_source_ranges.as_deref().unwrap_or_default();
    if !ranges.is_empty() && !is_balancer {
        report.forbidden(&ranges_path, FOR_BALANCERS);
    }
    for (index, range) in ranges.iter().enumerate() {
        address::cidr(range.trim(), &ranges_path.index(index), report);
    }
    if given.allocate_load_balancer_node_ports.is_some() && !is_balancer {
        report.forbidden(&path.field("allocateLoadBalancerNodePorts"), FOR_BALANCERS);
    }
    if let Some(class) = &given.load_balancer_class {
        let path = path.field("loadBalancerClass");
        if is_balancer {
            sound(class, &names::qualified_name(class), &path, report);
        } else {
            report.forbidden(&path, FOR_BALANCERS);
        }
    }
}

fn check_health_port(given: &v1::ServiceSpec, may_be: bool, path: &Path<'_>, report: &mut Report<'_>) {
    let path = path.field("healthCheckNodePort");
    match given.health_check_node_port {
        None | Some(0) => {}
        Some(port) if !may_be => {
            let detail =
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            report.invalid_value(&path, port, detail);
        }
        Some(port) => {
            crate::convert::within::<u16>(i64::from(port), 1, 65_535, &path, report);
        }
    }
}

/// Whether a load balancer would send to ports of the node, which serve it without one too.
pub(super) fn has_node_ports(given: &v1::ServiceSpec) -> bool {
    let asks = |port: &v1::ServicePort| port.node_port.is_some_and(|port| port != 0);
    given.allocate_load_balancer_node_ports.unwrap_or(true) || given.ports.iter().flatten().any(asks)
}
