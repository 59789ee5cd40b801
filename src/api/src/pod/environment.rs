//! Where a container's variables come from.
//!
//! The texts are as they were written: references are expanded when the container is made, for only then all of
//! what they refer to is known.

use crate::ident::{ContainerName, ObjectName};

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Printable ASCII without `=`.
    pub name: String,
    /// Its value, or where that comes from.
    pub value: EnvValue,
}

/// Where a variable's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// A text; its `$(VAR)` references are to variables before it.
    Literal(String),
    /// `fieldRef`.
    Field(FieldSelector),
    /// `resourceFieldRef`.
    Resource(ResourceSelector),
    /// `configMapKeyRef`.
    ConfigMapKey(KeySelector),
    /// `secretKeyRef`.
    SecretKey(KeySelector),
}

/// A key of a ConfigMap or Secret of the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySelector {
    /// The object's name.
    pub name: ObjectName,
    /// The key.
    pub key: String,
    /// A missing object or key leaves the variable out.
    pub optional: bool,
}

/// Variables for all keys of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFrom {
    /// Stands before each key.
    pub prefix: String,
    /// Whose keys.
    pub source: ObjectSource,
    /// A missing object gives no variables.
    pub optional: bool,
}

/// A ConfigMap or a Secret of the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectSource {
    /// A ConfigMap.
    ConfigMap(ObjectName),
    /// A Secret.
    Secret(ObjectName),
}

/// A field of the pod, as the downward API names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSelector {
    /// `metadata.name`.
    Name,
    /// `metadata.namespace`.
    Namespace,
    /// `metadata.uid`.
    Uid,
    /// `metadata.labels['<key>']`.
    Label(String),
    /// `metadata.annotations['<key>']`.
    Annotation(String),
    /// `metadata.labels`: all, one `key="escaped value"` a line; in volumes only.
    Labels,
    /// `metadata.annotations`, likewise.
    Annotations,
    /// `spec.nodeName`; in variables only, like all that follow.
    NodeName,
    /// `spec.serviceAccountName`.
    ServiceAccountName,
    /// `status.hostIP`.
    HostIp,
    /// `status.hostIPs`, comma-separated.
    HostIps,
    /// `status.podIP`.
    PodIp,
    /// `status.podIPs`, comma-separated.
    PodIps,
}

/// A request or limit of a container, as the downward API names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSelector {
    /// The container; `None` means the one whose variable it is.
    pub container: Option<ContainerName>,
    /// Which amount.
    pub resource: ResourceField,
    /// What the amount is divided by, rounded up: thousandths of a CPU, or bytes; never 0.
    pub divisor: u64,
}

/// `resource` of a `resourceFieldRef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceField {
    /// `limits.cpu`; without a limit, what the node can allocate.
    LimitsCpu,
    /// `limits.memory`, likewise.
    LimitsMemory,
    /// `limits.ephemeral-storage`, likewise.
    LimitsEphemeralStorage,
    /// `requests.cpu`; without a request, 0.
    RequestsCpu,
    /// `requests.memory`, likewise.
    RequestsMemory,
    /// `requests.ephemeral-storage`, likewise.
    RequestsEphemeralStorage,
}
