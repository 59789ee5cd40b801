//! The records' text: JSON with a version, which is looked at before anything else.

use std::ffi::OsStr;

use pinnace_api::PodUid;
use pinnace_core::node::NodeRecord;
use pinnace_core::pod::{PodIdentity, Progress};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::FormatError;

/// The version that this release reads and writes.
pub(crate) const VERSION: u32 = 1;
const EXTENSION: &str = ".json";

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// The name of a pod's identity record.
pub(crate) fn identity_name(uid: &PodUid) -> String {
    format!("{uid}{EXTENSION}")
}

/// Whether a file is meant to be a record at all.
pub(crate) fn is_record(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(EXTENSION))
}

/// The pod that a record's file is named after.
pub(crate) fn uid_of(name: &OsStr) -> Option<PodUid> {
    let uid = name.to_str()?.strip_suffix(EXTENSION)?;
    PodUid::new(uid).ok()
}

/// Reads the identity of the pod that the file is named after.
pub(crate) fn read_identity(uid: &PodUid, bytes: &[u8]) -> Result<PodIdentity, FormatError> {
    let identity: PodIdentity = read(bytes)?;
    if identity.uid == *uid {
        Ok(identity)
    } else {
        Err(FormatError::OtherPod { found: identity.uid })
    }
}

/// Reads a progress record.
pub(crate) fn read_progress(bytes: &[u8]) -> Result<Progress, FormatError> {
    read(bytes)
}

/// Reads the node's record.
pub(crate) fn read_node(bytes: &[u8]) -> Result<NodeRecord, FormatError> {
    read(bytes)
}

pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(FormatError::Json)?;
    if versioned.version != u64::from(VERSION) {
        return Err(FormatError::Version {
            found: versioned.version,
            known: VERSION,
        });
    }
    serde_json::from_slice(bytes).map_err(FormatError::Json)
}
