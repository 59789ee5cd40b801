//! Of which families a Service's addresses are, by what it asks for and what the node has.

use pinnace_api::Cidr;
use pinnace_api::service::{IpFamily, IpFamilyPolicy, ServiceKind, ServiceSpec};

use super::Refusal;

/// The families of a Service, in the order of `ipFamilies`; not asked of an ExternalName.
pub(in crate::network) fn families(spec: &ServiceSpec, cluster: &[Cidr]) -> Result<Vec<IpFamily>, Refusal> {
    let node: Vec<IpFamily> = cluster.iter().map(|range| IpFamily::of(range.first())).collect();
    let mut families = spec.ip_families.clone();
    let is_without_pods = spec.kind == ServiceKind::Headless && spec.selector.is_empty();
    if !is_without_pods {
        check(spec, &node)?;
    }
    if families.is_empty() {
        families.extend(node.first());
    }
    if spec.ip_family_policy != IpFamilyPolicy::SingleStack && families.len() == 1 {
        families.extend(node.iter().find(|family| !families.contains(family)).copied());
    }
    families.retain(|family| node.contains(family));
    Ok(families)
}

fn check(spec: &ServiceSpec, node: &[IpFamily]) -> Result<(), Refusal> {
    let addresses = match &spec.kind {
        ServiceKind::ClusterIp { addresses } | ServiceKind::NodePort { addresses } => addresses.as_slice(),
        ServiceKind::Headless | ServiceKind::ExternalName(_) => &[],
    };
    for (index, family) in spec.ip_families.iter().enumerate() {
        let name = family.as_str();
        if node.contains(family) {
            continue;
        }
        return Err(match addresses.get(index) {
            Some(address) => Refusal {
                field: format!("spec.clusterIPs[{index}]"),
                message: format!("Invalid value: \"{address}\": {name} is not configured on this cluster"),
            },
            None => Refusal {
                field: format!("spec.ipFamilies[{index}]"),
                message: format!("Invalid value: \"{name}\": not configured on this cluster"),
            },
        });
    }
    if spec.ip_family_policy == IpFamilyPolicy::RequireDualStack && node.len() < 2 {
        return Err(Refusal {
            field: "spec.ipFamilyPolicy".to_owned(),
            message:
                "Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services"
                    .to_owned(),
        });
    }
    if node.is_empty() {
        return Err(Refusal {
            field: "spec.clusterIPs".to_owned(),
            message: "failed to allocate a serviceIP: the node has no range for Services (serviceCIDR)"
                .to_owned(),
        });
    }
    Ok(())
}
