//! Profiles of seccomp and AppArmor, labels of SELinux.

use k8s_openapi::api::core::v1;

use crate::pod::{AppArmorProfile, SeLinuxOptions, SeccompProfile};
use crate::report::Report;
use crate::tree::Path;

const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

/// Bytes of an AppArmor profile's name: a path's without its end.
const MOST_PROFILE_BYTES: usize = 4095;

/// `seccompProfile`.
pub(super) fn seccomp(
    given: Option<&v1::SeccompProfile>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<SeccompProfile> {
    let given = given?;
    let local_path = path.field("localhostProfile");
    let local = given.localhost_profile.as_deref();
    if given.type_ == "Localhost" {
        let Some(file) = local.filter(|file| !file.is_empty()) else {
            report.required(&local_path, "must be set when seccomp type is Localhost");
            return None;
        };
        return local_file(file, &local_path, report).map(SeccompProfile::Localhost);
    }
    if let Some(file) = local {
        report.invalid(
            &local_path,
            file,
            "can only be set when seccomp type is Localhost",
        );
    }
    match given.type_.as_str() {
        "RuntimeDefault" => return Some(SeccompProfile::RuntimeDefault),
        "Unconfined" => return Some(SeccompProfile::Unconfined),
        "" => report.required(&path.field("type"), "type is required when seccompProfile is set"),
        other => report.unsupported(&path.field("type"), other, &TYPES),
    }
    None
}

fn local_file(file: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<String> {
    let why = if file.starts_with('/') {
        "must be a relative path"
    } else if file.split('/').any(|part| part == "..") {
        "must not contain '..'"
    } else if file.contains('\0') {
        "must not contain a null character"
    } else {
        return Some(file.to_owned());
    };
    report.invalid(path, file, why);
    None
}

/// `appArmorProfile`.
pub(super) fn app_armor(
    given: Option<&v1::AppArmorProfile>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<AppArmorProfile> {
    let given = given?;
    let local_path = path.field("localhostProfile");
    let local = given.localhost_profile.as_deref();
    if given.type_ == "Localhost" {
        let name = local.unwrap_or_default();
        if name.trim() != name {
            report.invalid(&local_path, name, "must not be padded with whitespace");
        } else if name.is_empty() {
            report.required(&local_path, "must be set when AppArmor type is Localhost");
        } else if name.len() > MOST_PROFILE_BYTES {
            report.too_long(&local_path, MOST_PROFILE_BYTES);
        } else {
            return Some(AppArmorProfile::Localhost(name.to_owned()));
        }
        return None;
    }
    if let Some(name) = local {
        report.invalid(
            &local_path,
            name,
            "can only be set when AppArmor type is Localhost",
        );
    }
    match given.type_.as_str() {
        "RuntimeDefault" => return Some(AppArmorProfile::RuntimeDefault),
        "Unconfined" => return Some(AppArmorProfile::Unconfined),
        "" => report.required(
            &path.field("type"),
            "type is required when appArmorProfile is set",
        ),
        other => report.unsupported(&path.field("type"), other, &TYPES),
    }
    None
}

/// `seLinuxOptions`; without any part, as if absent.
pub(super) fn se_linux(given: Option<&v1::SELinuxOptions>) -> Option<SeLinuxOptions> {
    let given = given?;
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let options = SeLinuxOptions {
        user: part(&given.user),
        role: part(&given.role),
        kind: part(&given.type_),
        level: part(&given.level),
    };
    Some(options).filter(|options| *options != SeLinuxOptions::default())
}
