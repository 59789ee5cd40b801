//! Services, policies and namespaces: which there are, and what the node gives to them.
//!
//! Nothing is published before every source has listed, so that nothing an earlier agent laid down is taken away
//! for want of its manifest. Only where no pod on the host has a network (the machine has just started, say) a
//! source that cannot be read holds up the others no longer than it takes to find that out.
//!
//! What was given is recorded before it is published. A full disk holds that up no longer than one try: addresses
//! are given out in an order that does not depend on chance, so the next agent is likely to give the same ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use pinnace_api::{ObjectKey, Problem, Severity};
use pinnace_core::host::Host;
use pinnace_core::network::{
    Allocated, AllocationProblem, NamespaceLabels, ServiceAllocations, allocate, service_table,
};
use pinnace_core::pod::Backoff;
use pinnace_core::ports::{Records, StoredServices};
use pinnace_core::time::BootMillis;
use tokio::sync::watch;

use super::Manager;
use crate::adapters::Adapters;
use crate::catalog::{Catalog, Chosen};
use crate::network::{NetworkObjects, NetworkParts, Published};
use crate::source::{Item, SourceId};

/// Between tries to write the record.
const AGAIN: Backoff = Backoff {
    initial_millis: 1_000,
    factor: 2,
    max_millis: 60_000,
};

/// What the manager keeps of them.
pub(super) struct Services {
    parts: Option<NetworkParts>,
    published: watch::Sender<Option<Arc<NetworkObjects>>>,
    /// What was given so far.
    given: ServiceAllocations,
    /// The same, as it was written last.
    written: ServiceAllocations,
    /// Tries to write it that failed in a row.
    tries: u32,
    /// When the next is due.
    pub again_at: Option<BootMillis>,
    /// No pod that is on the host had a network when the agent started.
    pub host_was_bare: bool,
    /// Sources that have listed, or said that they cannot.
    heard: BTreeSet<SourceId>,
    /// The objects may differ from those that were published.
    stale: bool,
    /// Why some of the Services cannot be served.
    problems: Vec<Problem>,
}

impl Services {
    /// Of a node with this network; without one, Services are only listed.
    pub fn new(parts: Option<NetworkParts>) -> Self {
        Self {
            parts,
            published: watch::Sender::new(None),
            given: ServiceAllocations::new(),
            written: ServiceAllocations::new(),
            tries: 0,
            again_at: None,
            host_was_bare: false,
            heard: BTreeSet::new(),
            stale: true,
            problems: Vec::new(),
        }
    }

    /// For whoever makes tables of them.
    pub fn published(&self) -> Option<(NetworkParts, Published)> {
        Some((self.parts.clone()?, self.published.subscribe()))
    }

    /// The source has said something.
    pub fn hear(&mut self, source: SourceId) {
        self.heard.insert(source);
        self.stale = true;
    }

    /// What is wrong with what is wanted of the network.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn may_publish(&self, catalog: &Catalog) -> bool {
        let heard = |source: &&str| self.heard.iter().any(|heard| heard.0 == *source);
        catalog.is_complete() || (self.host_was_bare && catalog.missing().iter().all(heard))
    }
}

impl<A: Adapters> Manager<A> {
    /// Takes up what an earlier agent recorded.
    pub(super) async fn recall_services(&mut self) {
        let adapters = &self.shared.adapters;
        let stored = self.insistently(|| adapters.records().load_services()).await;
        let given = match stored {
            Ok(StoredServices::Whole(given)) => given,
            Ok(StoredServices::Damaged { set_aside, why }) => {
                let set_aside = set_aside.display();
                let message =
                    format!("the damaged record of what Services have was set aside as {set_aside}: {why}");
                tracing::error!("{message}");
                self.node_event("RecordDamaged", message);
                ServiceAllocations::new()
            }
            // An error has been reported.
            Err(_) => ServiceAllocations::new(),
        };
        self.services.written.clone_from(&given);
        self.services.given = given;
    }

