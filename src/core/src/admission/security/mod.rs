//! What the node's rules of security forbid, in Kubernetes' words: kernel parameters ([`sysctls`]), the Pod
//! Security Standards ([`standards`]), directories of the host ([`host_paths`]). Pure: the rules are the
//! configuration's and the namespaces' own labels.

pub mod host_paths;
pub mod standards;
pub mod sysctls;

use pinnace_api::Pod;
use pinnace_api::namespace::labels_of_unmade;

use super::Verdict;
use crate::config::{AllowedHostPath, NodeConfig, PodSecurityConfig};
use crate::network::NamespaceLabels;

/// Kubernetes' reason for an object that a rule keeps out.
pub const FORBIDDEN: &str = "Forbidden";

/// The node's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// `allowedUnsafeSysctls`.
    pub unsafe_sysctls: Vec<String>,
    /// `podSecurity`.
    pub pod_security: PodSecurityConfig,
    /// `allowedHostPaths`; `None` allows all.
    pub host_paths: Option<Vec<AllowedHostPath>>,
    /// Labels of namespaces that have an object.
    pub namespaces: NamespaceLabels,
}

impl Rules {
    /// Takes over what the configuration says; the namespaces stay.
    pub fn apply(&mut self, config: &NodeConfig) {
        self.unsafe_sysctls.clone_from(&config.allowed_unsafe_sysctls);
        self.pod_security.clone_from(&config.pod_security);
        self.host_paths.clone_from(&config.allowed_host_paths);
    }

    /// Why the pod may not run here, whoever placed it.
    pub(super) fn refusal(&self, pod: &Pod) -> Option<Verdict> {
        self.forbidden(pod).or_else(|| {
            sysctls::forbidden(&pod.spec, &self.unsafe_sysctls).map(|message| Verdict::Refused {
                reason: sysctls::FORBIDDEN,
                message,
                details: Vec::new(),
            })
        })
    }

    /// What a cluster's API server would not have let in.
    fn forbidden(&self, pod: &Pod) -> Option<Verdict> {
        let violation = self.violation(pod)?;
        Some(Verdict::Refused {
            reason: FORBIDDEN,
            message: format!("pods {:?} is forbidden: {violation}", pod.meta.name.as_str()),
            details: Vec::new(),
        })
    }

    fn violation(&self, pod: &Pod) -> Option<String> {
        let (levels, _) = self.levels(pod);
        standards::violation(levels.enforce, &pod.spec, &pod.meta.annotations)
            .map(|violation| {
                format!(
                    "violates PodSecurity \"{}:latest\": {violation}",
                    levels.enforce.as_str()
                )
            })
            .or_else(|| host_paths::violation(&pod.spec, self.host_paths.as_deref()?))
    }

    /// Sentences worth a warning about a pod that is let in.
    pub(super) fn notes(&self, pod: &Pod) -> Vec<String> {
        let (levels, mut notes) = self.levels(pod);
        if let Some(violation) = standards::violation(levels.warn, &pod.spec, &pod.meta.annotations) {
            let level = levels.warn.as_str();
            notes.push(format!(
                "would violate PodSecurity \"{level}:latest\": {violation}"
            ));
        }
        notes
    }

    /// The levels that hold for the pod, and what is wrong with its namespace's labels.
    fn levels(&self, pod: &Pod) -> (standards::Levels, Vec<String>) {
        let exempt = &self.pod_security.exemptions;
        let class = pod.spec.runtime_class_name.as_ref();
        if exempt.namespaces.contains(&pod.meta.namespace)
            || class.is_some_and(|class| exempt.runtime_classes.contains(class))
        {
            return (standards::Levels::default(), Vec::new());
        }
        let namespace = &pod.meta.namespace;
        match self.namespaces.get(namespace) {
            Some(labels) => self.pod_security.defaults.with_labels(labels),
            None => self
                .pod_security
                .defaults
                .with_labels(&labels_of_unmade(namespace)),
        }
    }
}
