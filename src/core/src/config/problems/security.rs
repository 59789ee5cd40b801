//! What may be wrong with settings of security.

use std::path::{Component, Path};

use super::super::NodeConfig;
use super::{ABSOLUTE_RULE, Findings};
use crate::admission::security::sysctls;

const MAX_SYSCTLS: usize = 1000;
const MAX_HOST_PATHS: usize = 1000;
const MAX_EXEMPTIONS: usize = 1000;

pub(super) fn check(config: &NodeConfig, found: &mut Findings) {
    if let Some(root) = &config.seccomp_profile_root {
        found.unless(is_clean(root), "seccompProfileRoot", || ABSOLUTE_RULE.to_owned());
    }
    let sysctls = &config.allowed_unsafe_sysctls;
    found.unless(sysctls.len() <= MAX_SYSCTLS, "allowedUnsafeSysctls", || {
        format!("must be at most {MAX_SYSCTLS} sysctls")
    });
    for (index, pattern) in sysctls.iter().take(MAX_SYSCTLS).enumerate() {
        if let Some(wrong) = sysctls::wrong_pattern(pattern) {
            found.unless(false, &format!("allowedUnsafeSysctls[{index}]"), || wrong);
        }
    }
    let exempt = &config.pod_security.exemptions;
    let exemptions = exempt.namespaces.len() + exempt.runtime_classes.len();
    found.unless(exemptions <= MAX_EXEMPTIONS, "podSecurity.exemptions", || {
        format!("must be at most {MAX_EXEMPTIONS} names")
    });
    let paths = config.allowed_host_paths.as_deref().unwrap_or_default();
    found.unless(paths.len() <= MAX_HOST_PATHS, "allowedHostPaths", || {
        format!("must be at most {MAX_HOST_PATHS} paths")
    });
    for (index, path) in paths.iter().take(MAX_HOST_PATHS).enumerate() {
        let field = format!("allowedHostPaths[{index}].pathPrefix");
        found.unless(is_clean(&path.path_prefix), &field, || ABSOLUTE_RULE.to_owned());
    }
}

fn is_clean(path: &str) -> bool {
    let path = Path::new(path);
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}
