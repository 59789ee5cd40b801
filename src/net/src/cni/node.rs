//! Pods' attachments to the network of one node. All calls block.
//!
//! ```text
//! attach:  lock ─▶ (take back what is not whole) ─▶ record ─▶ ADD ─▶ record with result
//! detach:  lock ─▶ DEL ─▶ record removed
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};

use pinnace_api::{Pod, PodUid};
use pinnace_core::network::{NetworkState, PodAddresses};
use pinnace_sys::{Doing, clock, namespace};
use serde_json::Map;

use super::INTERFACE;
use super::arguments;
use super::call::{Attachment, Caller, LIMIT, Valid};
use super::config::CniConfig;
use super::error::CniError;
use super::lock::PodLock;
use super::look::Seen;
use super::network::Network;
use super::others;
use super::record::{Kept, Record, Records};
use super::result::ResultError;

/// One root's pods in a CNI network.
#[derive(Debug)]
pub(crate) struct CniNode {
    config: CniConfig,
    caller: Caller,
    records: Records,
    /// Networks for which GC was called.
    collected: Mutex<BTreeSet<String>>,
    /// Held for writing while GC is at work, which no ADD may meet.
    collecting: RwLock<()>,
}

impl CniNode {
    pub(crate) fn new(config: CniConfig) -> Self {
        Self {
            caller: Caller::new(config.bin_directories.clone()),
            records: Records::new(config.records()),
            collected: Mutex::default(),
            collecting: RwLock::new(()),
            config,
        }
    }

    pub(crate) fn config(&self) -> &CniConfig {
        &self.config
    }

    /// Whether the network takes pods; lets plugins go of what no pod has.
    pub(crate) fn start(&self) -> Result<(), CniError> {
        let network = self.network()?;
        self.collect_once(&network);
        self.caller.status(&network)
    }

    pub(crate) fn list(&self) -> Result<Vec<PodUid>, CniError> {
        Ok(self.records.list()?)
    }

    /// All attachments that were made in this boot, with their addresses.
    pub(crate) fn attached(&self) -> Result<Vec<(PodUid, PodAddresses)>, CniError> {
        let boot = clock::boot_id()?;
        let mut attached = Vec::new();
        for uid in self.records.list()? {
            if let Kept::Record(record) = self.records.read(&uid)?
                && record.boot == boot
                && let Some(addresses) = record.addresses()
            {
                attached.push((uid, addresses));
            }
        }
        Ok(attached)
    }

    pub(crate) fn observe(&self, uid: &PodUid, namespace: &Path) -> Result<NetworkState, CniError> {
        Ok(match self.records.read(uid)? {
            Kept::Record(record) => match whole(&record, namespace)? {
                Some(addresses) => NetworkState::Attached(addresses),
                None => NetworkState::Partial,
            },
            Kept::Damaged => NetworkState::Partial,
            Kept::Nothing if Seen::within(namespace)?.has_interface => NetworkState::Partial,
            Kept::Nothing => NetworkState::Absent,
        })
    }

    pub(crate) fn attach(&self, uid: &PodUid, pod: &Pod, namespace: &Path) -> Result<PodAddresses, CniError> {
        let network = self.network()?;
        let capabilities = arguments::capabilities(pod)?;
        let lock = PodLock::take(&self.config.locks(), uid, LIMIT)?;
        self.collect_once(&network);
        let _collecting = self.collecting.read().unwrap_or_else(PoisonError::into_inner);
        let kept = self.records.read(uid)?;
        if let Some(addresses) = self.confirmed(&kept, uid, namespace, &lock)? {
            return Ok(addresses);
        }
        self.take_back(&kept, uid, namespace, &lock)?;
        warn_of_missing(&network, &capabilities, uid);
        let boot = clock::boot_id()?;
        let args = arguments::cni_args(uid, Some(pod));
        let record = Record::new(&network, args, capabilities, boot);
        self.records.write(uid, &record)?;
        let added = self.add(&network, record.clone(), uid, namespace, &lock);
        if let Err(error) = &added {
            tracing::warn!(%uid, error = error.chain(), "taking back a network that could not be set up");
            let kept = Kept::Record(Box::new(record));
            match self.take_back(&kept, uid, namespace, &lock) {
                Ok(()) => lock.end()?,
                // The record stays: it is tried again.
                Err(error) => {
                    tracing::warn!(%uid, error = error.chain(), "the network could not be taken back")
                }
            }
        }
        added
    }

    pub(crate) fn detach(&self, uid: &PodUid, namespace: &Path) -> Result<(), CniError> {
        let lock = PodLock::take(&self.config.locks(), uid, LIMIT)?;
        let _collecting = self.collecting.read().unwrap_or_else(PoisonError::into_inner);
        let kept = self.records.read(uid)?;
        self.take_back(&kept, uid, namespace, &lock)?;
        Ok(lock.end()?)
    }

    /// What each attachment's CHECK says, where it fails.
    pub(crate) fn check_all(
        &self,
        namespace: impl Fn(&PodUid) -> std::path::PathBuf,
    ) -> Vec<(PodUid, CniError)> {
        let checked = |uid: &PodUid| -> Result<(), CniError> {
            let lock = PodLock::take(&self.config.locks(), uid, LIMIT)?;
            let Kept::Record(record) = self.records.read(uid)? else {
                return Ok(());
            };
            self.check(&record, uid, &namespace(uid), &lock)
        };
        let pods = self.records.list().unwrap_or_default();
        pods.into_iter()
            .filter_map(|uid| checked(&uid).err().map(|error| (uid, error)))
            .collect()
    }

