//! ConfigMaps, Secrets, claims, storage classes.

use super::{BY_SERVER, Fields, Held, Inert, Into, NO, Refused};

const OWN_DIRECTORY: &str = "the node's own volumes are directories, which know none";

pub(super) const CONFIG_MAP: Fields = &[
    ("apiVersion", Held),
    ("binaryData", Held),
    ("data", Held),
    ("immutable", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
];

pub(super) const SECRET: Fields = &[
    ("apiVersion", Held),
    ("data", Held),
    ("immutable", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("stringData", Held),
    ("type", Held),
];

pub(super) const CLAIM: Fields = &[
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("spec", NO),
    ("status", Inert(&["{}"], BY_SERVER)),
];

pub(super) const CLAIM_SPEC: Fields = &[
    ("accessModes", Held),
    ("dataSource", NO),
    ("dataSourceRef", NO),
    ("resources", Into("VolumeResourceRequirements")),
    ("selector", NO),
    ("storageClassName", Held),
    ("volumeAttributesClassName", NO),
    ("volumeMode", Refused(&["\"Filesystem\""])),
    ("volumeName", Held),
];

pub(super) const CLAIM_TEMPLATE: Fields = &[
    ("metadata", Into("TemplateMeta")),
    ("spec", Into("PersistentVolumeClaimSpec")),
];

pub(super) const STORAGE_CLASS: Fields = &[
    ("allowVolumeExpansion", Inert(&["false"], OWN_DIRECTORY)),
    ("allowedTopologies", NO),
    ("apiVersion", Held),
    ("kind", Held),
    ("metadata", Into("ObjectMeta")),
    ("mountOptions", Inert(&[], OWN_DIRECTORY)),
    ("parameters", Inert(&["{}"], OWN_DIRECTORY)),
    ("provisioner", NO),
    ("reclaimPolicy", NO),
    (
        "volumeBindingMode",
        Inert(
            &["\"Immediate\"", "\"WaitForFirstConsumer\""],
            "on one node a volume is where its pods are, whenever it is made",
        ),
    ),
];
