//! Probes of a container.

use k8s_openapi::api::core::v1;

use super::handler;
use crate::pod::{HttpGet, PortRef, Probe, ProbeAction, Probes, TcpSocket};
use crate::report::{Report, quote};
use crate::tree::Path;

/// Which probe, as their rules differ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Startup,
    Readiness,
    Liveness,
}

/// All probes of a container.
pub(super) fn probes(given: &v1::Container, path: &Path<'_>, report: &mut Report<'_>) -> Probes {
    let mut of = |given: &Option<v1::Probe>, kind, field, ports: Option<&[v1::ContainerPort]>| {
        let path = path.field(field);
        let probe = given.as_ref().and_then(|given| probe(given, kind, &path, report));
        if let Some(probe) = &probe {
            warn_of_unknown_port(probe, ports.unwrap_or_default(), &path, report);
        }
        probe
    };
    let ports = given.ports.as_deref();
    Probes {
        startup: of(&given.startup_probe, Kind::Startup, "startupProbe", ports),
        readiness: of(&given.readiness_probe, Kind::Readiness, "readinessProbe", ports),
        liveness: of(&given.liveness_probe, Kind::Liveness, "livenessProbe", ports),
    }
}

fn probe(given: &v1::Probe, kind: Kind, path: &Path<'_>, report: &mut Report<'_>) -> Option<Probe> {
    let action = action(given, path, report);
    let initial_delay_seconds = seconds(
        given.initial_delay_seconds,
        0,
        "initialDelaySeconds",
        path,
        report,
    );
    let timeout_seconds = seconds(given.timeout_seconds, 1, "timeoutSeconds", path, report);
    let period_seconds = seconds(given.period_seconds, 10, "periodSeconds", path, report);
    let success_threshold = seconds(given.success_threshold, 1, "successThreshold", path, report);
    let failure_threshold = seconds(given.failure_threshold, 3, "failureThreshold", path, report);
    if kind != Kind::Readiness && success_threshold.is_some_and(|times| times != 1) {
        let times = given.success_threshold.unwrap_or_default();
        report.invalid_value(&path.field("successThreshold"), times, "must be 1");
    }
    let termination_grace_period_seconds = grace_period(given, kind, path, report);
    Some(Probe {
        action: action?,
        initial_delay_seconds: initial_delay_seconds?,
        timeout_seconds: timeout_seconds?,
        period_seconds: period_seconds?,
        success_threshold: success_threshold?,
        failure_threshold: failure_threshold?,
        termination_grace_period_seconds,
    })
}

fn action(given: &v1::Probe, path: &Path<'_>, report: &mut Report<'_>) -> Option<ProbeAction> {
    let handlers = [
        ("exec", given.exec.is_some()),
        ("httpGet", given.http_get.is_some()),
        ("tcpSocket", given.tcp_socket.is_some()),
        ("grpc", given.grpc.is_some()),
    ];
    handler::only_one(&handlers, path, report);
    if let Some(exec) = &given.exec {
        return handler::exec(exec, &path.field("exec"), report).map(ProbeAction::Exec);
    }
    if let Some(get) = &given.http_get {
        return handler::http_get(get, &path.field("httpGet"), report).map(ProbeAction::HttpGet);
    }
    if let Some(socket) = &given.tcp_socket {
        return handler::tcp_socket(socket, &path.field("tcpSocket"), report).map(ProbeAction::TcpSocket);
    }
    let grpc = given.grpc.as_ref()?;
    let grpc_path = path.field("grpc");
    Some(ProbeAction::Grpc {
        port: handler::port_number(grpc.port, &grpc_path.field("port"), report)?,
        service: grpc.service.clone().unwrap_or_default(),
    })
}

/// A number that is not negative; 0 counts as absent, as it does where defaults are laid in.
fn seconds(
    given: Option<i32>,
    default: u32,
    field: &str,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<u32> {
    let number = given.unwrap_or(0);
    match u32::try_from(number) {
        Ok(0) => Some(default),
        Ok(number) => Some(number),
        Err(_) => {
            let detail = "must be greater than or equal to 0";
            report.invalid_value(&path.field(field), number, detail);
            None
        }
    }
}

fn grace_period(given: &v1::Probe, kind: Kind, path: &Path<'_>, report: &mut Report<'_>) -> Option<u32> {
    let seconds = given.termination_grace_period_seconds?;
    let path = path.field("terminationGracePeriodSeconds");
    if seconds <= 0 {
        report.invalid_value(&path, seconds, "must be greater than 0");
    }
    if kind == Kind::Readiness {
        report.invalid_value(&path, seconds, "must not be set for readinessProbes");
        return None;
    }
    (seconds > 0).then(|| u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// A probe of a port that the container does not name fails for ever, there as here.
fn warn_of_unknown_port(
    probe: &Probe,
    ports: &[v1::ContainerPort],
    path: &Path<'_>,
    report: &mut Report<'_>,
) {
    let (field, port) = match &probe.action {
        ProbeAction::HttpGet(HttpGet { port, .. }) => ("httpGet", port),
        ProbeAction::TcpSocket(TcpSocket { port, .. }) => ("tcpSocket", port),
        ProbeAction::Exec(_) | ProbeAction::Grpc { .. } => return,
    };
    if let PortRef::Name(name) = port
        && !ports.iter().any(|port| port.name.as_ref() == Some(name))
    {
        let message = format!(
            "the container has no port named {}: the probe will fail",
            quote(name)
        );
        report.warn(&path.field(field).field("port"), message);
    }
}