    /// Gives Services what they need, and publishes the objects where they have changed.
    pub(super) async fn follow_services(&mut self) {
        self.remember_services().await;
        if !self.services.stale || !self.services.may_publish(&self.catalog) {
            return;
        }
        self.services.stale = false;
        let mut objects = gather(&self.catalog);
        let Some(parts) = self.services.parts.clone() else {
            self.services.problems = without_effect(&self.catalog);
            return self.tell_problems();
        };
        let services = objects.services.values().map(Arc::as_ref);
        let Allocated {
            allocations,
            mut record,
            problems,
        } = allocate(services, &self.services.given, &parts.services);
        objects.given = allocations;
        if !self.catalog.is_complete() {
            // Those that are yet to be listed keep what they had.
            for (name, given) in &self.services.given {
                record.entry(name.clone()).or_insert_with(|| given.clone());
            }
        }
        self.services.given = record;
        self.services.problems = refused(&self.catalog, &problems);
        objects.refused = problems
            .into_iter()
            .map(|problem| (problem.service, problem.message))
            .collect();
        self.remember_services().await;
        self.tell_problems();
        let services = objects.services.values().map(Arc::as_ref);
        let addresses = service_table(services, &objects.given, &[], &parts.services);
        self.shared.board.set_service_addresses(addresses);
        self.services.published.send_if_modified(|published| {
            if published.as_deref() == Some(&objects) {
                return false;
            }
            *published = Some(Arc::new(objects));
            true
        });
    }

    /// Writes what was given, if it is not as it was written last.
    async fn remember_services(&mut self) {
        let host = self.shared.adapters.host();
        let services = &mut self.services;
        if services.given == services.written {
            services.again_at = None;
            return;
        }
        let now = host.now().boot;
        if services.again_at.is_some_and(|at| at > now) {
            return;
        }
        match self
            .shared
            .adapters
            .records()
            .save_services(&services.given)
            .await
        {
            Ok(()) => {
                services.written.clone_from(&services.given);
                (services.tries, services.again_at) = (0, None);
            }
            Err(error) => {
                services.tries = services.tries.saturating_add(1);
                services.again_at = Some(now.after(AGAIN.delay_millis(services.tries)));
                tracing::error!("{}", error.chain());
                self.node_event("RecordNotSaved", error.chain());
            }
        }
    }
}

/// Labels of the namespaces that have an object.
pub(super) fn namespaces(catalog: &Catalog) -> NamespaceLabels {
    let labels = |chosen: &Chosen| match &chosen.placed.item {
        Item::Namespace(namespace) => Some((namespace.name.clone(), namespace.labels())),
        _ => None,
    };
    catalog.objects().values().filter_map(labels).collect()
}

/// The catalog's objects about the network; nothing is given to them yet.
fn gather(catalog: &Catalog) -> NetworkObjects {
    let mut objects = NetworkObjects::default();
    for chosen in catalog.objects().values() {
        match &chosen.placed.item {
            Item::Service(service) => {
                let name = (service.meta.namespace.clone(), service.meta.name.clone());
                objects.services.insert(name, Arc::clone(service));
            }
            Item::NetworkPolicy(policy) => {
                let name = (policy.meta.namespace.clone(), policy.meta.name.clone());
                let place = (chosen.placed.file.clone(), chosen.placed.line);
                objects.policy_places.insert(name, place);
                objects.policies.push(Arc::clone(policy));
            }
            Item::Pod(_)
            | Item::DaemonSet(_)
            | Item::Namespace(_)
            | Item::ConfigMap(_)
            | Item::Secret(_)
            | Item::Claim(_)
            | Item::StorageClass(_)
            | Item::Noted(_) => {}
        }
    }
    objects.namespaces = namespaces(catalog);
    objects
}

/// Services that cannot be served, by file and line.
fn refused(catalog: &Catalog, problems: &[AllocationProblem]) -> Vec<Problem> {
    let place = |problem: &AllocationProblem| {
        let (namespace, name) = problem.service.clone();
        let key = ObjectKey {
            kind: "Service".to_owned(),
            namespace,
            name,
        };
        let placed = &catalog.objects().get(&key)?.placed;
        Some(Problem {
            severity: Severity::Error,
            file: placed.file.clone(),
            line: Some(placed.line),
            object: Some(key.to_string()),
            field: Some(problem.field.clone()),
            message: problem.message.clone(),
        })
    };
    problems.iter().filter_map(place).collect()
}

/// On a node that gives pods no network.
fn without_effect(catalog: &Catalog) -> Vec<Problem> {
    let objects = catalog.objects().iter();
    let of_network =
        objects.filter(|(_, chosen)| matches!(chosen.placed.item, Item::Service(_) | Item::NetworkPolicy(_)));
    let note = |(key, chosen): (&ObjectKey, &crate::catalog::Chosen)| Problem {
        severity: Severity::Warning,
        file: chosen.placed.file.clone(),
        line: Some(chosen.placed.line),
        object: Some(key.to_string()),
        field: None,
        message: format!("{} has no effect here: podNetwork is none", key.kind),
    };
    of_network.map(note).collect()
}
