//! Where variables and volumes come from.

use super::{Fields, Held, Into, NO, TOKEN_FILE};

pub(super) const ENV_VAR: Fields = &[
    ("name", Held),
    ("value", Held),
    ("valueFrom", Into("EnvVarSource")),
];

pub(super) const ENV_VAR_SOURCE: Fields = &[
    ("configMapKeyRef", Into("ConfigMapKeySelector")),
    ("fieldRef", Into("ObjectFieldSelector")),
    ("fileKeyRef", NO),
    ("resourceFieldRef", Into("ResourceFieldSelector")),
    ("secretKeyRef", Into("SecretKeySelector")),
];

pub(super) const KEY_SELECTOR: Fields = &[("key", Held), ("name", Held), ("optional", Held)];

pub(super) const FIELD_SELECTOR: Fields = &[("apiVersion", Held), ("fieldPath", Held)];

pub(super) const RESOURCE_SELECTOR: Fields =
    &[("containerName", Held), ("divisor", Held), ("resource", Held)];

pub(super) const ENV_FROM: Fields = &[
    ("configMapRef", Into("ConfigMapEnvSource")),
    ("prefix", Held),
    ("secretRef", Into("SecretEnvSource")),
];

pub(super) const ENV_OBJECT: Fields = &[("name", Held), ("optional", Held)];

pub(super) const CONFIG_MAP_VOLUME: Fields = &[
    ("defaultMode", Held),
    ("defaultUser", NO),
    ("items", Into("KeyToPath")),
    ("name", Held),
    ("optional", Held),
];

pub(super) const SECRET_VOLUME: Fields = &[
    ("defaultMode", Held),
    ("defaultUser", NO),
    ("items", Into("KeyToPath")),
    ("optional", Held),
    ("secretName", Held),
];

pub(super) const KEY_TO_PATH: Fields = &[("key", Held), ("mode", Held), ("path", Held), ("user", NO)];

pub(super) const DOWNWARD_VOLUME: Fields = &[
    ("defaultMode", Held),
    ("defaultUser", NO),
    ("items", Into("DownwardAPIVolumeFile")),
];

pub(super) const DOWNWARD_FILE: Fields = &[
    ("fieldRef", Into("ObjectFieldSelector")),
    ("mode", Held),
    ("path", Held),
    ("resourceFieldRef", Into("ResourceFieldSelector")),
    ("user", NO),
];

pub(super) const PROJECTED: Fields = &[
    ("defaultMode", Held),
    ("defaultUser", NO),
    ("sources", Into("VolumeProjection")),
];

pub(super) const PROJECTION: Fields = &[
    ("clusterTrustBundle", NO),
    ("configMap", Into("ConfigMapProjection")),
    ("downwardAPI", Into("DownwardAPIProjection")),
    ("podCertificate", NO),
    ("secret", Into("SecretProjection")),
    ("serviceAccountToken", Into("ServiceAccountTokenProjection")),
];

pub(super) const OBJECT_PROJECTION: Fields =
    &[("items", Into("KeyToPath")), ("name", Held), ("optional", Held)];

pub(super) const TOKEN_PROJECTION: Fields = &[
    ("audience", TOKEN_FILE),
    ("expirationSeconds", TOKEN_FILE),
    ("path", TOKEN_FILE),
    ("user", NO),
];

pub(super) const IMAGE_VOLUME: Fields = &[("pullPolicy", Held), ("reference", Held)];

pub(super) const CLAIM_VOLUME: Fields = &[("claimName", Held), ("readOnly", Held)];
