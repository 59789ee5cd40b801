//! Which kinds this node runs, takes note of, or does not know yet.

/// What is done with objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// A pod, to be run.
    Pod,
    /// A DaemonSet, of which a pod is made.
    DaemonSet,
    /// A Service, in front of pods.
    Service,
    /// A NetworkPolicy, around pods.
    NetworkPolicy,
    /// A Namespace, of which the labels count.
    Namespace,
    /// A ConfigMap, from which pods take texts.
    ConfigMap,
    /// A Secret, likewise.
    Secret,
    /// A PersistentVolumeClaim, for storage that outlasts a pod.
    PersistentVolumeClaim,
    /// A StorageClass, by which claims are served.
    StorageClass,
    /// A PodTemplate: checked, and noted.
    PodTemplate,
    /// A list: its items are objects of their own; `Some` where all are of one kind.
    List { of: Option<&'static str> },
    /// Without effect here, with the reason.
    Noted { why: &'static str },
}

const NO_API: &str = "it concerns only an API server, and none asks it here";
const NO_ACCOUNTS: &str = "no API server asks for accounts or rights here";
const NO_EVICTION: &str = "nothing here evicts pods by that budget";
const NO_PREEMPTION: &str = "no pod is preempted by priority here";

/// Kind, its API version, and what is done with it.
const KINDS: [(&str, &str, Treatment); 37] = [
    ("Pod", "v1", Treatment::Pod),
    ("DaemonSet", "apps/v1", Treatment::DaemonSet),
    ("List", "v1", Treatment::List { of: None }),
    ("PodList", "v1", Treatment::List { of: Some("Pod") }),
    (
        "DaemonSetList",
        "apps/v1",
        Treatment::List {
            of: Some("DaemonSet"),
        },
    ),
    ("Service", "v1", Treatment::Service),
    ("ServiceList", "v1", Treatment::List { of: Some("Service") }),
    ("NetworkPolicy", "networking.k8s.io/v1", Treatment::NetworkPolicy),
    (
        "NetworkPolicyList",
        "networking.k8s.io/v1",
        Treatment::List {
            of: Some("NetworkPolicy"),
        },
    ),
    ("Namespace", "v1", Treatment::Namespace),
    (
        "NamespaceList",
        "v1",
        Treatment::List {
            of: Some("Namespace"),
        },
    ),
    ("PodTemplate", "v1", Treatment::PodTemplate),
    (
        "PodTemplateList",
        "v1",
        Treatment::List {
            of: Some("PodTemplate"),
        },
    ),
    ("ConfigMap", "v1", Treatment::ConfigMap),
    (
        "ConfigMapList",
        "v1",
        Treatment::List {
            of: Some("ConfigMap"),
        },
    ),
    ("Secret", "v1", Treatment::Secret),
    ("SecretList", "v1", Treatment::List { of: Some("Secret") }),
    ("PersistentVolumeClaim", "v1", Treatment::PersistentVolumeClaim),
    (
        "PersistentVolumeClaimList",
        "v1",
        Treatment::List {
            of: Some("PersistentVolumeClaim"),
        },
    ),
    ("StorageClass", "storage.k8s.io/v1", Treatment::StorageClass),
    (
        "StorageClassList",
        "storage.k8s.io/v1",
        Treatment::List {
            of: Some("StorageClass"),
        },
    ),
    ("ServiceAccount", "v1", Treatment::Noted { why: NO_ACCOUNTS }),
    (
        "Role",
        "rbac.authorization.k8s.io/v1",
        Treatment::Noted { why: NO_ACCOUNTS },
    ),
    (
        "ClusterRole",
        "rbac.authorization.k8s.io/v1",
        Treatment::Noted { why: NO_ACCOUNTS },
    ),
    (
        "RoleBinding",
        "rbac.authorization.k8s.io/v1",
        Treatment::Noted { why: NO_ACCOUNTS },
    ),
    (
        "ClusterRoleBinding",
        "rbac.authorization.k8s.io/v1",
        Treatment::Noted { why: NO_ACCOUNTS },
    ),
    (
        "PodDisruptionBudget",
        "policy/v1",
        Treatment::Noted { why: NO_EVICTION },
    ),
    (
        "PriorityClass",
        "scheduling.k8s.io/v1",
        Treatment::Noted { why: NO_PREEMPTION },
    ),
    (
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    (
        "APIService",
        "apiregistration.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    (
        "FlowSchema",
        "flowcontrol.apiserver.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    (
        "PriorityLevelConfiguration",
        "flowcontrol.apiserver.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    (
        "ValidatingAdmissionPolicy",
        "admissionregistration.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    (
        "ValidatingAdmissionPolicyBinding",
        "admissionregistration.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    (
        "Lease",
        "coordination.k8s.io/v1",
        Treatment::Noted { why: NO_API },
    ),
    ("Event", "v1", Treatment::Noted { why: NO_API }),
    ("ComponentStatus", "v1", Treatment::Noted { why: NO_API }),
];

/// Why an object of a kind is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No kind of this name is served.
    NotYet,
    /// The kind is served, in another version.
    Version(&'static str),
}

/// What is done with `kind` of `api_version`.
pub(crate) fn treatment(kind: &str, api_version: &str) -> Result<Treatment, Refusal> {
    let mut served = None;
    for (name, version, treatment) in KINDS {
        if name == kind && version == api_version {
            return Ok(treatment);
        }
        if name == kind {
            served = Some(version);
        }
    }
    Err(served.map_or(Refusal::NotYet, Refusal::Version))
}

/// The API version that items of a list have where they name none.
pub(crate) fn version_of(kind: &str) -> Option<&'static str> {
    KINDS
        .iter()
        .find(|(name, _, _)| *name == kind)
        .map(|(_, version, _)| *version)
}
