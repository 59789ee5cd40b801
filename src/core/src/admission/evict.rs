//! When a running pod must go because of a NoExecute taint.

use pinnace_api::Pod;
use pinnace_api::pod::TaintEffect;

use crate::node::TaintSince;
use crate::time::{BootId, BootMillis, Moment, Now};

/// What becomes of a running pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// It stays for as long as the taints do.
    Keep,
    /// It stays until this instant: look again then.
    EvictAt(BootMillis),
    /// It goes.
    EvictNow,
}

impl Eviction {
    /// The reason of the event, and of the pod's end.
    pub const REASON: &'static str = "TaintManagerEviction";
    /// The message of the pod's end.
    pub const MESSAGE: &'static str = "Taint manager: deleting due to NoExecute taint";
}

/// Whether a pod that was admitted then stays under these taints.
///
/// Every NoExecute taint must be tolerated. A toleration with `tolerationSeconds` bears its taint for that
/// long from the moment when both were there; the shortest counts, and the first toleration that matches a
/// taint is the one that is used.
pub fn eviction(pod: &Pod, taints: &[TaintSince], admitted: &Moment, boot: &BootId, now: Now) -> Eviction {
    let mut left: Option<u64> = None;
    let evicting = taints
        .iter()
        .filter(|added| added.taint.effect == TaintEffect::NoExecute);
    for added in evicting {
        let Some(toleration) = added.taint.toleration(&pod.spec.tolerations) else {
            return Eviction::EvictNow;
        };
        let Some(seconds) = toleration.toleration_seconds else {
            continue;
        };
        let millis = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        let borne = added
            .since
            .age_millis(boot, now)
            .min(admitted.age_millis(boot, now));
        let own = millis.saturating_sub(borne);
        left = Some(left.map_or(own, |shorter| shorter.min(own)));
    }
    match left {
        None => Eviction::Keep,
        Some(0) => Eviction::EvictNow,
        Some(left) => Eviction::EvictAt(now.boot.after(left)),
    }
}
