//! Projected volumes: several sources in one directory.

use std::collections::HashSet;

use k8s_openapi::api::core::v1;

use super::files;
use crate::convert::downward::Names;
use crate::convert::filled;
use crate::pod::{Projection, VolumeSource};
use crate::report::Report;
use crate::tree::Path;

/// Several sources in one directory.
pub(super) fn projected(
    given: &v1::ProjectedVolumeSource,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<VolumeSource> {
    let default_mode = files::default_mode(given.default_mode, path, report);
    let sources_path = path.field("sources");
    let mut paths = HashSet::new();
    let mut sources = Vec::new();
    for (index, given) in given.sources.iter().flatten().enumerate() {
        let source = source(given, containers, &sources_path.index(index), report);
        for file in source.iter().flat_map(named_paths) {
            if !paths.insert(file.to_owned()) {
                report.invalid(path, file, "conflicting duplicate paths");
            }
        }
        sources.extend(source);
    }
    Some(VolumeSource::Projected {
        sources,
        default_mode: default_mode?,
    })
}

/// The paths that a source gives its files by name.
fn named_paths(source: &Projection) -> Vec<&str> {
    match source {
        Projection::ConfigMap(files) | Projection::Secret(files) => {
            files.items.iter().map(|item| item.path.as_str()).collect()
        }
        Projection::DownwardApi(files) => files.iter().map(|file| file.path.as_str()).collect(),
        Projection::ServiceAccountToken { .. } => Vec::new(),
    }
}

/// One source; kinds that are not served were reported when the fields were looked up.
fn source(
    given: &v1::VolumeProjection,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<Projection> {
    let count = [
        given.secret.is_some(),
        given.config_map.is_some(),
        given.downward_api.is_some(),
        given.service_account_token.is_some(),
    ];
    if count.into_iter().filter(|is_given| *is_given).count() > 1 {
        report.forbidden(path, "may not specify more than 1 volume type per source");
        return None;
    }
    if let Some(given) = &given.secret {
        let (items, path) = (given.items.as_deref(), path.field("secret"));
        let files = files::object(&given.name, "name", items, given.optional, &path, report);
        return files.map(Projection::Secret);
    }
    if let Some(given) = &given.config_map {
        let (items, path) = (given.items.as_deref(), path.field("configMap"));
        let files = files::object(&given.name, "name", items, given.optional, &path, report);
        return files.map(Projection::ConfigMap);
    }
    if let Some(given) = &given.downward_api {
        let path = path.field("downwardAPI");
        let files = files::downward_files(given.items.as_deref(), containers, &path, report);
        return Some(Projection::DownwardApi(files));
    }
    let token = given.service_account_token.as_ref()?;
    let path = path.field("serviceAccountToken");
    let seconds = files::token_seconds(token.expiration_seconds, &path.field("expirationSeconds"), report);
    let target = files::local_path(&token.path, &path.field("path"), report);
    Some(Projection::ServiceAccountToken {
        path: target?,
        audience: filled(&token.audience).map(str::to_owned),
        expiration_seconds: seconds?,
    })
}
