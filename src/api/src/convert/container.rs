//! Containers: image, command, ports.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::volume::Volumes;
use super::{address, environment, filled, mounts, required, resources, security, sound, within};
use crate::ident::ContainerName;
use crate::names;
use crate::pod::{
    Container, ContainerPort, Lifecycle, Probes, Protocol, PullPolicy, ResizePolicy, TerminationMessage,
};
use crate::report::Report;
use crate::tree::Path;

/// What a container refers to in its pod.
pub(super) struct Surroundings<'p> {
    pub(super) volumes: &'p Volumes,
    pub(super) host_network: bool,
}

/// All containers of a pod.
pub(super) fn containers(
    containers: &[v1::Container],
    pod: &Surroundings<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<Container> {
    if containers.is_empty() {
        report.required(path, "");
    }
    let mut seen = Seen::default();
    let mut converted = Vec::new();
    for (index, given) in containers.iter().enumerate() {
        let path = path.index(index);
        if !given.name.is_empty() && !seen.names.insert(given.name.clone()) {
            report.duplicate(&path.field("name"), &given.name);
        }
        converted.extend(container(given, pod, &mut seen, &path, report));
    }
    converted
}

/// What must be unique in a pod.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    host_ports: HashSet<String>,
}

fn container(
    given: &v1::Container,
    pod: &Surroundings<'_>,
    seen: &mut Seen,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Container> {
    let name = required(&given.name, names::dns_label, &path.field("name"), report);
    let image = image(
        given.image.as_deref().unwrap_or_default(),
        &path.field("image"),
        report,
    );
    let pull_path = path.field("imagePullPolicy");
    let policy = pull_policy(
        filled(&given.image_pull_policy),
        image.unwrap_or_default(),
        &pull_path,
        report,
    );
    let env = environment::variables(given.env.as_deref(), &path.field("env"), report);
    let ports = ports(
        given.ports.as_deref(),
        pod.host_network,
        seen,
        &path.field("ports"),
        report,
    );
    let limits = resources::resources(given.resources.as_ref(), &path.field("resources"), report);
    let security = security::container(
        given.security_context.as_ref(),
        &path.field("securityContext"),
        report,
    );
    let mounts_path = path.field("volumeMounts");
    let privileged = security.privileged;
    let volume_mounts = mounts::mounts(
        given.volume_mounts.as_deref(),
        pod.volumes,
        privileged,
        &mounts_path,
        report,
    );
    Some(Container {
        name: ContainerName::new(name?).ok()?,
        image: image?.to_owned(),
        image_pull_policy: policy?,
        command: given.command.clone().unwrap_or_default(),
        args: given.args.clone().unwrap_or_default(),
        env,
        env_from: Vec::new(),
        working_dir: filled(&given.working_dir).map(str::to_owned),
        ports,
        resources: limits,
        volume_mounts,
        security,
        probes: Probes::default(),
        lifecycle: Lifecycle::default(),
        termination_message: TerminationMessage::default(),
        restart_policy: None,
        restart_rules: Vec::new(),
        resize_policy: ResizePolicy::default(),
        stdin: given.stdin.unwrap_or(false),
        stdin_once: given.stdin_once.unwrap_or(false),
        tty: given.tty.unwrap_or(false),
    })
}

fn image<'i>(image: &'i str, path: &Path<'_>, report: &mut Report<'_>) -> Option<&'i str> {
    if image.is_empty() {
        report.required(path, "");
        return None;
    }
    if image.trim() != image {
        report.invalid(path, image, "must not have leading or trailing whitespace");
        return None;
    }
    Some(image)
}

fn pull_policy(
    text: Option<&str>,
    image: &str,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<PullPolicy> {
    match text {
        Some("Always") => Some(PullPolicy::Always),
        Some("IfNotPresent") => Some(PullPolicy::IfNotPresent),
        Some("Never") => Some(PullPolicy::Never),
        None => Some(default_pull_policy(image)),
        Some(other) => {
            report.unsupported(path, other, &["Always", "IfNotPresent", "Never"]);
            None
        }
    }
}

/// The policy of a container that names none.
pub(crate) fn default_pull_policy(image: &str) -> PullPolicy {
    if has_latest_tag(image) {
        PullPolicy::Always
    } else {
        PullPolicy::IfNotPresent
    }
}

/// Whether the image is named by the tag `latest`, which is also the tag of one that names neither a tag nor
/// a digest.
fn has_latest_tag(image: &str) -> bool {
    let (name, digest) = image
        .split_once('@')
        .map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none(),
    }
}

fn ports(
    given: Option<&[v1::ContainerPort]>,
    host_network: bool,
    seen: &mut Seen,
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
            if !seen.host_ports.insert(socket.clone()) {
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
