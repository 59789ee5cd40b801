//! What all workers share.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::Settings;
use crate::board::Board;

/// What all workers share.
pub struct Shared<A> {
    /// The ports.
    pub adapters: Arc<A>,
    /// Where statuses and events go.
    pub board: Arc<Board>,
    /// Settings that may change while pods run.
    pub settings: watch::Receiver<Settings>,
    /// Bounds how many pods are being started at once: more only take each other's CPU.
    pub starts: Semaphore,
    /// Bounds how many probes are asked at once.
    pub checks: Semaphore,
}