    pub(crate) fn network(&self) -> Result<Network, CniError> {
        Network::load(&self.config.conf_directory)
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The addresses of an attachment that is whole. What CHECK finds is told, and nothing is undone for it: plugins in
    /// wide use find faults in what is right, and a pod may be at work with its addresses.
    fn confirmed(
        &self,
        kept: &Kept,
        uid: &PodUid,
        namespace: &Path,
        lock: &PodLock,
    ) -> Result<Option<PodAddresses>, CniError> {
        let Kept::Record(record) = kept else {
            return Ok(None);
        };
        let Some(addresses) = whole(record, namespace)? else {
            return Ok(None);
        };
        if let Err(error) = self.check(record, uid, namespace, lock) {
            tracing::warn!(%uid, error = error.chain(), "a plugin finds fault with the pod's network");
        }
        Ok(Some(addresses))
    }

    fn check(&self, record: &Record, uid: &PodUid, namespace: &Path, lock: &PodLock) -> Result<(), CniError> {
        let (Some(network), Some(result)) = (record.network(), &record.result) else {
            return Ok(());
        };
        let attachment = Attachment {
            uid,
            namespace: Some(namespace),
            args: &record.args,
            capabilities: &record.capabilities,
            lock,
        };
        self.caller.check(&network, &attachment, result)
    }

    fn add(
        &self,
        network: &Network,
        mut record: Record,
        uid: &PodUid,
        namespace: &Path,
        lock: &PodLock,
    ) -> Result<PodAddresses, CniError> {
        let attachment = Attachment {
            uid,
            namespace: Some(namespace),
            args: &record.args,
            capabilities: &record.capabilities,
            lock,
        };
        let result = self.caller.add(network, &attachment)?;
        let addresses = result.as_ref().ok_or(ResultError::NoAddress);
        let addresses = addresses.and_then(|result| result.pod_addresses());
        let addresses = addresses.map_err(|source| CniError::Result {
            plugin: network
                .plugins
                .last()
                .map(|plugin| plugin.kind.clone())
                .unwrap_or_default(),
            source,
        })?;
        record.is_seen = Seen::within(namespace)?.has(&addresses);
        record.result = result.map(|result| result.value);
        self.records.write(uid, &record)?;
        Ok(addresses)
    }

    /// DEL by what was kept, or, where that is lost, by what there is now; then the record goes.
    fn take_back(&self, kept: &Kept, uid: &PodUid, namespace: &Path, lock: &PodLock) -> Result<(), CniError> {
        let lost;
        let (record, network) = match kept {
            Kept::Record(record) => (record.as_ref(), record.network()),
            Kept::Nothing if !Seen::within(namespace)?.has_interface => return Ok(()),
            Kept::Nothing | Kept::Damaged => {
                let network = match self.network() {
                    // Nothing tells that it ever was in a network, and there is none: its namespace goes, and that is all.
                    Err(CniError::NotInitialized { .. }) if *kept == Kept::Nothing => return Ok(()),
                    network => network?,
                };
                let args = arguments::cni_args(uid, None);
                lost = Record::new(&network, args, Map::new(), String::new());
                (&lost, Some(network))
            }
        };
        let is_pinned = namespace::is_pinned(namespace)?;
        let attachment = Attachment {
            uid,
            namespace: is_pinned.then_some(namespace),
            args: &record.args,
            capabilities: &record.capabilities,
            lock,
        };
        if let Some(network) = &network {
            self.caller.delete(network, &attachment, record.result.as_ref())?;
        }
        Ok(self.records.remove(uid)?)
    }

    /// Lets the plugins of a network go of what no pod has, once in this agent's life. A failure only means that
    /// something of theirs stays for longer.
    fn collect_once(&self, network: &Network) {
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        if !collected.insert(network.name.clone()) {
            return;
        }
        let _collecting = self.collecting.write().unwrap_or_else(PoisonError::into_inner);
        let done = self
            .valid(network)
            .and_then(|valid| self.caller.collect(network, &valid));
        if let Err(error) = done {
            tracing::warn!(
                network = network.name,
                error = error.chain(),
                "GC of the network failed"
            );
        }
    }

    /// All attachments that may be alive: in doubt, too many.
    fn valid(&self, network: &Network) -> Result<Vec<Valid>, CniError> {
        let ours = |container: String| Valid {
            container,
            interface: INTERFACE.to_owned(),
        };
        let mut valid = others::attachments(&self.config.libcni_cache, &network.name)?;
        valid.extend(self.records.list()?.iter().map(|uid| ours(uid.to_string())));
        let pods = self.config.pods();
        let entries = match std::fs::read_dir(&pods) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            entries => Some(entries.doing_on("list", &pods)?),
        };
        for entry in entries.into_iter().flatten() {
            let name = entry.doing_on("list", &pods)?.file_name();
            valid.extend(name.into_string().ok().map(ours));
        }
        valid.sort();
        valid.dedup();
        Ok(valid)
    }
}

/// The addresses of an attachment that is all there.
fn whole(record: &Record, namespace: &Path) -> Result<Option<PodAddresses>, CniError> {
    let Some(addresses) = record.addresses() else {
        return Ok(None);
    };
    if record.boot != clock::boot_id()? || !namespace::is_pinned(namespace)? {
        return Ok(None);
    }
    let is_there = !record.is_seen || Seen::within(namespace)?.has(&addresses);
    Ok(is_there.then_some(addresses))
}

/// What a pod asks for and no plugin of the network does: not refused, as plugins may do it by other ways.
fn warn_of_missing(network: &Network, capabilities: &Map<String, serde_json::Value>, uid: &PodUid) {
    for capability in [arguments::PORT_MAPPINGS, arguments::BANDWIDTH] {
        if capabilities.contains_key(capability) && !network.is_capable(capability) {
            tracing::warn!(
                %uid, network = network.name, capability,
                "no plugin of the network declares the capability that the pod needs"
            );
        }
    }
}
