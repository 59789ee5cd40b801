//! The files of one volume, out of objects and the pod.

use std::collections::BTreeMap;

use pinnace_api::pod::{DownwardFile, DownwardValue, ObjectFiles, Projection, VolumeSource};

use super::path::checked;
use super::{FileError, MAX_BYTES, PayloadFile};
use crate::environment::{Facts, amount, field};
use crate::objects::MissingObject;

type Files = BTreeMap<String, PayloadFile>;

/// The volume's files; `None` of a volume that the node does not write.
pub(super) fn files(source: &VolumeSource, facts: &Facts<'_>) -> Result<Option<Files>, FileError> {
    let mut files = Files::new();
    match source {
        VolumeSource::ConfigMap {
            files: of,
            default_mode,
        } => {
            config_map(of, *default_mode, facts, &mut files)?;
        }
        VolumeSource::Secret {
            files: of,
            default_mode,
        } => secret(of, *default_mode, facts, &mut files)?,
        VolumeSource::DownwardApi { items, default_mode } => {
            downward(items, *default_mode, facts, &mut files)?;
        }
        VolumeSource::Projected {
            sources,
            default_mode,
        } => {
            projected(sources, *default_mode, facts, &mut files)?;
        }
        VolumeSource::HostPath { .. }
        | VolumeSource::EmptyDir { .. }
        | VolumeSource::Image { .. }
        | VolumeSource::Claim { .. }
        | VolumeSource::Ephemeral(_) => return Ok(None),
    }
    check(&files)?;
    Ok(Some(files))
}

fn config_map(of: &ObjectFiles, mode: u16, facts: &Facts<'_>, files: &mut Files) -> Result<(), FileError> {
    let found = facts.objects.config_map(&facts.pod.meta.namespace, &of.name);
    let Some(map) = unless_optional(found, of.optional, facts)? else {
        return Ok(());
    };
    take(of, mode, &map.entries(), FileError::ConfigMapKey, files)
}

fn secret(of: &ObjectFiles, mode: u16, facts: &Facts<'_>, files: &mut Files) -> Result<(), FileError> {
    let found = facts.objects.secret(&facts.pod.meta.namespace, &of.name);
    let Some(secret) = unless_optional(found, of.optional, facts)? else {
        return Ok(());
    };
    let entries = secret.data.iter();
    let entries = entries
        .map(|(key, bytes)| (key.as_str(), bytes.as_slice()))
        .collect();
    take(of, mode, &entries, FileError::SecretKey, files)
}

/// An object that may be missing counts as missing only once all objects have been read: an agent that has just
/// started would empty the volumes of living pods else.
fn unless_optional<T>(
    found: Result<T, MissingObject>,
    optional: bool,
    facts: &Facts<'_>,
) -> Result<Option<T>, FileError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(_) if optional && facts.objects.complete => Ok(None),
        Err(missing) => Err(missing.into()),
    }
}

/// The keys that are named, or all of them at paths of their names.
fn take(
    of: &ObjectFiles,
    default_mode: u16,
    entries: &BTreeMap<&str, &[u8]>,
    missing: impl Fn(String) -> FileError,
    files: &mut Files,
) -> Result<(), FileError> {
    if of.items.is_empty() {
        for (key, bytes) in entries {
            put(key, bytes.to_vec(), default_mode, files)?;
        }
        return Ok(());
    }
    for item in &of.items {
        match entries.get(item.key.as_str()) {
            Some(bytes) => put(
                &item.path,
                bytes.to_vec(),
                item.mode.unwrap_or(default_mode),
                files,
            )?,
            None if of.optional => {}
            None => return Err(missing(item.key.clone())),
        }
    }
    Ok(())
}

fn downward(
    items: &[DownwardFile],
    mode: u16,
    facts: &Facts<'_>,
    files: &mut Files,
) -> Result<(), FileError> {
    for item in items {
        let text = match &item.value {
            DownwardValue::Field(selector) => field(selector, facts),
            DownwardValue::Resource(selector) => amount(selector, None, facts).to_string(),
        };
        put(&item.path, text.into_bytes(), item.mode.unwrap_or(mode), files)?;
    }
    Ok(())
}

/// All sources that can be had; what fails is told together.
fn projected(
    sources: &[Projection],
    mode: u16,
    facts: &Facts<'_>,
    files: &mut Files,
) -> Result<(), FileError> {
    let mut errors = Vec::new();
    for source in sources {
        let done = match source {
            Projection::ConfigMap(of) => config_map(of, mode, facts, files),
            Projection::Secret(of) => secret(of, mode, facts, files),
            Projection::DownwardApi(items) => downward(items, mode, facts, files),
            // No cluster, no token: there is nobody who would take one.
            Projection::ServiceAccountToken { .. } => Ok(()),
        };
        errors.extend(done.err());
    }
    match errors.pop() {
        None => Ok(()),
        Some(only) if errors.is_empty() => Err(only),
        Some(last) => {
            errors.push(last);
            Err(FileError::Several(errors))
        }
    }
}

fn put(path: &str, bytes: Vec<u8>, mode: u16, files: &mut Files) -> Result<(), FileError> {
    files.insert(checked(path)?, PayloadFile { bytes, mode });
    Ok(())
}

fn check(files: &Files) -> Result<(), FileError> {
    let bytes: usize = files.values().map(|file| file.bytes.len()).sum();
    if bytes > MAX_BYTES {
        return Err(FileError::TooLarge);
    }
    for path in files.keys() {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if let Some(file) = above.into_iter().find(|above| files.contains_key(*above)) {
            return Err(FileError::Through {
                beneath: path.clone(),
                file: file.to_owned(),
            });
        }
    }
    Ok(())
}
