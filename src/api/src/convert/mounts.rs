//! Volume mounts of a container.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::filled;
use super::volume::Volumes;
use crate::ident::ContainerName;
use crate::pod::{MountPropagation, RecursiveReadOnly, SubPath, VolumeMount};
use crate::report::Report;
use crate::tree::Path;

const PROPAGATIONS: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];

/// All mounts of a container, each of one of the pod's `volumes`.
pub(super) fn mounts(
    given: Option<&[v1::VolumeMount]>,
    volumes: &Volumes,
    privileged: bool,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<VolumeMount> {
    let mut seen = HashSet::new();
    let mut converted = Vec::new();
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let volume = volume(&given.name, volumes, &path.field("name"), report);
        let mount_path = mount_path(&given.mount_path, &path.field("mountPath"), report);
        if let Some(target) = &mount_path
            && !seen.insert(target.clone())
        {
            report.invalid(&path.field("mountPath"), &given.mount_path, "must be unique");
        }
        let sub_path = filled(&given.sub_path).map(|sub| sub_path(sub, &path.field("subPath"), report));
        let propagation_path = path.field("mountPropagation");
        let propagation = propagation(
            filled(&given.mount_propagation),
            privileged,
            &propagation_path,
            report,
        );
        if let (Some(volume), Some(mount_path)) = (volume, mount_path) {
            let read_only = given.read_only.unwrap_or(false);
            let sub_path = sub_path.flatten().map(SubPath::Plain);
            converted.push(VolumeMount {
                volume,
                mount_path,
                sub_path,
                read_only,
                recursive_read_only: RecursiveReadOnly::Disabled,
                propagation,
            });
        }
    }
    converted
}

/// The volume of that name. Where the volume itself was found wrong, that is said there.
fn volume(name: &str, volumes: &Volumes, path: &Path<'_>, report: &mut Report<'_>) -> Option<ContainerName> {
    if name.is_empty() {
        report.required(path, "");
        return None;
    }
    if !volumes.names.contains(name) {
        report.not_found(path, name);
        return None;
    }
    ContainerName::new(name).ok()
}

/// An absolute path; one that is not is taken from the root, as the kubelet does.
fn mount_path(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
    if text.is_empty() {
        report.required(path, "");
        return None;
    }
    if text.contains('\0') {
        report.invalid(path, text, "must not contain a null character");
        return None;
    }
    Some(if text.starts_with('/') {
        text.to_owned()
    } else {
        format!("/{text}")
    })
}

fn sub_path(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
    let why = if text.starts_with('/') {
        "must be a relative path"
    } else if text.split('/').any(|part| part == "..") {
        "must not contain '..'"
    } else if text.contains('\0') {
        "must not contain a null character"
    } else {
        return Some(text.to_owned());
    };
    report.invalid(path, text, why);
    None
}

fn propagation(
    text: Option<&str>,
    privileged: bool,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> MountPropagation {
    match text {
        None | Some("None") => MountPropagation::Private,
        Some("HostToContainer") => MountPropagation::HostToContainer,
        Some("Bidirectional") => {
            if !privileged {
                report.forbidden(
                    path,
                    "Bidirectional mount propagation is available only to privileged containers",
                );
            }
            MountPropagation::Bidirectional
        }
        Some(other) => {
            report.unsupported(path, other, &PROPAGATIONS);
            MountPropagation::Private
        }
    }
}
