//! A Service's ports.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Type;
use crate::convert::{filled, required, sound, within};
use crate::names;
use crate::pod::Protocol;
use crate::report::Report;
use crate::service::{ServicePort, TargetPort};
use crate::tree::Path;

/// What must be unique in a Service.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    ports: HashSet<(Protocol, u16)>,
    node_ports: HashSet<(Protocol, u16)>,
}

/// All ports of a Service.
pub(super) fn read(
    given: &v1::ServiceSpec,
    kind: Option<Type>,
    may_be_none: bool,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<ServicePort> {
    let path = path.field("ports");
    let list = given.ports.as_deref().unwrap_or_default();
    if list.is_empty() && !may_be_none {
        report.required(&path, "");
    }
    let mut seen = Seen::default();
    let mut ports = Vec::new();
    for (index, given) in list.iter().enumerate() {
        let path = path.index(index);
        if list.len() > 1 && filled(&given.name).is_none() {
            report.required(&path.field("name"), "");
        }
        ports.extend(port(given, kind, &mut seen, &path, report));
    }
    ports
}

fn port(
    given: &v1::ServicePort,
    kind: Option<Type>,
    seen: &mut Seen,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<ServicePort> {
    let name_path = path.field("name");
    let name = filled(&given.name).and_then(|name| required(name, names::dns_label, &name_path, report));
    if let Some(name) = name
        && !seen.names.insert(name.to_owned())
    {
        report.duplicate(&name_path, name);
    }
    let port = within(i64::from(given.port), 1, 65_535, &path.field("port"), report);
    let protocol = crate::convert::ports::protocol(filled(&given.protocol), &path.field("protocol"), report);
    let target = target(
        given.target_port.as_ref(),
        port,
        &path.field("targetPort"),
        report,
    );
    if let Some(hint) = &given.app_protocol {
        sound(
            hint,
            &names::qualified_name(hint),
            &path.field("appProtocol"),
            report,
        );
    }
    let node_port = node_port(given, kind, &path.field("nodePort"), report);
    let (port, protocol) = (port?, protocol?);
    if !seen.ports.insert((protocol, port)) {
        let protocol = protocol.as_str();
        report.error(
            path,
            format!("Duplicate value: {{\"port\":{port},\"protocol\":\"{protocol}\",\"targetPort\":0}}"),
        );
    }
    if let Some(number) = node_port
        && !seen.node_ports.insert((protocol, number))
    {
        report.error(&path.field("nodePort"), format!("Duplicate value: {number}"));
    }
    Some(ServicePort {
        name: name.map(str::to_owned),
        protocol,
        port,
        target: target?,
        node_port,
    })
}

/// Where the pods listen; on the Service's own port where nothing is said.
fn target(
    given: Option<&IntOrString>,
    port: Option<u16>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<TargetPort> {
    match given {
        None | Some(IntOrString::Int(0)) => port.map(TargetPort::Number),
        Some(IntOrString::Int(number)) => {
            within(i64::from(*number), 1, 65_535, path, report).map(TargetPort::Number)
        }
        Some(IntOrString::String(name)) if name.is_empty() => port.map(TargetPort::Number),
        Some(IntOrString::String(name)) => {
            sound(name, &names::port_name(name), path, report).then(|| TargetPort::Name(name.clone()))
        }
    }
}

fn node_port(
    given: &v1::ServicePort,
    kind: Option<Type>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<u16> {
    let number = given.node_port.filter(|number| *number != 0)?;
    if kind == Some(Type::ClusterIp) {
        report.forbidden(path, "may not be used when `type` is 'ClusterIP'");
        return None;
    }
    within(i64::from(number), 1, 65_535, path, report)
}
