//! `allowedHostPaths`: which directories of the host pods may mount.
//!
//! Paths are compared part by part, as they are written: `..` is refused when a pod is read. Where a link of
//! the host leads is the affair of whoever may write the host's directories.

use std::path::Path;

use pinnace_api::ContainerName;
use pinnace_api::pod::{Container, PodSpec, VolumeSource};

use crate::config::AllowedHostPath;

/// Why the pod's hostPath volumes are not allowed.
pub fn violation(spec: &PodSpec, allowed: &[AllowedHostPath]) -> Option<String> {
    for (index, volume) in spec.volumes.iter().enumerate() {
        let VolumeSource::HostPath { path, .. } = &volume.source else {
            continue;
        };
        let covers = |rule: &&AllowedHostPath| Path::new(path).starts_with(&rule.path_prefix);
        let mut rules = allowed.iter().filter(covers).peekable();
        if rules.peek().is_none() {
            let field = format!("spec.volumes[{index}].hostPath.pathPrefix");
            return Some(format!(
                "{field}: Invalid value: {path:?}: is not allowed to be used"
            ));
        }
        if rules.all(|rule| rule.read_only)
            && let Some(container) = writer(spec, &volume.name)
        {
            return Some(format!(
                "container {container:?}: volumeMounts of {:?}: readOnly: Invalid value: false: must be read-only",
                volume.name.as_str()
            ));
        }
    }
    None
}

/// A container that may write to the volume.
fn writer<'s>(spec: &'s PodSpec, volume: &ContainerName) -> Option<&'s str> {
    let writes = |container: &&Container| {
        let mounts = container.volume_mounts.iter();
        mounts
            .into_iter()
            .any(|mount| mount.volume == *volume && !mount.read_only)
    };
    let writer = spec.all_containers().find(writes)?;
    Some(writer.name.as_str())
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;

    fn judged(path: &str, read_only: bool, allowed: &[(&str, bool)]) -> Option<String> {
        let pod = testing::pod(
            "web",
            json!({
                "volumes": [{"name": "data", "hostPath": {"path": path}}],
                "containers": [{"name": "one", "image": "busybox",
                    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": read_only}]}],
            }),
        );
        let rule = |(prefix, read_only): &(&str, bool)| AllowedHostPath {
            path_prefix: (*prefix).to_owned(),
            read_only: *read_only,
        };
        let rules: Vec<AllowedHostPath> = allowed.iter().map(rule).collect();
        violation(&pod.spec, &rules)
    }

    #[test]
    fn only_what_lies_beneath_an_allowed_prefix_may_be_mounted() {
        assert_eq!(judged("/srv/data", false, &[("/srv", false)]), None);
        assert_eq!(judged("/srv", false, &[("/srv/", false)]), None);
        let words =
            "spec.volumes[0].hostPath.pathPrefix: Invalid value: \"/srvx\": is not allowed to be used";
        assert_eq!(judged("/srvx", false, &[("/srv", false)]).as_deref(), Some(words));
        assert!(judged("/etc", true, &[]).is_some());
    }

    #[test]
    fn what_is_allowed_for_reading_may_not_be_written() {
        assert_eq!(judged("/srv", true, &[("/srv", true)]), None);
        assert!(judged("/srv", false, &[("/srv", true)]).is_some());
        assert_eq!(
            judged("/srv/own", false, &[("/srv", true), ("/srv/own", false)]),
            None
        );
    }
}
