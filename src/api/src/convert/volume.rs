//! Volumes.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::{filled, required, resources};
use crate::ident::ContainerName;
use crate::names;
use crate::pod::{HostPathType, Volume, VolumeSource};
use crate::report::Report;
use crate::tree::Path;

const HOST_PATH_TYPES: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

/// A pod's volumes.
pub(super) struct Volumes {
    /// Those that nothing is wrong with.
    pub(super) sound: Vec<Volume>,
    /// All names that a mount may refer to.
    pub(super) names: HashSet<String>,
}

/// All volumes of a pod.
pub(super) fn volumes(given: Option<&[v1::Volume]>, path: &Path<'_>, report: &mut Report<'_>) -> Volumes {
    let mut volumes = Volumes {
        sound: Vec::new(),
        names: HashSet::new(),
    };
    for (index, given) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let name = required(&given.name, names::dns_label, &path.field("name"), report);
        if let Some(name) = name
            && !volumes.names.insert(name.to_owned())
        {
            report.duplicate(&path.field("name"), name);
        }
        let source = source(given, &path, report);
        if let (Some(name), Some(source)) = (name.and_then(|name| ContainerName::new(name).ok()), source) {
            volumes.sound.push(Volume { name, source });
        }
    }
    volumes
}

/// The volume's source. One without any is an empty directory; other kinds were reported as not supported
/// when the fields were looked up.
fn source(given: &v1::Volume, path: &Path<'_>, report: &mut Report<'_>) -> Option<VolumeSource> {
    match (&given.host_path, &given.empty_dir) {
        (Some(_), Some(_)) => {
            report.forbidden(&path.field("hostPath"), "may not specify more than 1 volume type");
            None
        }
        (Some(host_path), None) => self::host_path(host_path, &path.field("hostPath"), report),
        (None, Some(empty_dir)) => self::empty_dir(empty_dir, &path.field("emptyDir"), report),
        (None, None) => Some(VolumeSource::EmptyDir {
            memory: false,
            size_limit: None,
        }),
    }
}

fn host_path(
    given: &v1::HostPathVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let path_path = path.field("path");
    let text = given.path.as_str();
    let sound = if text.is_empty() {
        report.required(&path_path, "");
        false
    } else if text.split('/').any(|part| part == "..") {
        report.invalid(&path_path, text, "must not contain '..'");
        false
    } else if !text.starts_with('/') {
        report.invalid(&path_path, text, "must be an absolute path");
        false
    } else if text.contains('\0') {
        report.invalid(&path_path, text, "must not contain a null character");
        false
    } else {
        true
    };
    let kind = match given.type_.as_deref().unwrap_or_default() {
        "" => HostPathType::Unset,
        "DirectoryOrCreate" => HostPathType::DirectoryOrCreate,
        "Directory" => HostPathType::Directory,
        "FileOrCreate" => HostPathType::FileOrCreate,
        "File" => HostPathType::File,
        "Socket" => HostPathType::Socket,
        "CharDevice" => HostPathType::CharDevice,
        "BlockDevice" => HostPathType::BlockDevice,
        other => {
            report.unsupported(&path.field("type"), other, &HOST_PATH_TYPES);
            return None;
        }
    };
    sound.then(|| VolumeSource::HostPath {
        path: text.to_owned(),
        kind,
    })
}

fn empty_dir(
    given: &v1::EmptyDirVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let memory = match filled(&given.medium) {
        None => false,
        Some("Memory") => true,
        Some(huge) if huge == "HugePages" || huge.starts_with("HugePages-") => {
            report.not_yet(&path.field("medium"), &format!("medium {huge:?}"));
            return None;
        }
        Some(other) => {
            report.unsupported(&path.field("medium"), other, &["", "Memory"]);
            return None;
        }
    };
    let size_limit = match &given.size_limit {
        None => None,
        Some(limit) => Some(resources::bytes(&limit.0, &path.field("sizeLimit"), report)?),
    };
    // Kubernetes takes no limit and a limit of nothing for the same.
    let size_limit = size_limit.filter(|limit| limit.0 > 0);
    Some(VolumeSource::EmptyDir { memory, size_limit })
}
