//! What happened to an object, in Kubernetes' words.

use pinnace_api::ObjectKey;

use crate::time::WallMillis;

/// `type` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum EventType {
    /// As it should be.
    Normal,
    /// Somebody may want to look.
    Warning,
}

/// One happening; the recorder folds repetitions into a count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Normal or Warning.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The kubelet's or scheduler's reason: `Scheduled`, `Started`, `BackOff`, `FailedMount`, ….
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// The object it is about.
    pub object: ObjectKey,
    /// When it was last seen.
    pub at: WallMillis,
}
