//! Which processes the kernel kills first when the machine runs out of memory.

use pinnace_api::Bytes;
use pinnace_api::pod::Container;

use super::qos::QosClass;

const GUARANTEED: i32 = -997;
const BEST_EFFORT: i32 = 1000;

/// `oom_score_adj` of a container's processes.
///
/// A burstable container that asks for a tenth of the machine's memory gets 900, so that it is first in line
/// once it uses more than it asked for. It stays within 3 to 999: always before a guaranteed container, always
/// after one without any request.
pub fn oom_score_adj(class: QosClass, container: &Container, memory_capacity: Bytes) -> i32 {
    match class {
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => BEST_EFFORT,
        QosClass::Burstable => {
            let request = u128::from(container.resources.requests.memory.unwrap_or_default().0);
            let thousandths = 1000 * request / u128::from(memory_capacity.0.max(1));
            let share = i32::try_from(thousandths.min(1000)).unwrap_or(1000);
            (1000 - share).clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
        }
    }
}
