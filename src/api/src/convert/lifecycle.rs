//! Hooks, stop signals and termination messages of a container.

use k8s_openapi::api::core::v1;

use super::container::Surroundings;
use super::{filled, handler, signal};
use crate::pod::{Hook, Lifecycle, StopSignal, TerminationMessage};
use crate::report::Report;
use crate::tree::Path;

/// `lifecycle`.
pub(super) fn lifecycle(
    given: Option<&v1::Lifecycle>,
    pod: &Surroundings<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Lifecycle {
    let Some(given) = given else {
        return Lifecycle::default();
    };
    let mut of = |given: &Option<v1::LifecycleHandler>, field| {
        let path = path.field(field);
        given.as_ref().and_then(|given| hook(given, pod, &path, report))
    };
    Lifecycle {
        post_start: of(&given.post_start, "postStart"),
        pre_stop: of(&given.pre_stop, "preStop"),
        stop_signal: stop_signal(filled(&given.stop_signal), pod, &path.field("stopSignal"), report),
    }
}

fn hook(
    given: &v1::LifecycleHandler,
    pod: &Surroundings<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Hook> {
    let handlers = [
        ("exec", given.exec.is_some()),
        ("httpGet", given.http_get.is_some()),
        ("tcpSocket", given.tcp_socket.is_some()),
        ("sleep", given.sleep.is_some()),
    ];
    handler::only_one(&handlers, path, report);
    if let Some(exec) = &given.exec {
        return handler::exec(exec, &path.field("exec"), report).map(Hook::Exec);
    }
    if let Some(get) = &given.http_get {
        return handler::http_get(get, &path.field("httpGet"), report).map(Hook::HttpGet);
    }
    if let Some(socket) = &given.tcp_socket {
        return handler::tcp_socket(socket, &path.field("tcpSocket"), report).map(Hook::TcpSocket);
    }
    sleep(given.sleep.as_ref()?.seconds, pod, &path.field("sleep"), report)
}

/// A pause no longer than the pod's grace period; where that itself is wrong, nothing is said of the pause.
fn sleep(seconds: i64, pod: &Surroundings<'_>, path: &Path<'_>, report: &mut Report<'_>) -> Option<Hook> {
    let most = pod.grace_period_seconds?;
    match u32::try_from(seconds) {
        Ok(seconds) if seconds <= most => Some(Hook::Sleep { seconds }),
        _ => {
            let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({most})");
            report.invalid_value(path, seconds, detail);
            None
        }
    }
}

fn stop_signal(
    name: Option<&str>,
    pod: &Surroundings<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<StopSignal> {
    let name = name?;
    match pod.os {
        None => report.forbidden(path, "may not be set for containers with empty `spec.os.name`"),
        Some("windows") => {
            if !["SIGKILL", "SIGTERM"].contains(&name) {
                report.unsupported(path, name, &["SIGKILL", "SIGTERM"]);
            }
        }
        Some(_) => match signal::number(name) {
            Some(number) => return Some(StopSignal { number }),
            None => {
                let names = signal::names();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                report.unsupported(path, name, &names);
            }
        },
    }
    None
}

/// `terminationMessagePath` and `terminationMessagePolicy`.
pub(super) fn termination_message(
    given: &v1::Container,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> TerminationMessage {
    let default = TerminationMessage::default();
    let fall_back_to_logs = match filled(&given.termination_message_policy) {
        None | Some("File") => false,
        Some("FallbackToLogsOnError") => true,
        Some(other) => {
            let words = ["File", "FallbackToLogsOnError"];
            report.unsupported(&path.field("terminationMessagePolicy"), other, &words);
            false
        }
    };
    let message_path = match filled(&given.termination_message_path) {
        None => default.path,
        Some(text) if text.contains('\0') => {
            let why = "must not contain a null character";
            report.invalid(&path.field("terminationMessagePath"), text, why);
            default.path
        }
        Some(text) if text.starts_with('/') => text.to_owned(),
        // As a mount's path, it is taken from the root.
        Some(text) => format!("/{text}"),
    };
    TerminationMessage {
        path: message_path,
        fall_back_to_logs,
    }
}
