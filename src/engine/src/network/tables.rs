//! From objects and pods to tables.

use std::sync::Arc;

use pinnace_core::network::{
    NameTable, PodOnNetwork, PolicyTable, ServiceTable, name_table, policy_table, service_table,
};

use super::{NetworkObjects, NetworkParts};
use crate::board::{PodView, ServiceView};

/// All that is to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tables {
    pub services: ServiceTable,
    pub policies: PolicyTable,
    pub names: NameTable,
}

impl Tables {
    pub fn of(objects: &NetworkObjects, pods: &[Arc<PodView>], parts: &NetworkParts) -> Self {
        let pods: Vec<PodOnNetwork> = pods.iter().filter_map(|view| view.on_network()).collect();
        let services = objects.services.values().map(Arc::as_ref);
        let services = service_table(services, &objects.given, &pods, &parts.services);
        let policies = objects.policies.iter().map(Arc::as_ref);
        let policies = policy_table(policies, &pods, &objects.namespaces);
        let ranges = [parts.pod_ranges.as_slice(), &parts.services.cluster].concat();
        let names = name_table(&parts.domain, &ranges, &services, &pods);
        Self {
            services,
            policies,
            names,
        }
    }

    /// The Services as everybody may see them.
    pub fn views(&self, objects: &NetworkObjects) -> Vec<ServiceView> {
        let view = |(name, service): (&_, &Arc<_>)| ServiceView {
            service: Arc::clone(service),
            entry: self.services.services.get(name).cloned(),
            refused: objects.refused.get(name).cloned(),
        };
        objects.services.iter().map(view).collect()
    }
}
