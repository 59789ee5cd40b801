//! Volumes whose files the node writes: of ConfigMaps, of Secrets, of the pod itself.

use k8s_openapi::api::core::v1;

use crate::convert::downward::{self, Names};
use crate::convert::{required, within};
use crate::ident::ObjectName;
use crate::names;
use crate::pod::{DownwardFile, DownwardValue, KeyToPath, ObjectFiles, VolumeSource};
use crate::report::Report;
use crate::tree::Path;

const DEFAULT_MODE: u16 = 0o644;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// The keys of a ConfigMap.
pub(super) fn config_map(
    given: &v1::ConfigMapVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let default_mode = default_mode(given.default_mode, path, report);
    let items = given.items.as_deref();
    let files = object(&given.name, "name", items, given.optional, path, report);
    Some(VolumeSource::ConfigMap {
        files: files?,
        default_mode: default_mode?,
    })
}

/// The keys of a Secret.
pub(super) fn secret(
    given: &v1::SecretVolumeSource,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let default_mode = default_mode(given.default_mode, path, report);
    let name = given.secret_name.as_deref().unwrap_or_default();
    let items = given.items.as_deref();
    let files = object(name, "secretName", items, given.optional, path, report);
    Some(VolumeSource::Secret {
        files: files?,
        default_mode: default_mode?,
    })
}

/// Fields of the pod.
pub(super) fn downward_api(
    given: &v1::DownwardAPIVolumeSource,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let default_mode = default_mode(given.default_mode, path, report);
    Some(VolumeSource::DownwardApi {
        items: downward_files(given.items.as_deref(), containers, path, report),
        default_mode: default_mode?,
    })
}

/// What of a ConfigMap or Secret becomes files; `field` is how its name is called.
pub(super) fn object(
    name: &str,
    field: &str,
    items: Option<&[v1::KeyToPath]>,
    optional: Option<bool>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<ObjectFiles> {
    let name = required(name, names::dns_subdomain, &path.field(field), report);
    let items_path = path.field("items");
    let item = |(index, given)| key_to_path(given, &items_path.index(index), report);
    let items = items.unwrap_or_default().iter().enumerate().filter_map(item);
    let items = items.collect();
    Some(ObjectFiles {
        name: ObjectName::new(name?).ok()?,
        items,
        optional: optional.unwrap_or(false),
    })
}

fn key_to_path(given: &v1::KeyToPath, path: &Path<'_>, report: &mut Report<'_>) -> Option<KeyToPath> {
    if given.key.is_empty() {
        report.required(&path.field("key"), "");
    }
    let target = local_path(&given.path, &path.field("path"), report);
    Some(KeyToPath {
        key: Some(given.key.clone()).filter(|key| !key.is_empty())?,
        path: target?,
        mode: mode(given.mode, &path.field("mode"), report).ok()?,
    })
}

/// The files of the downward API, beneath `path`.
pub(super) fn downward_files(
    given: Option<&[v1::DownwardAPIVolumeFile]>,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<DownwardFile> {
    let path = path.field("items");
    let file = |(index, given)| downward_file(given, containers, &path.index(index), report);
    let given = given.unwrap_or_default();
    given.iter().enumerate().filter_map(file).collect()
}

fn downward_file(
    given: &v1::DownwardAPIVolumeFile,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<DownwardFile> {
    let target = local_path(&given.path, &path.field("path"), report);
    let mode = mode(given.mode, &path.field("mode"), report);
    let value = match (&given.field_ref, &given.resource_field_ref) {
        (Some(_), Some(_)) => {
            let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
            report.invalid(path, "resource", why);
            None
        }
        (Some(field), None) => {
            let path = path.field("fieldRef");
            downward::field(field, downward::Use::File, &path, report).map(DownwardValue::Field)
        }
        (None, Some(resource)) => {
            let path = path.field("resourceFieldRef");
            downward::resource(resource, downward::Use::File, containers, &path, report)
                .map(DownwardValue::Resource)
        }
        (None, None) => {
            report.required(path, "one of fieldRef and resourceFieldRef is required");
            None
        }
    };
    Some(DownwardFile {
        path: target?,
        value: value?,
        mode: mode.ok()?,
    })
}

/// A path within the volume, none of whose parts is `..`, and which does not begin as the node's own files do.
pub(super) fn local_path(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
    let why = if text.is_empty() {
        report.required(path, "");
        return None;
    } else if text.starts_with('/') {
        "must be a relative path"
    } else if text.split('/').any(|part| part == "..") {
        "must not contain '..'"
    } else if text.starts_with("..") {
        "must not start with '..'"
    } else if text.contains('\0') {
        "must not contain a null character"
    } else {
        return Some(text.to_owned());
    };
    report.invalid(path, text, why);
    None
}

/// `defaultMode` of the volume at `path`.
pub(super) fn default_mode(given: Option<i32>, path: &Path<'_>, report: &mut Report<'_>) -> Option<u16> {
    let mode = mode(given, &path.field("defaultMode"), report).ok()?;
    Some(mode.unwrap_or(DEFAULT_MODE))
}

/// A file's permissions were given and are none.
struct NoMode;

fn mode(given: Option<i32>, path: &Path<'_>, report: &mut Report<'_>) -> Result<Option<u16>, NoMode> {
    let Some(number) = given else {
        return Ok(None);
    };
    match u16::try_from(number) {
        Ok(mode) if mode <= 0o777 => Ok(Some(mode)),
        _ => {
            report.invalid_value(path, number, MODE);
            Err(NoMode)
        }
    }
}

/// Seconds that a token is good for.
pub(super) fn token_seconds(given: Option<i64>, path: &Path<'_>, report: &mut Report<'_>) -> Option<u64> {
    let seconds = given.unwrap_or(3600);
    let why = if seconds < 600 {
        "may not specify a duration less than 10 minutes"
    } else if seconds > 1 << 32 {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return within(seconds, 600, 1 << 32, path, report);
    };
    report.invalid_value(path, seconds, why);
    None
}
