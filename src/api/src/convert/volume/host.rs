//! Volumes of the host: its own paths, and empty directories.

use k8s_openapi::api::core::v1;

use crate::convert::{filled, resources};
use crate::pod::{HostPathType, VolumeSource};
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

/// A path of the host.
pub(super) fn host_path(
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

/// An empty directory.
pub(super) fn empty_dir(
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
