//! Volumes of a pod.

mod claim;
mod files;
mod host;
mod projected;

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::downward::Names;
use super::{filled, image, required};
use crate::ident::ContainerName;
use crate::names;
use crate::pod::{Volume, VolumeSource};
use crate::report::Report;
use crate::tree::Path;

pub(super) use claim::claim_spec;

/// A pod's volumes.
pub(super) struct Volumes {
    /// Those that nothing is wrong with.
    pub(super) sound: Vec<Volume>,
    /// All names that a mount may refer to.
    pub(super) names: HashSet<String>,
}

/// All volumes of a pod.
pub(super) fn volumes(
    given: Option<&[v1::Volume]>,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Volumes {
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
        let source = source(given, containers, &path, report);
        if let (Some(name), Some(source)) = (name.and_then(|name| ContainerName::new(name).ok()), source) {
            volumes.sound.push(Volume { name, source });
        }
    }
    volumes
}

/// The volume's source. One without any is an empty directory; other kinds were reported as not supported
/// when the fields were looked up.
fn source(
    given: &v1::Volume,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    only_one(given, path, report);
    if let Some(given) = &given.host_path {
        return host::host_path(given, &path.field("hostPath"), report);
    }
    if let Some(given) = &given.empty_dir {
        return host::empty_dir(given, &path.field("emptyDir"), report);
    }
    if let Some(given) = &given.config_map {
        return files::config_map(given, &path.field("configMap"), report);
    }
    if let Some(given) = &given.secret {
        return files::secret(given, &path.field("secret"), report);
    }
    if let Some(given) = &given.downward_api {
        return files::downward_api(given, containers, &path.field("downwardAPI"), report);
    }
    if let Some(given) = &given.projected {
        return projected::projected(given, containers, &path.field("projected"), report);
    }
    if let Some(given) = &given.image {
        return image_files(given, &path.field("image"), report);
    }
    if let Some(given) = &given.persistent_volume_claim {
        return claim::claim(given, &path.field("persistentVolumeClaim"), report);
    }
    if let Some(given) = &given.ephemeral {
        return claim::ephemeral(given, &path.field("ephemeral"), report);
    }
    Some(VolumeSource::EmptyDir {
        memory: false,
        size_limit: None,
    })
}

/// A volume has one source: of several, each but the first is reported.
fn only_one(given: &v1::Volume, path: &Path<'_>, report: &mut Report<'_>) {
    let sources = [
        ("emptyDir", given.empty_dir.is_some()),
        ("hostPath", given.host_path.is_some()),
        ("secret", given.secret.is_some()),
        ("persistentVolumeClaim", given.persistent_volume_claim.is_some()),
        ("downwardAPI", given.downward_api.is_some()),
        ("configMap", given.config_map.is_some()),
        ("projected", given.projected.is_some()),
        ("ephemeral", given.ephemeral.is_some()),
        ("image", given.image.is_some()),
    ];
    for (field, _) in sources.iter().filter(|(_, is_given)| *is_given).skip(1) {
        report.forbidden(&path.field(field), "may not specify more than 1 volume type");
    }
}

fn image_files(
    given: &v1::ImageVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let text = given.reference.as_deref().unwrap_or_default();
    let reference = image::reference(text, &path.field("reference"), report);
    let policy = image::pull_policy(
        filled(&given.pull_policy),
        reference.unwrap_or_default(),
        &path.field("pullPolicy"),
        report,
    );
    Some(VolumeSource::Image {
        reference: reference?.to_owned(),
        pull_policy: policy?,
    })
}
