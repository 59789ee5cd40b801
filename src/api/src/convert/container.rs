//! Containers, and those that run before them.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::downward::Names;
use super::ports::HostPorts;
use super::volume::Volumes;
use super::{
    environment, filled, image, lifecycle, mounts, ports, probe, required, resources, restart, security,
};
use crate::ident::ContainerName;
use crate::names;
use crate::pod::{Container, RestartPolicy};
use crate::report::Report;
use crate::tree::Path;

/// What a container refers to in its pod.
pub(super) struct Surroundings<'p> {
    pub(super) containers: &'p Names<'p>,
    pub(super) volumes: &'p Volumes,
    pub(super) host_network: bool,
    /// The pod has no user namespace of its own.
    pub(super) host_users: bool,
    /// `os.name`, where the pod gives it.
    pub(super) os: Option<&'p str>,
    /// The pod's, where it is sound.
    pub(super) restart_policy: Option<RestartPolicy>,
    /// The pod's `terminationGracePeriodSeconds`, where it is sound.
    pub(super) grace_period_seconds: Option<u32>,
}

/// Which of a pod's lists a container is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Init,
    Main,
}

const ONLY_OF_SIDECARS: &str = "may not be set for init containers without restartPolicy=Always";

/// `initContainers` and `containers` of a pod.
pub(super) fn all(
    spec: &v1::PodSpec,
    pod: &Surroundings<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> (Vec<Container>, Vec<Container>) {
    let mut names = HashSet::new();
    let mut taken = HostPorts::new();
    let main_path = path.field("containers");
    if spec.containers.is_empty() {
        report.required(&main_path, "");
    }
    let mut main = Vec::new();
    for (index, given) in spec.containers.iter().enumerate() {
        let path = main_path.index(index);
        is_new(&given.name, &mut names, &path, report);
        main.extend(container(given, Place::Main, pod, &mut taken, &path, report));
    }
    let init_path = path.field("initContainers");
    let mut init = Vec::new();
    for (index, given) in spec.init_containers.iter().flatten().enumerate() {
        let path = init_path.index(index);
        is_new(&given.name, &mut names, &path, report);
        // Each runs by itself, so that two may have one port of the host.
        let mut taken = HostPorts::new();
        init.extend(container(given, Place::Init, pod, &mut taken, &path, report));
    }
    (init, main)
}

fn is_new(name: &str, names: &mut HashSet<String>, path: &Path<'_>, report: &mut Report<'_>) {
    if !name.is_empty() && !names.insert(name.to_owned()) {
        report.duplicate(&path.field("name"), name);
    }
}

fn container(
    given: &v1::Container,
    place: Place,
    pod: &Surroundings<'_>,
    taken: &mut HostPorts,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Container> {
    let name = required(&given.name, names::dns_label, &path.field("name"), report);
    let image = image::reference(
        given.image.as_deref().unwrap_or_default(),
        &path.field("image"),
        report,
    );
    let policy = image::pull_policy(
        filled(&given.image_pull_policy),
        image.unwrap_or_default(),
        &path.field("imagePullPolicy"),
        report,
    );
    let env = environment::variables(given.env.as_deref(), pod.containers, &path.field("env"), report);
    let env_from = environment::sources(given.env_from.as_deref(), &path.field("envFrom"), report);
    let ports_path = path.field("ports");
    let ports = ports::ports(
        given.ports.as_deref(),
        pod.host_network,
        taken,
        &ports_path,
        report,
    );
    let limits = resources::resources(given.resources.as_ref(), &path.field("resources"), report);
    let security_path = path.field("securityContext");
    let security = security::container(
        given.security_context.as_ref(),
        pod.host_users,
        &security_path,
        report,
    );
    let volume_mounts = mounts::mounts(
        given.volume_mounts.as_deref(),
        pod.volumes,
        security.privileged,
        &path.field("volumeMounts"),
        report,
    );
    let restart_policy = restart::policy(given, path, report);
    let restart_rules = restart::rules(given, path, report);
    if place == Place::Init && restart_policy != Some(RestartPolicy::Always) {
        only_of_sidecars(given, path, report);
    }
    let probes = probe::probes(given, path, report);
    let lifecycle = lifecycle::lifecycle(given.lifecycle.as_ref(), pod, &path.field("lifecycle"), report);
    let termination_message = lifecycle::termination_message(given, path, report);
    let resize_path = path.field("resizePolicy");
    let resize = given.resize_policy.as_deref();
    let resize_policy = restart::resize_policy(resize, pod.restart_policy, &resize_path, report);
    Some(Container {
        name: ContainerName::new(name?).ok()?,
        image: image?.to_owned(),
        image_pull_policy: policy?,
        command: given.command.clone().unwrap_or_default(),
        args: given.args.clone().unwrap_or_default(),
        env,
        env_from,
        working_dir: filled(&given.working_dir).map(str::to_owned),
        ports,
        resources: limits,
        volume_mounts,
        security,
        probes,
        lifecycle,
        termination_message,
        restart_policy,
        restart_rules,
        resize_policy,
        stdin: given.stdin.unwrap_or(false),
        stdin_once: given.stdin_once.unwrap_or(false),
        tty: given.tty.unwrap_or(false),
    })
}

/// An init container that ends has no use for what watches over one that goes on.
fn only_of_sidecars(given: &v1::Container, path: &Path<'_>, report: &mut Report<'_>) {
    let fields = [
        ("lifecycle", given.lifecycle.is_some()),
        ("livenessProbe", given.liveness_probe.is_some()),
        ("readinessProbe", given.readiness_probe.is_some()),
        ("startupProbe", given.startup_probe.is_some()),
    ];
    for (field, _) in fields.iter().filter(|(_, is_given)| *is_given) {
        report.forbidden(&path.field(field), ONLY_OF_SIDECARS);
    }
}
