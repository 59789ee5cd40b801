//! Ports of containers.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::{address, filled, sound, within};
use crate::names;
use crate::pod::{ContainerPort, Protocol};
use crate::report::Report;
use crate::tree::Path;

/// The host's ports that are taken, as `protocol/address/port`.
pub(super) type HostPorts = HashSet<String>;

/// All ports of a container.
pub(super) fn ports(
    given: Option<&[v1::ContainerPort]>,
    host_network: bool,
    taken: &mut HostPorts,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<ContainerPort> {
    let mut names_seen = HashSet::new();
    let mut converted = Vec::new();
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let name = filled(&given.name);
        if let Some(name) = name
            && sound(name, &names::port_name(name), &path.field("name"), report)
            && !names_seen.insert(name)
        {
            report.duplicate(&path.field("name"), name);
        }
        let Some(port) = port(given, host_network, &path, report) else {
            continue;
        };
        if let Some(host_port) = port.host_port {
            let address = filled(&given.host_ip).unwrap_or_default();
            let protocol = filled(&given.protocol).unwrap_or("TCP");
            let socket = format!("{protocol}/{address}/{host_port}");
            if !taken.insert(socket.clone()) {
                report.duplicate(&path.field("hostPort"), &socket);
            }
        }
        converted.push(port);
    }
    converted
}

fn port(
    given: &v1::ContainerPort,
    host_network: bool,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<ContainerPort> {
    let container_path = path.field("containerPort");
    let number = |number: i32, path: &Path<'_>, report: &mut Report<'_>| -> Option<u16> {
        within(number.into(), 1, u16::MAX.into(), path, report)
    };
    let container_port = if given.container_port == 0 {
        report.required(&container_path, "");
        None
    } else {
        number(given.container_port, &container_path, report)
    };
    let given_host_port = given.host_port.filter(|port| *port != 0);
    let host_port = given_host_port.and_then(|port| number(port, &path.field("hostPort"), report));
    if host_network && host_port.is_some_and(|port| Some(port) != container_port) {
        let port = given.container_port;
        report.invalid_value(
            &container_path,
            port,
            "must match `hostPort` when `hostNetwork` is true",
        );
    }
    let host_ip = match filled(&given.host_ip) {
        None => None,
        Some(text) => address::ip(text, &path.field("hostIP"), report),
    };
    let protocol = protocol(filled(&given.protocol), &path.field("protocol"), report);
    Some(ContainerPort {
        name: filled(&given.name).map(str::to_owned),
        container_port: container_port?,
        host_port: if host_network { container_port } else { host_port },
        host_ip,
        protocol: protocol?,
    })
}

/// A port's transport, TCP where none is named.
pub(super) fn protocol(text: Option<&str>, path: &Path<'_>, report: &mut Report<'_>) -> Option<Protocol> {
    match text {
        None | Some("TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(other) => {
            report.unsupported(path, other, &["SCTP", "TCP", "UDP"]);
            None
        }
    }
}
