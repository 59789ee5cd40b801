//! Which processes the kernel kills first when the machine runs out of memory.

use pinnace_api::Bytes;
use pinnace_api::pod::{Container, PodSpec, RestartPolicy};

use super::qos::QosClass;

const GUARANTEED: i32 = -997;
const BEST_EFFORT: i32 = 1000;

/// `oom_score_adj` of a container's processes.
///
/// A burstable container that asks for a tenth of the machine's memory gets 900, so that it is first in line
/// once it uses more than it asked for. It stays within 3 to 999: always before a guaranteed container, always
/// after one without any request.
///
/// A sidecar is no more likely to be killed than the main container that asks for least.
pub fn oom_score_adj(class: QosClass, spec: &PodSpec, container: &Container, memory_capacity: Bytes) -> i32 {
    match class {
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => BEST_EFFORT,
        QosClass::Burstable => {
            let mut score = by_request(container, memory_capacity);
            let mut init = spec.init_containers.iter();
            if init.any(|one| one.name == container.name && one.restart_policy == Some(RestartPolicy::Always))
            {
                let main = spec.containers.iter().map(|one| by_request(one, memory_capacity));
                score = main.max().map_or(score, |highest| score.min(highest));
            }
            score.clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}

fn by_request(container: &Container, memory_capacity: Bytes) -> i32 {
    let request = u128::from(container.resources.requests.memory.unwrap_or_default().0);
    let thousandths = 1000 * request / u128::from(memory_capacity.0.max(1));
    1000 - i32::try_from(thousandths.min(1000)).unwrap_or(1000)
}
