//! A NetworkPolicy.

use k8s_openapi::api::networking::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as Given;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{address, filled, meta, ports, selector, sound, within};
use crate::cidr::Cidr;
use crate::document::Document;
use crate::label_selector::LabelSelector;
use crate::names;
use crate::network_policy::{NetworkPolicy, PolicyPeer, PolicyPort, PolicyPortNumber, PolicyRule};
use crate::report::Report;
use crate::tree::Path;

/// A NetworkPolicy of a manifest.
pub(crate) fn network_policy(
    given: &v1::NetworkPolicy,
    document: Document,
    report: &mut Report<'_>,
) -> Option<NetworkPolicy> {
    let meta = meta::metadata(&given.metadata, &Path::Root.field("metadata"), report);
    let absent = v1::NetworkPolicySpec::default();
    let spec = given.spec.as_ref().unwrap_or(&absent);
    let path = Path::Root.field("spec");
    let pod_selector = labels(spec.pod_selector.as_ref(), &path.field("podSelector"), report);
    let mut ingress = Vec::new();
    for (index, rule) in spec.ingress.iter().flatten().enumerate() {
        let list = path.field("ingress");
        let sides = (rule.from.as_deref(), rule.ports.as_deref());
        ingress.push(self::rule(sides, "from", &list.index(index), report));
    }
    let mut egress = Vec::new();
    for (index, rule) in spec.egress.iter().flatten().enumerate() {
        let list = path.field("egress");
        let sides = (rule.to.as_deref(), rule.ports.as_deref());
        egress.push(self::rule(sides, "to", &list.index(index), report));
    }
    let types = spec.policy_types.as_deref().unwrap_or_default();
    check_types(types, &path.field("policyTypes"), report);
    let names = |direction: &str| types.iter().any(|given| given == direction);
    let isolates_ingress = types.is_empty() || names("Ingress");
    let isolates_egress = names("Egress") || types.is_empty() && !egress.is_empty();
    Some(NetworkPolicy {
        meta: meta?,
        pod_selector: pod_selector?,
        ingress: isolates_ingress.then_some(ingress),
        egress: isolates_egress.then_some(egress),
        document,
    })
}

fn check_types(types: &[String], path: &Path<'_>, report: &mut Report<'_>) {
    if types.len() > 2 {
        let shown = serde_json::json!(types);
        report.invalid_value(path, shown, "may not specify more than two policyTypes");
        return;
    }
    for (index, given) in types.iter().enumerate() {
        if !matches!(given.as_str(), "Ingress" | "Egress") {
            report.unsupported(&path.index(index), given, &["Ingress", "Egress"]);
        }
    }
}

/// A selector; one that is not there selects everything.
fn labels(given: Option<&Given>, path: &Path<'_>, report: &mut Report<'_>) -> Option<LabelSelector> {
    match given {
        None => Some(LabelSelector::default()),
        Some(given) => selector::convert(given, path, report),
    }
}

type Sides<'g> = (
    Option<&'g [v1::NetworkPolicyPeer]>,
    Option<&'g [v1::NetworkPolicyPort]>,
);

/// A rule; what is wrong within it is reported.
fn rule((peers, ports): Sides<'_>, side: &str, path: &Path<'_>, report: &mut Report<'_>) -> PolicyRule {
    let ports_path = path.field("ports");
    let peers_path = path.field(side);
    let mut rule = PolicyRule {
        peers: Vec::new(),
        ports: Vec::new(),
    };
    for (index, given) in ports.unwrap_or_default().iter().enumerate() {
        rule.ports.extend(port(given, &ports_path.index(index), report));
    }
    for (index, given) in peers.unwrap_or_default().iter().enumerate() {
        rule.peers.extend(peer(given, &peers_path.index(index), report));
    }
    rule
}

fn port(given: &v1::NetworkPolicyPort, path: &Path<'_>, report: &mut Report<'_>) -> Option<PolicyPort> {
    let protocol = ports::protocol(filled(&given.protocol), &path.field("protocol"), report);
    let (port_path, end_path) = (path.field("port"), path.field("endPort"));
    let refuse_end = |why: &str, report: &mut Report<'_>| {
        if let Some(end) = given.end_port {
            report.invalid_value(&end_path, end, why);
        }
    };
    let port = match &given.port {
        None => {
            refuse_end("may not be specified when `port` is not specified", report);
            None
        }
        Some(IntOrString::Int(number)) => {
            let first = within(i64::from(*number), 1, 65_535, &port_path, report);
            let last = match given.end_port {
                None => first,
                Some(end) if end < *number => {
                    report.invalid_value(&end_path, end, "must be greater than or equal to `port`");
                    None
                }
                Some(end) => within(i64::from(end), 1, 65_535, &end_path, report),
            };
            Some(PolicyPortNumber::Range(first?..=last?))
        }
        Some(IntOrString::String(name)) => {
            refuse_end("may not be specified when `port` is non-numeric", report);
            sound(name, &names::port_name(name), &port_path, report);
            Some(PolicyPortNumber::Name(name.clone()))
        }
    };
    Some(PolicyPort {
        protocol: protocol?,
        port,
    })
}

fn peer(given: &v1::NetworkPolicyPeer, path: &Path<'_>, report: &mut Report<'_>) -> Option<PolicyPeer> {
    let pods = given.pod_selector.as_ref();
    let namespaces = given.namespace_selector.as_ref();
    let selects = pods.is_some() || namespaces.is_some();
    match &given.ip_block {
        None if !selects => {
            report.required(path, "must specify a peer");
            None
        }
        Some(_) if selects => {
            report.forbidden(path, "may not specify both ipBlock and another peer");
            None
        }
        Some(block) => ip_block(block, &path.field("ipBlock"), report),
        None => {
            let namespaces = match namespaces {
                None => Some(None),
                Some(given) => selector::convert(given, &path.field("namespaceSelector"), report).map(Some),
            };
            let pods = labels(pods, &path.field("podSelector"), report);
            Some(PolicyPeer::Pods {
                namespaces: namespaces?,
                pods: pods?,
            })
        }
    }
}

fn ip_block(given: &v1::IPBlock, path: &Path<'_>, report: &mut Report<'_>) -> Option<PolicyPeer> {
    let cidr_path = path.field("cidr");
    if given.cidr.is_empty() {
        report.required(&cidr_path, "");
        return None;
    }
    let cidr = address::cidr(&given.cidr, &cidr_path, report)?;
    let list = path.field("except");
    let mut except = Vec::new();
    for (index, text) in given.except.iter().flatten().enumerate() {
        let path = list.index(index);
        let Some(range) = address::cidr(text, &path, report) else {
            continue;
        };
        if is_within(range, cidr) {
            except.push(range);
        } else {
            report.invalid(&path, text, "must be a strict subset of `cidr`");
        }
    }
    Some(PolicyPeer::IpBlock { cidr, except })
}

fn is_within(inner: Cidr, outer: Cidr) -> bool {
    outer.contains(inner.first()) && inner.prefix() > outer.prefix()
}
