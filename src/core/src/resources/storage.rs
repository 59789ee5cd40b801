//! Limits of `ephemeral-storage`: what a pod may hold of the node's disk.
//!
//! Nothing holds a container back from writing, so what it holds is measured and compared, and a pod past a
//! limit is evicted, in the kubelet's order: first the pod as a whole, then each container.

use pinnace_api::pod::PodSpec;
use pinnace_api::{Bytes, ContainerName};

/// Whether anything is to be measured.
pub fn has_storage_limit(spec: &PodSpec) -> bool {
    pod_limit(spec).is_some()
}

/// The kubelet's sentence for a pod that holds more than it may. `containers` are the containers' writable
/// layers and logs, `volumes` its emptyDirs on disk.
pub fn storage_exceeded(
    spec: &PodSpec,
    containers: &[(ContainerName, Bytes)],
    volumes: Bytes,
) -> Option<String> {
    let limit = pod_limit(spec)?;
    let all = containers
        .iter()
        .fold(volumes.0, |sum, (_, used)| sum.saturating_add(used.0));
    // The kubelet's sentences, their last blanks included.
    if all > limit.0 {
        return Some(format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        ));
    }
    containers.iter().find_map(|(name, used)| {
        let container = spec.containers.iter().find(|container| container.name == *name)?;
        // A limit of nothing is none here, though it counts for the pod.
        let limit = container
            .resources
            .limits
            .ephemeral_storage
            .filter(|limit| limit.0 > 0)?;
        (*used > limit)
            .then(|| format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". "))
    })
}

/// The sum of the containers' limits, with the pod's overhead; those without one add nothing.
fn pod_limit(spec: &PodSpec) -> Option<Bytes> {
    let limits = spec
        .containers
        .iter()
        .filter_map(|container| container.resources.limits.ephemeral_storage);
    let overhead = spec.overhead.ephemeral_storage.unwrap_or_default();
    let sum = limits.reduce(|sum, limit| Bytes(sum.0.saturating_add(limit.0)))?;
    Some(Bytes(sum.0.saturating_add(overhead.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::testing::{container, list, spec};

    const MI: u64 = 1 << 20;

    fn limited(limits: &[Option<u64>]) -> PodSpec {
        let containers = limits.iter().enumerate().map(|(number, limit)| {
            let mut made = container(&format!("c{number}"), list(0, 0), list(0, 0));
            made.resources.limits.ephemeral_storage = limit.map(Bytes);
            made
        });
        spec(containers.collect())
    }

    #[test]
    fn overhead_adds_to_a_limit_and_is_none_by_itself() {
        let mut spec = limited(&[Some(10 * MI)]);
        spec.overhead.ephemeral_storage = Some(Bytes(5 * MI));
        assert_eq!(storage_exceeded(&spec, &[], Bytes(15 * MI)), None);
        assert!(storage_exceeded(&spec, &[], Bytes(15 * MI + 1)).is_some());
        let mut spec = limited(&[None]);
        spec.overhead.ephemeral_storage = Some(Bytes(5 * MI));
        assert!(!has_storage_limit(&spec));
    }

    fn used(amounts: &[u64]) -> Vec<(ContainerName, Bytes)> {
        let name = |number| ContainerName::new(format!("c{number}")).unwrap();
        let amounts = amounts.iter().enumerate();
        amounts
            .map(|(number, bytes)| (name(number), Bytes(*bytes)))
            .collect()
    }

    #[test]
    fn a_pod_without_limits_may_hold_anything() {
        let free = limited(&[None, None]);
        assert!(!has_storage_limit(&free));
        assert_eq!(
            storage_exceeded(&free, &used(&[1 << 50, 1]), Bytes(1 << 50)),
            None
        );
    }

    #[test]
    fn the_pods_sum_counts_volumes_and_containers_without_a_limit() {
        let limit = limited(&[Some(10 * MI), None]);
        assert!(has_storage_limit(&limit));
        assert_eq!(
            storage_exceeded(&limit, &used(&[4 * MI, 3 * MI]), Bytes(3 * MI)),
            None
        );
        assert_eq!(
            storage_exceeded(&limit, &used(&[4 * MI, 3 * MI]), Bytes(3 * MI + 1)).as_deref(),
            Some("Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ")
        );
    }

    #[test]
    fn one_container_may_not_take_the_others_share() {
        let limit = limited(&[Some(10 * MI), Some(20 * MI)]);
        assert_eq!(storage_exceeded(&limit, &used(&[10 * MI, 0]), Bytes(0)), None);
        assert_eq!(
            storage_exceeded(&limit, &used(&[11 * MI, 0]), Bytes(0)).as_deref(),
            Some("Container c0 exceeded its local ephemeral storage limit \"10Mi\". ")
        );
    }

    #[test]
    fn a_containers_limit_of_nothing_counts_for_the_pod_alone() {
        let limit = limited(&[Some(0), Some(20 * MI)]);
        assert_eq!(storage_exceeded(&limit, &used(&[11 * MI, 0]), Bytes(0)), None);
        assert!(storage_exceeded(&limit, &used(&[21 * MI, 0]), Bytes(0)).is_some());
    }
}
