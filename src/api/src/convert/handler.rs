//! What probes and hooks do: programs, requests, connections.

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{filled, sound, within};
use crate::names;
use crate::pod::{HttpGet, PortRef, TcpSocket};
use crate::report::Report;
use crate::tree::Path;

/// Of several handlers, the first counts and the others are reported; one there must be.
pub(super) fn only_one(handlers: &[(&str, bool)], path: &Path<'_>, report: &mut Report<'_>) {
    let mut given = handlers.iter().filter(|(_, is_given)| *is_given);
    if given.next().is_none() {
        report.required(path, "must specify a handler type");
    }
    for (field, _) in given {
        report.forbidden(&path.field(field), "may not specify more than 1 handler type");
    }
}

/// A program's command.
pub(super) fn exec(given: &v1::ExecAction, path: &Path<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let command = given.command.clone().unwrap_or_default();
    if command.is_empty() {
        report.required(&path.field("command"), "");
        return None;
    }
    Some(command)
}

/// A GET.
pub(super) fn http_get(
    given: &v1::HTTPGetAction,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<HttpGet> {
    let port = port(&given.port, &path.field("port"), report);
    let https = match filled(&given.scheme) {
        None | Some("HTTP") => Some(false),
        Some("HTTPS") => Some(true),
        Some(other) => {
            report.unsupported(&path.field("scheme"), other, &["HTTP", "HTTPS"]);
            None
        }
    };
    let headers_path = path.field("httpHeaders");
    let mut headers = Vec::new();
    for (index, header) in given.http_headers.iter().flatten().enumerate() {
        let wrong = names::header_name(&header.name);
        if sound(
            &header.name,
            &wrong,
            &headers_path.index(index).field("name"),
            report,
        ) {
            headers.push((header.name.clone(), header.value.clone()));
        }
    }
    Some(HttpGet {
        host: filled(&given.host).map(str::to_owned),
        port: port?,
        path: filled(&given.path).unwrap_or("/").to_owned(),
        https: https?,
        headers,
    })
}

/// A connection.
pub(super) fn tcp_socket(
    given: &v1::TCPSocketAction,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<TcpSocket> {
    Some(TcpSocket {
        host: filled(&given.host).map(str::to_owned),
        port: port(&given.port, &path.field("port"), report)?,
    })
}

fn port(given: &IntOrString, path: &Path<'_>, report: &mut Report<'_>) -> Option<PortRef> {
    match given {
        IntOrString::Int(number) => port_number(*number, path, report).map(PortRef::Number),
        IntOrString::String(name) => {
            sound(name, &names::port_name(name), path, report).then(|| PortRef::Name(name.clone()))
        }
    }
}

/// A port's number.
pub(super) fn port_number(number: i32, path: &Path<'_>, report: &mut Report<'_>) -> Option<u16> {
    within(number.into(), 1, u16::MAX.into(), path, report)
}
