//! Volume mounts of a container.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::filled;
use super::volume::Volumes;
use crate::ident::ContainerName;
use crate::pod::{MountPropagation, RecursiveReadOnly, SubPath, VolumeMount};
use crate::report::Report;
use crate::tree::Path;

const RECURSIVE: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];

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
        let sub_path = sub_path(given, &path, report);
        let recursive_read_only = recursive_read_only(given, &path.field("recursiveReadOnly"), report);
        let propagation_path = path.field("mountPropagation");
        let propagation = propagation(
            filled(&given.mount_propagation),
            privileged,
            &propagation_path,
            report,
        );
        if let (Some(volume), Some(mount_path)) = (volume, mount_path) {
            let read_only = given.read_only.unwrap_or(false);
            converted.push(VolumeMount {
                volume,
                mount_path,
                sub_path,
                read_only,
                recursive_read_only,
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

/// `subPath` or `subPathExpr`, not both.
fn sub_path(given: &v1::VolumeMount, path: &Path<'_>, report: &mut Report<'_>) -> Option<SubPath> {
    let expression_path = path.field("subPathExpr");
    let plain = filled(&given.sub_path);
    let expression = filled(&given.sub_path_expr);
    if let (Some(_), Some(text)) = (plain, expression) {
        report.invalid(
            &expression_path,
            text,
            "subPathExpr and subPath are mutually exclusive",
        );
    }
    let plain = plain.and_then(|text| descending(text, &path.field("subPath"), report));
    let expression = expression.and_then(|text| descending(text, &expression_path, report));
    plain.map(SubPath::Plain).or(expression.map(SubPath::Expression))
}

/// A path that leads down.
fn descending(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
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

/// Only of what is read-only anyway, and takes part in no propagation.
fn recursive_read_only(
    given: &v1::VolumeMount,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> RecursiveReadOnly {
    let asked = match filled(&given.recursive_read_only) {
        None | Some("Disabled") => return RecursiveReadOnly::Disabled,
        Some("IfPossible") => RecursiveReadOnly::IfPossible,
        Some("Enabled") => RecursiveReadOnly::Enabled,
        Some(other) => {
            report.unsupported(path, other, &RECURSIVE);
            return RecursiveReadOnly::Disabled;
        }
    };
    if given.read_only != Some(true) {
        report.forbidden(path, "may only be specified when readOnly is true");
    }
    if filled(&given.mount_propagation).is_some_and(|mode| mode != "None") {
        let why = "may only be specified when mountPropagation is None or not specified";
        report.forbidden(path, why);
    }
    asked
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
