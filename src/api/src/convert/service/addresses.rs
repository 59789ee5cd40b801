//! A Service's own addresses, and of which families they are.

use std::net::IpAddr;

use k8s_openapi::api::core::v1;

use super::Type;
use crate::convert::{address, filled};
use crate::report::{Report, quote};
use crate::service::{IpFamily, IpFamilyPolicy};
use crate::tree::Path;

const FOR_EXTERNAL_NAME: &str = "may not be set for ExternalName services";
const NONE: &str = "None";

/// What a manifest says of addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    pub(super) is_headless: bool,
    /// Asked for; a family each.
    pub(super) cluster: Vec<IpAddr>,
    /// Those of `ipFamilies`, and those of the addresses behind them.
    pub(super) families: Vec<IpFamily>,
    /// `None` where it is wrong.
    pub(super) policy: Option<IpFamilyPolicy>,
}

/// Reads `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy`.
pub(super) fn read(
    given: &v1::ServiceSpec,
    kind: Option<Type>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Addresses {
    let list_path = path.field("clusterIPs");
    let texts = texts(given, &list_path, report);
    let families_path = path.field("ipFamilies");
    let policy_path = path.field("ipFamilyPolicy");
    if kind == Some(Type::ExternalName) {
        for (path, is_given) in [
            (&list_path, !texts.is_empty()),
            (
                &families_path,
                given.ip_families.as_ref().is_some_and(|list| !list.is_empty()),
            ),
            (&policy_path, filled(&given.ip_family_policy).is_some()),
        ] {
            if is_given {
                report.forbidden(path, FOR_EXTERNAL_NAME);
            }
        }
        let policy = Some(IpFamilyPolicy::default());
        return Addresses {
            policy,
            ..Addresses::default()
        };
    }
    let is_headless = texts == [NONE];
    if let (true, Some(Type::NodePort | Type::LoadBalancer)) = (is_headless, kind) {
        let name = if kind == Some(Type::NodePort) {
            "NodePort"
        } else {
            "LoadBalancer"
        };
        let detail = format!("may not be set to 'None' for {name} services");
        report.invalid(&list_path.index(0), NONE, detail);
    }
    let mut families = families(given, &families_path, report);
    let policy = policy(filled(&given.ip_family_policy), &policy_path, report);
    let cluster = if is_headless {
        Vec::new()
    } else {
        cluster(&texts, &families, &list_path, report)
    };
    for (many, what) in [
        (cluster.len() > 1, "cluster IPs"),
        (families.len() > 1, "IP families"),
    ] {
        if many && policy == Some(IpFamilyPolicy::SingleStack) {
            let detail =
                format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
            report.invalid(&policy_path, "SingleStack", detail);
        }
    }
    for address in cluster.iter().skip(families.len()) {
        families.push(IpFamily::of(*address));
    }
    Addresses {
        is_headless,
        cluster,
        families,
        policy,
    }
}

/// `clusterIPs`, of which `clusterIP` is the first.
fn texts(given: &v1::ServiceSpec, path: &Path<'_>, report: &mut Report<'_>) -> Vec<String> {
    let list = given.cluster_ips.clone().unwrap_or_default();
    match (filled(&given.cluster_ip), list.first()) {
        (None, None) => {}
        (Some(first), None) => return vec![first.to_owned()],
        (Some(first), Some(listed)) => {
            if first != listed {
                report.invalid_value(path, shown(&list), "first value must match `clusterIP`");
            }
        }
        (None, Some(_)) => {
            let detail = "must be empty when `clusterIP` is not specified";
            report.invalid_value(path, shown(&list), detail);
        }
    }
    list
}

fn shown(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().take(4).map(|text| quote(text)).collect();
    format!("[{}]", texts.join(","))
}

fn families(given: &v1::ServiceSpec, path: &Path<'_>, report: &mut Report<'_>) -> Vec<IpFamily> {
    let mut families = Vec::new();
    for (index, text) in given.ip_families.iter().flatten().enumerate() {
        let path = path.index(index);
        let family = match text.as_str() {
            "IPv4" => IpFamily::Ipv4,
            "IPv6" => IpFamily::Ipv6,
            other => {
                report.unsupported(&path, other, &["IPv4", "IPv6"]);
                continue;
            }
        };
        if families.contains(&family) {
            report.duplicate(&path, text);
        } else {
            families.push(family);
        }
    }
    families
}

fn policy(text: Option<&str>, path: &Path<'_>, report: &mut Report<'_>) -> Option<IpFamilyPolicy> {
    match text {
        None | Some("SingleStack") => Some(IpFamilyPolicy::SingleStack),
        Some("PreferDualStack") => Some(IpFamilyPolicy::PreferDualStack),
        Some("RequireDualStack") => Some(IpFamilyPolicy::RequireDualStack),
        Some(other) => {
            let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
            report.unsupported(path, other, &policies);
            None
        }
    }
}

/// The addresses that are asked for; none where anything is wrong with them.
fn cluster(texts: &[String], families: &[IpFamily], path: &Path<'_>, report: &mut Report<'_>) -> Vec<IpAddr> {
    if texts.len() > 2 {
        report.invalid_value(path, shown(texts), "may only hold up to 2 values");
        return Vec::new();
    }
    let mut addresses = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        if index == 0 && text == NONE {
            report.invalid_value(path, shown(texts), "'None' must be the first and only value");
            continue;
        }
        addresses.extend(address::ip(text, &path.index(index), report));
    }
    if addresses.len() != texts.len() {
        return Vec::new();
    }
    if let [first, second] = addresses.as_slice()
        && IpFamily::of(*first) == IpFamily::of(*second)
    {
        let detail = "may specify no more than one IP for each IP family";
        report.invalid_value(path, shown(texts), detail);
    }
    for (index, (address, family)) in addresses.iter().zip(families).enumerate() {
        if IpFamily::of(*address) != *family {
            let detail = format!(
                "expected an {} value as indicated by `ipFamilies[{index}]`",
                family.as_str()
            );
            report.invalid(&path.index(index), &texts[index], detail);
        }
    }
    addresses
}
