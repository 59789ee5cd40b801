//! When a running pod must go because of a NoExecute taint.

use pinnace_api::Pod;
use pinnace_api::pod::TaintEffect;

use crate::node::Taint;
use crate::time::BootMillis;

/// A taint, and when this node got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaintSince {
    /// The taint.
    pub taint: Taint,
    /// When it was added; 0 where it was there before the agent.
    pub since: BootMillis,
}

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

/// Whether a pod that was admitted at `admitted_at` stays under these taints.
///
/// Every NoExecute taint must be tolerated. A toleration with `tolerationSeconds` bears its taint for that
/// long from the moment when both were there; the shortest counts, and the first toleration that matches a
/// taint is the one that is used.
pub fn eviction(pod: &Pod, taints: &[TaintSince], admitted_at: BootMillis, now: BootMillis) -> Eviction {
    let mut until: Option<BootMillis> = None;
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
        let end = added.since.max(admitted_at).after(millis);
        until = Some(until.map_or(end, |earlier| earlier.min(end)));
    }
    match until {
        None => Eviction::Keep,
        Some(end) if end <= now => Eviction::EvictNow,
        Some(end) => Eviction::EvictAt(end),
    }
}
