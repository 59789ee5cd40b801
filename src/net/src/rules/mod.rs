//! The node's rules: one nftables table `inet pinnace` (`pinnace-<tag>` under another root), laid once; for a
//! pod, a Service or a policy only elements of its sets and maps change, by netlink.
//!
//! ```text
//! text ─▶ program   chains, rules and empty sets, by one `nft -f` at start
//! pods, services, policies ─▶ Tables ─▶ state ─▶ wire   only what differs, in one transaction
//!                                            └─▶ flows ─▶ conntrack   UDP flows that lost their way
//! ```
//!
//! All calls block for as long as the kernel takes, and one waits for the other.

mod chains;
mod clients;
mod conntrack;
mod element;
mod error;
mod firewall;
mod flows;
mod legacy;
mod memory;
mod pieces;
mod pods;
mod policies;
mod program;
mod saved;
mod services;
mod set;
mod state;
mod text;
mod wire;
mod written;

pub use error::RulesError;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pinnace_api::pod::Protocol;
use pinnace_api::{Cidr, PodUid};
use pinnace_core::network::{PodAddresses, PolicyTable, ServiceTable};

use crate::config::NetConfig;
use crate::finding::Finding;
use crate::names::HostNames;
use element::Key;
use set::{OF_PODS, OF_POLICIES, OF_SERVICES, Set, both};
use state::{State, Tables};

/// What the rules are made of.
#[derive(Debug, Clone, Default)]
pub struct RulesConfig {
    /// Ranges of pods' addresses: what goes there is not masqueraded.
    pub pod_ranges: Vec<Cidr>,
    /// Ranges of Services' addresses.
    pub service_ranges: Vec<Cidr>,
    /// Where pods may always ask names, by UDP and TCP.
    pub dns: Vec<IpAddr>,
    /// The agent's own TCP ports.
    pub agent_ports: Vec<u16>,
    /// Pods reach the agent's own ports (`podsMayReachAgent`).
    pub pods_may_reach_agent: bool,
    /// The host reaches host ports and node ports by 127.0.0.1 too (`hostPortsOnLoopback`).
    pub host_ports_on_loopback: bool,
}

/// A port of the host that leads to a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Only this address of the host; `None` for all.
    pub host_ip: Option<IpAddr>,
    /// Transport.
    pub protocol: Protocol,
    /// The host's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
}

/// What is there of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodElements {
    /// Nothing.
    Absent,
    /// Some of what every attached pod has is missing, or is not what it would be made to be.
    Partial,
    /// All of it.
    Whole,
}

/// All that the rules lack on this host; empty where nothing does. Blocks for some tens of milliseconds.
pub(crate) fn findings(config: &NetConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    match pinnace_sys::namespace::within_new_network(pieces::lacking_pieces) {
        Ok(lacking) => findings.extend(lacking.iter().map(finding)),
        Err(error) => findings.push(finding(&error.into())),
    }
    findings.extend(firewall_findings(config));
    findings
}

/// The host's own firewall, where it lets no pod pass. Blocks for some milliseconds, and for seconds where iptables
/// hangs.
pub(crate) fn firewall_findings(config: &NetConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    match firewall::closed(&HostNames::new(&config.layout)) {
        Ok(closed) => findings.extend(closed),
        // Without nftables there are none; what is missing is told elsewhere.
        Err(error) => tracing::debug!(%error, "the host's firewall was not looked at"),
    }
    findings.extend(legacy::closed(config));
    findings
}

fn finding(error: &RulesError) -> Finding {
    let remedy = match error {
        RulesError::NoProgram(_) => "Install the package nftables (1.0 or newer).".to_owned(),
        RulesError::Lacks {
            module: Some(module), ..
        } => format!("Load the module {module}, or use a kernel that has it."),
        RulesError::Lacks { module: None, .. } => "Use a kernel that has it.".to_owned(),
        _ => "Run it as root, with CAP_NET_ADMIN, and look into the kernel's log (dmesg).".to_owned(),
    };
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        why = format!("{why}: {source}");
    }
    Finding::new(format!("Pods' rules cannot be laid down here: {why}."), remedy)
}

