//! Services, policies and names, kept up with pods and manifests.
//!
//! ```text
//! manager ──NetworkObjects──▶ ┐
//!                             ├─▶ tables ──▶ Network::apply_policies, apply_services, Names::publish
//! board ──pods' addresses,──▶ ┘       └────▶ board (command line)
//!         readiness
//! ```
//!
//! One task compares what follows from manifests and pods with what it applied last, and hands over what
//! differs. Changes that come close together are one. Nothing is applied before the manager has published the
//! objects for the first time: what an earlier agent laid down stands until then.

mod objects;
mod refused;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::network::{NameTable, PolicyTable, ServiceTable};
use pinnace_core::pod::Backoff;
use pinnace_core::ports::{Names, Network, PortError, Telemetry};
use tokio::sync::watch;

use crate::adapters::Adapters;
use crate::worker::Shared;

pub use objects::{NetworkObjects, NetworkParts};
use tables::Tables;

/// The pause after each round: changes that come meanwhile are one.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest such pause, where rounds take long.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Between tries to apply a table.
const AGAIN: Backoff = Backoff {
    initial_millis: 200,
    factor: 2,
    max_millis: 30_000,
};

/// The objects as the manager published them last; `None` until it has.
pub type Published = watch::Receiver<Option<Arc<NetworkObjects>>>;

/// The task.
pub(crate) struct Tracker<A> {
    shared: Arc<Shared<A>>,
    parts: NetworkParts,
    objects: Published,
    services: Applied<ServiceTable>,
    policies: Applied<PolicyTable>,
    /// The names as they were published last.
    names: Option<NameTable>,
}

/// What an adapter was handed last, and how it went.
struct Applied<T> {
    /// `None` where the adapter may have anything.
    table: Option<T>,
    /// Tries that failed in a row.
    tries: u32,
    /// When the next is due.
    again_at: Option<tokio::time::Instant>,
}

impl<T> Default for Applied<T> {
    fn default() -> Self {
        Self {
            table: None,
            tries: 0,
            again_at: None,
        }
    }
}

impl<T: PartialEq> Applied<T> {
    fn is_due(&self, wanted: &T) -> bool {
        let waited = self.again_at.is_none_or(|at| at <= tokio::time::Instant::now());
        waited && self.table.as_ref() != Some(wanted)
    }

    fn note<'e>(&mut self, wanted: T, outcome: &'e Result<(), PortError>) -> Option<&'e PortError> {
        match outcome {
            Ok(()) => {
                *self = Self {
                    table: Some(wanted),
                    ..Self::default()
                };
                None
            }
            Err(error) => {
                self.table = None;
                self.tries = self.tries.saturating_add(1);
                let delay = Duration::from_millis(AGAIN.delay_millis(self.tries));
                self.again_at = Some(tokio::time::Instant::now() + delay);
                Some(error)
            }
        }
    }
}

impl<A: Adapters> Tracker<A> {
    pub fn new(shared: Arc<Shared<A>>, parts: NetworkParts, objects: Published) -> Self {
        Self {
            shared,
            parts,
            objects,
            services: Applied::default(),
            policies: Applied::default(),
            names: None,
        }
    }

    /// Runs until the manager is gone.
    pub async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let began = Instant::now();
            // Asked before the pods are looked at: later changes are of a later round.
            let changes = shared.board.addresses().newest();
            let objects = self.objects.borrow_and_update().clone();
            if let Some(objects) = objects {
                let tables = Tables::of(&objects, &shared.board.pods(), &self.parts);
                shared.board.set_services(tables.views(&objects));
                refused::tell(&shared, &tables.policies, &objects);
                self.apply(tables).await;
                if self.policies.table.is_some() {
                    // Where there is no policy, no pod waits for any.
                    let upto = (!objects.policies.is_empty()).then_some(changes);
                    shared.board.addresses().set_applied(upto);
                }
            }
            // A change that comes meanwhile is not lost: each arm below remembers it.
            tokio::time::sleep((began.elapsed() * 3).clamp(PAUSE, LONGEST_PAUSE)).await;
            let again_at = [self.services.again_at, self.policies.again_at];
            let again_at = again_at.into_iter().flatten().min();
            // Every arm only says "look again".
            tokio::select! {
                changed = self.objects.changed() => if changed.is_err() { return },
                () = shared.board.addresses().changed() => {}
                () = until(again_at) => {}
            }
        }
    }

    /// Policies come first: what they forbid must not be reachable by a new Service. Names come last, so that they
    /// lead to rules that are there.
    async fn apply(&mut self, tables: Tables) {
        let adapters = Arc::clone(&self.shared.adapters);
        let Tables {
            services,
            policies,
            names,
        } = tables;
        if self.policies.is_due(&policies) {
            let outcome = adapters.network().apply_policies(&policies).await;
            if let Some(error) = self.policies.note(policies, &outcome) {
                self.report("NetworkPoliciesNotApplied", error);
            }
        }
        if self.services.is_due(&services) {
            let outcome = adapters.network().apply_services(&services).await;
            if let Some(error) = self.services.note(services, &outcome) {
                self.report("ServicesNotApplied", error);
            }
        }
        if self.names.as_ref() != Some(&names) {
            adapters.names().publish(names.clone());
            self.names = Some(names);
        }
    }

    fn report(&self, reason: &str, error: &PortError) {
        tracing::error!("{}", error.chain());
        self.shared.adapters.telemetry().error(error.operation);
        let Some(object) = self.shared.board.node().and_then(|node| node.key()) else {
            return;
        };
        let at = self.shared.adapters.host().now().wall;
        self.shared.board.record(pinnace_core::event::Event {
            kind: EventType::Warning,
            reason: reason.to_owned(),
            message: error.chain(),
            object,
            at,
        });
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
