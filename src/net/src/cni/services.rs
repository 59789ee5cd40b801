//! The node's own rules in CNI mode: Services, and the detour that a pod takes to itself through one.
//!
//! They are laid down with the first Service and taken away with the last, as a node of a cluster may have something
//! else for it (kube-proxy, say) and then knows of none.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pinnace_api::PodUid;
use pinnace_core::network::{PodAddresses, ServiceTable};

use super::config::CniConfig;
use super::error::CniError;
use super::node::CniNode;
use crate::names::HostNames;
use crate::rules::{Rules, RulesConfig};

/// Rules of Services.
#[derive(Debug)]
pub(crate) struct Services {
    rules: Rules,
    names: HostNames,
    laid: Mutex<Laid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Laid {
    /// Whatever an agent before this one left.
    Unknown,
    No,
    Yes,
}

impl Services {
    pub(crate) fn new(config: &CniConfig) -> Self {
        let names = HostNames::new(&config.layout);
        let rules = RulesConfig {
            // Masquerade is the plugins'.
            pod_ranges: Vec::new(),
            ..config.rules.clone()
        };
        Self {
            rules: Rules::new(rules, names.clone()),
            names,
            laid: Mutex::new(Laid::Unknown),
        }
    }

    pub(crate) fn apply(&self, table: &ServiceTable, node: &CniNode) -> Result<(), CniError> {
        let mut laid = self.laid();
        if table.services.is_empty() {
            if *laid != Laid::No {
                self.rules.retract()?;
                *laid = Laid::No;
            }
            return Ok(());
        }
        if *laid != Laid::Yes {
            self.rules.declare()?;
            self.match_pods(&node.attached()?)?;
            *laid = Laid::Yes;
        }
        Ok(self.rules.apply_services(table)?)
    }

    /// A pod has come.
    pub(crate) fn pod_attached(&self, uid: &PodUid, addresses: &PodAddresses) -> Result<(), CniError> {
        match *self.laid() {
            Laid::Yes => self.add(uid, addresses),
            Laid::No | Laid::Unknown => Ok(()),
        }
    }

    /// A pod goes. Where it is not known yet what is laid down, it is not there any more when that comes to be known.
    pub(crate) fn pod_detached(&self, uid: &PodUid) -> Result<(), CniError> {
        match *self.laid() {
            Laid::Yes => Ok(self.rules.pod_detached(uid)?),
            Laid::No | Laid::Unknown => Ok(()),
        }
    }

    pub(crate) fn retract(&self) -> Result<(), CniError> {
        let mut laid = self.laid();
        self.rules.retract()?;
        *laid = Laid::No;
        Ok(())
    }

    fn match_pods(&self, pods: &[(PodUid, PodAddresses)]) -> Result<(), CniError> {
        for uid in self.rules.list()? {
            if !pods.iter().any(|(known, _)| *known == uid) {
                self.rules.pod_detached(&uid)?;
            }
        }
        for (uid, addresses) in pods {
            self.add(uid, addresses)?;
        }
        Ok(())
    }

    /// Host ports are the plugins'. The link's name is that of a routed pod's, which no interface has here.
    fn add(&self, uid: &PodUid, addresses: &PodAddresses) -> Result<(), CniError> {
        let link = self.names.link(uid);
        Ok(self.rules.pod_attached(uid, addresses, &link, &[])?)
    }

    fn laid(&self) -> MutexGuard<'_, Laid> {
        self.laid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
