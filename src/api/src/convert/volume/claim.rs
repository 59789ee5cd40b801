//! Claims: those that a pod names, and those that it brings along.

use k8s_openapi::api::core::v1;

use crate::convert::{filled, meta, required, resources};
use crate::ident::ObjectName;
use crate::names;
use crate::pod::{AccessMode, ClaimSpec, ClaimTemplate, VolumeSource};
use crate::quantity::Bytes;
use crate::report::Report;
use crate::tree::Path;

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

/// A claim of the pod's namespace.
pub(super) fn claim(
    given: &v1::PersistentVolumeClaimVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let name = required(
        &given.claim_name,
        names::dns_subdomain,
        &path.field("claimName"),
        report,
    )?;
    Some(VolumeSource::Claim {
        name: ObjectName::new(name).ok()?,
        read_only: given.read_only.unwrap_or(false),
    })
}

/// A claim of the pod's own.
pub(super) fn ephemeral(
    given: &v1::EphemeralVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let path = path.field("volumeClaimTemplate");
    let Some(template) = &given.volume_claim_template else {
        report.required(&path, "");
        return None;
    };
    let metadata = template.metadata.clone().unwrap_or_default();
    let meta_path = path.field("metadata");
    for (field, is_given) in [
        ("name", metadata.name.is_some()),
        ("generateName", metadata.generate_name.is_some()),
        ("namespace", metadata.namespace.is_some()),
        ("finalizers", metadata.finalizers.is_some()),
        ("ownerReferences", metadata.owner_references.is_some()),
    ] {
        if is_given {
            report.forbidden(&meta_path.field(field), "cannot be set");
        }
    }
    let labels = meta::labels(metadata.labels.as_ref(), &meta_path.field("labels"), report);
    let annotations_path = meta_path.field("annotations");
    let annotations = meta::annotations(metadata.annotations.as_ref(), &annotations_path, report);
    let spec = claim_spec(&template.spec, &path.field("spec"), report)?;
    Some(VolumeSource::Ephemeral(ClaimTemplate {
        labels,
        annotations,
        spec,
    }))
}

/// What a claim asks for.
pub(in crate::convert) fn claim_spec(
    given: &v1::PersistentVolumeClaimSpec,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<ClaimSpec> {
    let access_modes = access_modes(given.access_modes.as_deref(), &path.field("accessModes"), report);
    let storage = storage(given.resources.as_ref(), &path.field("resources"), report);
    if let Some(name) = filled(&given.storage_class_name) {
        required(
            name,
            names::dns_subdomain,
            &path.field("storageClassName"),
            report,
        )?;
    }
    if let Some(mode) = filled(&given.volume_mode)
        && !["Block", "Filesystem"].contains(&mode)
    {
        report.unsupported(&path.field("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    Some(ClaimSpec {
        access_modes: access_modes?,
        storage: storage?,
        storage_class_name: given.storage_class_name.clone(),
        volume_name: filled(&given.volume_name).map(str::to_owned),
    })
}

fn access_modes(
    given: Option<&[String]>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<AccessMode>> {
    let given = given.unwrap_or_default();
    if given.is_empty() {
        report.required(path, "at least 1 access mode is required");
        return None;
    }
    let mut modes = Vec::new();
    for (index, text) in given.iter().enumerate() {
        modes.push(match text.as_str() {
            "ReadWriteOnce" => AccessMode::ReadWriteOnce,
            "ReadOnlyMany" => AccessMode::ReadOnlyMany,
            "ReadWriteMany" => AccessMode::ReadWriteMany,
            "ReadWriteOncePod" => AccessMode::ReadWriteOncePod,
            other => {
                report.unsupported(&path.index(index), other, &ACCESS_MODES);
                return None;
            }
        });
    }
    if modes.len() > 1 && modes.contains(&AccessMode::ReadWriteOncePod) {
        report.forbidden(path, "may not use ReadWriteOncePod with other access modes");
        return None;
    }
    Some(modes)
}

/// `resources.requests.storage`, more than nothing.
fn storage(
    given: Option<&v1::VolumeResourceRequirements>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Bytes> {
    let requests_path = path.field("requests");
    let path = requests_path.key("storage");
    let requests = given.and_then(|given| given.requests.as_ref());
    let Some(text) = requests.and_then(|requests| requests.get("storage")) else {
        report.required(&path, "");
        return None;
    };
    let bytes = resources::bytes(&text.0, &path, report)?;
    if bytes.0 == 0 {
        report.invalid(&path, &text.0, "must be greater than zero");
        return None;
    }
    Some(bytes)
}
