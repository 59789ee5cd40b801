//! What the files of a configMap, secret, downwardAPI or projected volume hold.
//!
//! ```text
//! volume ─▶ its objects' keys, the pod's fields ─▶ path → (bytes, mode) ─▶ `Volumes::prepare`, `Volumes::write`
//! ```
//!
//! A path of a payload goes down only, and none lies beneath another's file: an adapter may join it to a directory
//! of its own. What a file holds is never printed.

mod collect;
mod error;
mod path;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use pinnace_api::ContainerName;
use pinnace_api::pod::environment::ObjectSource;
use pinnace_api::pod::{EnvValue, PodSpec, Projection, VolumeSource};

use crate::environment::Facts;

pub use error::{FileError, PayloadError};

/// The most that one volume's files may hold together.
pub const MAX_BYTES: usize = 32 << 20;

/// What `fsGroup` lets the group do with a file that only the node writes.
const GROUP_READS: u16 = 0o440;

/// All of a pod's volumes that the node writes, by their names.
pub type Payloads = BTreeMap<ContainerName, Payload>;

/// The files of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// By their paths in the volume.
    pub files: BTreeMap<String, PayloadFile>,
    /// Who owns all of it beside root: the pod's `fsGroup`.
    pub group: Option<u32>,
}

/// One file.
#[derive(Clone, PartialEq, Eq)]
pub struct PayloadFile {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its permissions, `fsGroup`'s part included.
    pub mode: u16,
}

impl fmt::Debug for PayloadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadFile")
            .field("bytes", &self.bytes.len())
            .field("mode", &format_args!("{:#o}", self.mode))
            .finish()
    }
}

/// What the pod's volumes hold that the node writes and can, and why the first of the others cannot be written.
pub fn payloads(facts: &Facts<'_>) -> (Payloads, Option<PayloadError>) {
    let (mut payloads, mut failed) = (Payloads::new(), None);
    for volume in &facts.pod.spec.volumes {
        match collect::files(&volume.source, facts) {
            Ok(None) => {}
            Ok(Some(mut files)) => {
                let group = facts.pod.spec.security.fs_group;
                if group.is_some() {
                    files.values_mut().for_each(|file| file.mode |= GROUP_READS);
                }
                payloads.insert(volume.name.clone(), Payload { files, group });
            }
            Err(source) => {
                failed.get_or_insert_with(|| PayloadError {
                    volume: volume.name.clone(),
                    source,
                });
            }
        }
    }
    (payloads, failed)
}

/// Every ConfigMap and Secret that the pod takes variables or files from.
pub fn sources_of(spec: &PodSpec) -> std::collections::BTreeSet<ObjectSource> {
    let mut sources: Vec<ObjectSource> = Vec::new();
    for volume in &spec.volumes {
        match &volume.source {
            VolumeSource::ConfigMap { files, .. } => {
                sources.push(ObjectSource::ConfigMap(files.name.clone()))
            }
            VolumeSource::Secret { files, .. } => sources.push(ObjectSource::Secret(files.name.clone())),
            VolumeSource::Projected { sources: of, .. } => sources.extend(of.iter().filter_map(projected)),
            _ => {}
        }
    }
    for container in spec.all_containers() {
        sources.extend(container.env_from.iter().map(|from| from.source.clone()));
        let keys = container.env.iter().filter_map(|variable| match &variable.value {
            EnvValue::ConfigMapKey(key) => Some(ObjectSource::ConfigMap(key.name.clone())),
            EnvValue::SecretKey(key) => Some(ObjectSource::Secret(key.name.clone())),
            EnvValue::Literal(_) | EnvValue::Field(_) | EnvValue::Resource(_) => None,
        });
        sources.extend(keys);
    }
    sources.into_iter().collect()
}

fn projected(source: &Projection) -> Option<ObjectSource> {
    match source {
        Projection::ConfigMap(files) => Some(ObjectSource::ConfigMap(files.name.clone())),
        Projection::Secret(files) => Some(ObjectSource::Secret(files.name.clone())),
        Projection::DownwardApi(_) | Projection::ServiceAccountToken { .. } => None,
    }
}