/// The table.
#[derive(Debug)]
pub struct Rules {
    state: Mutex<State>,
}

impl Rules {
    /// Nothing is touched before the first call.
    pub fn new(config: RulesConfig, names: HostNames) -> Self {
        Self {
            state: Mutex::new(State::new(config, names)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is known after a panic may be wrong, and is found out as anybody else's change is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays the table down, or anew: elements are kept, flows live on.
    pub fn declare(&self) -> Result<(), RulesError> {
        self.state().declare()
    }

    /// Takes the table away.
    pub fn retract(&self) -> Result<(), RulesError> {
        self.state().retract()
    }

    /// Makes the pod's elements what is asked for; those of an earlier call that are not are removed.
    pub fn pod_attached(
        &self,
        uid: &PodUid,
        addresses: &PodAddresses,
        link: &str,
        host_ports: &[HostPort],
    ) -> Result<(), RulesError> {
        self.make_pod(uid, &pods::wanted(uid, addresses, link, host_ports))
    }

    /// Removes all elements of the pod.
    pub fn pod_detached(&self, uid: &PodUid) -> Result<(), RulesError> {
        self.make_pod(uid, &Tables::new())
    }

    fn make_pod(&self, uid: &PodUid, wanted: &Tables) -> Result<(), RulesError> {
        let mut state = self.state();
        let edits = state.change(|state| pods::edits(state, uid, wanted))?;
        flows::end_stale(&mut state, &edits);
        Ok(())
    }

    /// What is there of a pod with these addresses and this link.
    pub fn pod_elements(
        &self,
        uid: &PodUid,
        addresses: &PodAddresses,
        link: &str,
    ) -> Result<PodElements, RulesError> {
        let mut state = self.state();
        let wanted = pods::common(uid, addresses, link);
        let keys: Vec<(Set, Key)> = wanted
            .iter()
            .flat_map(|(set, elements)| elements.keys().map(|key| (*set, key.clone())))
            .collect();
        let found = match state.talk(|state, socket| wire::find(socket, state.table(), &keys)) {
            Err(error) if error.errno() == Some(libc::ENOENT) => Vec::new(),
            found => found?,
        };
        let whole = found.iter().flatten();
        let whole = whole.filter(|entry| pods::is_owned(entry, uid)).count();
        if whole == keys.len() && whole > 0 {
            return Ok(PodElements::Whole);
        }
        // What is known is not what is there, or nothing of it is known to be.
        let sets = both(&OF_PODS);
        if whole < keys.len() {
            state.forget(&sets);
        }
        for set in sets {
            let known = state.elements(set)?;
            if known.values().any(|entry| pods::is_owned(entry, uid)) {
                return Ok(PodElements::Partial);
            }
        }
        Ok(PodElements::Absent)
    }

    /// Pods of which any element is there.
    pub fn list(&self) -> Result<Vec<PodUid>, RulesError> {
        let mut state = self.state();
        let sets = both(&OF_PODS);
        state.forget(&sets);
        let mut pods = Vec::new();
        for set in sets {
            let owners = state.elements(set)?.values();
            let owners = owners.filter_map(|entry| entry.owner.clone());
            pods.extend(owners.filter_map(|owner| PodUid::new(owner).ok()));
        }
        pods.sort();
        pods.dedup();
        Ok(pods)
    }

    /// Makes the Services' elements what the table says.
    pub fn apply_services(&self, table: &ServiceTable) -> Result<(), RulesError> {
        let mut state = self.state();
        state.remember_for(services::timeouts(table))?;
        let edits = state.become_wanted(&both(&OF_SERVICES), services::elements(table))?;
        clients::forget(&mut state, &edits)?;
        flows::end_stale(&mut state, &edits);
        Ok(())
    }

    /// Makes the policies' elements what the table says.
    pub fn apply_policies(&self, table: &PolicyTable) -> Result<(), RulesError> {
        self.state()
            .become_wanted(&both(&OF_POLICIES), policies::elements(table))?;
        Ok(())
    }
}
