//! Image references and pull policies.

use crate::pod::PullPolicy;
use crate::report::Report;
use crate::tree::Path;

/// A reference to an image.
pub(super) fn reference<'i>(image: &'i str, path: &Path<'_>, report: &mut Report<'_>) -> Option<&'i str> {
    if image.is_empty() {
        report.required(path, "");
        return None;
    }
    if image.trim() != image {
        report.invalid(path, image, "must not have leading or trailing whitespace");
        return None;
    }
    Some(image)
}

/// The policy named, or that of the image's tag.
pub(super) fn pull_policy(
    text: Option<&str>,
    image: &str,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<PullPolicy> {
    match text {
        Some("Always") => Some(PullPolicy::Always),
        Some("IfNotPresent") => Some(PullPolicy::IfNotPresent),
        Some("Never") => Some(PullPolicy::Never),
        None => Some(default_pull_policy(image)),
        Some(other) => {
            report.unsupported(path, other, &["Always", "IfNotPresent", "Never"]);
            None
        }
    }
}

/// The policy of a container that names none.
pub(crate) fn default_pull_policy(image: &str) -> PullPolicy {
    if has_latest_tag(image) {
        PullPolicy::Always
    } else {
        PullPolicy::IfNotPresent
    }
}

/// Whether the image is named by the tag `latest`, which is also the tag of one that names neither a tag nor
/// a digest.
fn has_latest_tag(image: &str) -> bool {
    let (name, digest) = image
        .split_once('@')
        .map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none(),
    }
}
