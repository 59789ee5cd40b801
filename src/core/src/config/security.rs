//! Settings of security.

use std::collections::BTreeSet;

use pinnace_api::Namespace;

use crate::admission::security::standards::Levels;

/// `podSecurity`: which Pod Security Standard holds, with the words of Kubernetes' PodSecurityConfiguration.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodSecurityConfig {
    /// Of namespaces whose labels say nothing.
    pub defaults: Levels,
    /// To which none applies.
    pub exemptions: PodSecurityExemptions,
}

/// `podSecurity.exemptions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodSecurityExemptions {
    /// All pods of these namespaces.
    pub namespaces: BTreeSet<Namespace>,
    /// All pods of these runtime classes.
    pub runtime_classes: BTreeSet<String>,
}

/// An entry of `allowedHostPaths`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllowedHostPath {
    /// Absolute; what lies beneath it may be mounted too.
    pub path_prefix: String,
    /// For reading only; false by default.
    #[serde(default)]
    pub read_only: bool,
}
