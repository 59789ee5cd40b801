//! The quality of service class of a pod.

use std::fmt;

use pinnace_api::pod::{Container, PodSpec, ResourceList};

/// Quality of service of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum QosClass {
    /// Every container has cpu and memory limits equal to its requests.
    Guaranteed,
    /// Some request or limit.
    Burstable,
    /// None at all.
    BestEffort,
}

impl QosClass {
    /// Kubernetes' name of the class, as in `status.qosClass`.
    pub fn as_str(self) -> &'static str {
        match self {
            QosClass::Guaranteed => "Guaranteed",
            QosClass::Burstable => "Burstable",
            QosClass::BestEffort => "BestEffort",
        }
    }
}

impl fmt::Display for QosClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The amounts that decide the class, cpu first: an amount of zero counts as absent.
fn deciding(list: &ResourceList) -> [u64; 2] {
    [
        list.cpu.map_or(0, |cpu| cpu.0),
        list.memory.map_or(0, |memory| memory.0),
    ]
}

/// Sums over all containers of the amounts that decide the class.
fn sums(spec: &PodSpec, list: impl Fn(&Container) -> &ResourceList) -> [u64; 2] {
    spec.all_containers().fold([0; 2], |sum, container| {
        let amounts = deciding(list(container));
        [
            sum[0].saturating_add(amounts[0]),
            sum[1].saturating_add(amounts[1]),
        ]
    })
}

/// The class of a pod: only cpu and memory count, and the sums over all containers are what is compared, init
/// containers among them.
pub fn qos_class(spec: &PodSpec) -> QosClass {
    let requests = sums(spec, |container| &container.resources.requests);
    let limits = sums(spec, |container| &container.resources.limits);
    if requests == [0, 0] && limits == [0, 0] {
        return QosClass::BestEffort;
    }
    let all_limited = spec
        .all_containers()
        .all(|container| !deciding(&container.resources.limits).contains(&0));
    if all_limited && requests == limits {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}
