//! A machine in memory, on which everything the ports promise can be tried: crashes in the middle of an
//! action, exits, dead shims, reboots, failures. Nothing here waits for a clock or needs a runtime.
//!
//! ```text
//! FakeHost ─┬─ PodRuntime, Network, Volumes, Records, …        what the engine sees
//!           ├─ exit, kill_shim, break_sandbox, reboot, …       what happens to a machine
//!           ├─ break_next                                      which call fails, and how far it got before
//!           └─ calls, violations, started, is_empty            what a test asks
//! ```
//!
//! The host notes every breach of the ports' contract (an instance started twice, a living container
//! removed, a sandbox made over a broken one): see [`FakeHost::violations`].

mod checks;
mod events;
mod faults;
mod images;
mod network;
mod records;
mod runtime;
pub mod sample;
mod state;
mod volumes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinnace_api::{ContainerName, PodUid};

use crate::host::Host;
use crate::payload::Payloads;
use crate::ports::PortResult;
use crate::time::{BootId, BootMillis, Now, WallMillis};

pub use checks::FakeAnswer;
pub use faults::{Break, Extent, FakeError, Op};
use state::State;

/// The machine; clones share it.
#[derive(Clone, Default)]
pub struct FakeHost {
    state: Arc<Mutex<State>>,
}

/// One call of a port, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation.
    pub op: Op,
    /// The pod, where it is about one.
    pub uid: Option<PodUid>,
    /// The container and its instance, where it is about one.
    pub container: Option<(ContainerName, u32)>,
}

impl FakeHost {
    /// A machine that has just booted, with every image that is asked for.
    pub fn new() -> Self {
        let host = Self::default();
        host.lock().now = Now {
            boot: BootMillis(1_000),
            wall: WallMillis(1_700_000_000_000),
        };
        host
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes all that wait for a change.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let answer = change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        answer
    }

    /// Carries out a call, as far as the faults let it.
    fn call<T>(&self, call: Call, body: impl FnOnce(&mut State, Extent) -> PortResult<T>) -> PortResult<T> {
        self.change(|state| {
            let op = call.op;
            let object = call
                .uid
                .as_ref()
                .map_or_else(|| "the node".to_owned(), ToString::to_string);
            state.calls.push(call);
            match state.faults.take(op) {
                None => body(state, Extent::Whole),
                Some((Extent::Nothing, reason)) => Err(faults::error(op, object, reason)),
                Some((extent, reason)) => {
                    body(state, extent)?;
                    Err(faults::error(op, object, reason))
                }
            }
        })
    }

    /// Lets the next calls fail; see [`Break`].
    pub fn break_next(&self, fault: Break) {
        self.lock().faults.add(fault);
    }

    /// From now on nothing fails by order.
    pub fn mend(&self) {
        self.lock().faults.clear();
    }

    /// All calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock().calls)
    }

    /// Breaches of the ports' contract so far, each a sentence.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// What the pod's volumes hold that the node writes.
    pub fn payloads(&self, uid: &PodUid) -> Payloads {
        self.lock().payloads.get(uid).cloned().unwrap_or_default()
    }

    /// How often each instance of the pod was started.
    pub fn started(&self, uid: &PodUid) -> Vec<(ContainerName, u32, u32)> {
        let state = self.lock();
        let own = state.starts.iter().filter(|((pod, _, _), _)| pod == uid);
        own.map(|((_, name, attempt), times)| (name.clone(), *attempt, *times))
            .collect()
    }

    /// Nothing of the pod is on the host, and no record.
    pub fn is_empty_of(&self, uid: &PodUid) -> bool {
        let state = self.lock();
        !state.pods.contains_key(uid)
            && !state.identities.contains_key(uid)
            && !state.progress.contains_key(uid)
    }
}

impl Host for FakeHost {
    fn now(&self) -> Now {
        self.lock().now
    }
    fn boot_id(&self) -> BootId {
        BootId(format!("boot-{}", self.lock().boots))
    }
    fn new_pod_uid(&self) -> PodUid {
        let mut state = self.lock();
        state.uids += 1;
        sample::uid(state.uids)
    }
    fn random(&self) -> u64 {
        let mut state = self.lock();
        state.chance = state
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.chance
    }
}
