//! A PersistentVolumeClaim, and a StorageClass.

use k8s_openapi::api::core::v1;
use k8s_openapi::api::storage::v1 as storage;

use super::{filled, meta, required, volume};
use crate::claim::{PersistentVolumeClaim, ReclaimPolicy, StorageClass};
use crate::document::Document;
use crate::ident::Namespace;
use crate::names;
use crate::report::Report;
use crate::tree::Path;

/// A PersistentVolumeClaim of a manifest.
pub(crate) fn claim(
    given: &v1::PersistentVolumeClaim,
    document: Document,
    report: &mut Report<'_>,
) -> Option<PersistentVolumeClaim> {
    let meta = meta::metadata(&given.metadata, &Path::Root.field("metadata"), report);
    let absent = v1::PersistentVolumeClaimSpec::default();
    let spec = given.spec.as_ref().unwrap_or(&absent);
    let spec = volume::claim_spec(spec, &Path::Root.field("spec"), report);
    Some(PersistentVolumeClaim {
        meta: meta?,
        spec: spec?,
        document,
    })
}

/// A StorageClass of a manifest.
pub(crate) fn storage_class(
    given: &storage::StorageClass,
    document: Document,
    report: &mut Report<'_>,
) -> Option<StorageClass> {
    let meta = meta::metadata(&given.metadata, &Path::Root.field("metadata"), report);
    let provisioner_path = Path::Root.field("provisioner");
    let rule = |text: &str| names::qualified_name(&text.to_lowercase());
    let provisioner = required(&given.provisioner, rule, &provisioner_path, report);
    let policy_path = Path::Root.field("reclaimPolicy");
    let reclaim_policy = match filled(&given.reclaim_policy) {
        None | Some("Delete") => Some(ReclaimPolicy::Delete),
        Some("Retain") => Some(ReclaimPolicy::Retain),
        Some(other) => {
            report.unsupported(&policy_path, other, &["Delete", "Retain"]);
            None
        }
    };
    if let Some(mode) = filled(&given.volume_binding_mode)
        && !["Immediate", "WaitForFirstConsumer"].contains(&mode)
    {
        let words = ["Immediate", "WaitForFirstConsumer"];
        report.unsupported(&Path::Root.field("volumeBindingMode"), mode, &words);
    }
    let mut meta = meta?;
    // A class is in no namespace; as an API server does, what is said of it is passed over.
    meta.namespace = Namespace::default();
    Some(StorageClass {
        meta,
        provisioner: provisioner?.to_owned(),
        reclaim_policy: reclaim_policy?,
        document,
    })
}
