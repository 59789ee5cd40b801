//! Leases of pods' addresses.
//!
//! A lease is a symbolic link named after the address that leads to the pod's UID: it is made in one step, whole
//! or not at all, and only where none is. It lies below `/run`, so it lives exactly as long as what it names.
//!
//! What is read once is kept in memory, as the agent of a root is alone; every answer about a pod is still
//! looked up in the directory. Addresses are given one after the other, so that one that was just given back
//! rests for as long as possible, for peers and flows that still know it.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pinnace_api::{Cidr, PodUid};
use pinnace_core::network::PodAddresses;
use pinnace_sys::{Doing, SysError, SysResult, file};

use crate::error::NetError;

/// Leases of all pods of one root.
#[derive(Debug)]
pub(crate) struct Leases {
    directory: PathBuf,
    ranges: Vec<Cidr>,
    held: Mutex<Option<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    pods: BTreeMap<PodUid, Vec<IpAddr>>,
    taken: BTreeMap<IpAddr, Option<PodUid>>,
}

impl Leases {
    /// Leases in `directory/leases` out of `ranges`, at most one of each family.
    pub(crate) fn new(directory: PathBuf, ranges: Vec<Cidr>) -> Self {
        Self {
            directory,
            ranges,
            held: Mutex::new(None),
        }
    }

    /// The ranges that addresses come from.
    pub(crate) fn ranges(&self) -> &[Cidr] {
        &self.ranges
    }

    /// The pod's addresses, one of each range; those that it has stay.
    pub(crate) fn acquire(&self, uid: &PodUid) -> Result<PodAddresses, NetError> {
        let mut guard = self.lock();
        let mut held = match guard.take() {
            Some(held) => held,
            None => self.read()?,
        };
        // Where it fails, a lease may have been made that the memory does not know of: the next call reads anew.
        self.acquire_all(&mut held, uid)?;
        *guard = Some(held);
        Ok(self.in_order(guard.as_ref().and_then(|held| held.pods.get(uid))))
    }

    /// The pod's addresses, looked up; `None` where it has none.
    pub(crate) fn find(&self, uid: &PodUid) -> Result<Option<PodAddresses>, NetError> {
        let mut guard = self.lock();
        let known = guard.as_ref().and_then(|held| held.pods.get(uid));
        let mut there = known.is_some();
        for address in known.into_iter().flatten() {
            there &= self.holder(*address)?.as_ref() == Some(uid);
        }
        if !there {
            // Not known, or not as known: the directory is right. One agent is the only one to lease, so a
            // memory that was read knows of every lease.
            if guard.is_none() || known.is_some() {
                *guard = Some(self.read()?);
            }
        }
        let addresses = guard.as_ref().and_then(|held| held.pods.get(uid));
        Ok(addresses.map(|_| self.in_order(addresses)))
    }

    /// Gives back what the pod has. Like [`Leases::find`], it trusts a memory that was read to know of every lease:
    /// a listing for each of a thousand pods would be two million look-ups.
    pub(crate) fn release(&self, uid: &PodUid) -> Result<(), NetError> {
        let mut guard = self.lock();
        let mut held = match guard.take() {
            Some(held) => held,
            None => self.read()?,
        };
        for address in held.pods.get(uid).into_iter().flatten() {
            // Where anything fails, the memory is given up, and the next call reads anew.
            if self.holder(*address)?.as_ref() == Some(uid) {
                file::remove_file(&self.path(*address))?;
            }
        }
        for address in held.pods.remove(uid).into_iter().flatten() {
            held.taken.remove(&address);
        }
        *guard = Some(held);
        Ok(())
    }

    /// All pods that have a lease, read anew.
    pub(crate) fn list(&self) -> Result<Vec<PodUid>, NetError> {
        let mut guard = self.lock();
        let held = self.read()?;
        let pods = held.pods.keys().cloned().collect();
        *guard = Some(held);
        Ok(pods)
    }

    fn acquire_all(&self, held: &mut Held, uid: &PodUid) -> Result<(), NetError> {
        for range in &self.ranges {
            let has = held.pods.get(uid).into_iter().flatten();
            if has.clone().any(|address| address.is_ipv4() == range.is_ipv4()) {
                continue;
            }
            let address = self.take(held, *range, uid)?;
            held.taken.insert(address, Some(uid.clone()));
            held.pods.entry(uid.clone()).or_default().push(address);
        }
        Ok(())
    }

    /// Leases the next free address of a range.
    fn take(&self, held: &mut Held, range: Cidr, uid: &PodUid) -> Result<IpAddr, NetError> {
        let first = bits(range.first());
        let (low, high) = usable(range);
        let cursor = self.cursor(range);
        let begin = cursor
            .filter(|address| range.contains(*address))
            .map_or(low, |address| bits(address) - first + 1);
        file::create_dir_all(&self.leases(), 0o755)?;
        // One more round than there are leases finds a free address, where one is.
        for step in 0..=held.taken.len() as u128 {
            let index = low + (begin.saturating_sub(low) + step) % (high - low + 1);
            let Some(address) = range.nth(index) else { break };
            if held.taken.contains_key(&address) {
                continue;
            }
            if self.create(address, uid)? {
                self.set_cursor(range, address)?;
                return Ok(address);
            }
            let holder = self.holder(address)?;
            held.taken.insert(address, holder);
        }
        Err(NetError::Exhausted {
            range: range.to_string(),
            leased: held
                .taken
                .keys()
                .filter(|address| range.contains(**address))
                .count(),
        })
    }

    /// `false` where the address is leased already.
    fn create(&self, address: IpAddr, uid: &PodUid) -> SysResult<bool> {
        let path = self.path(address);
        match std::os::unix::fs::symlink(uid.as_str(), &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error).doing_on("lease", &path),
        }
    }

    /// Whose lease it is; `None` where there is none, or one that names no pod.
    fn holder(&self, address: IpAddr) -> SysResult<Option<PodUid>> {
        let target = read_link(&self.path(address))?;
        Ok(target.and_then(|target| PodUid::new(target).ok()))
    }

    fn read(&self) -> SysResult<Held> {
        let mut held = Held::default();
        let directory = self.leases();
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(held),
            entries => entries.doing_on("list", &directory)?,
        };
        for entry in entries {
            let name = entry.doing_on("list", &directory)?.file_name();
            let Some(address) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let holder = self.holder(address)?;
            if let Some(uid) = &holder {
                held.pods.entry(uid.clone()).or_default().push(address);
            }
            // One that names no pod is nobody's to give: the address stays out of use.
            held.taken.insert(address, holder);
        }
        Ok(held)
    }

    fn in_order(&self, addresses: Option<&Vec<IpAddr>>) -> PodAddresses {
        let mut found = PodAddresses {
            v6_first: self.ranges.first().is_some_and(|range| !range.is_ipv4()),
            ..PodAddresses::default()
        };
        for address in addresses.into_iter().flatten() {
            match address {
                IpAddr::V4(address) => found.v4 = Some(*address),
                IpAddr::V6(address) => found.v6 = Some(*address),
            }
        }
        found
    }

    fn cursor(&self, range: Cidr) -> Option<IpAddr> {
        // Without it addresses only come again sooner.
        let target = read_link(&self.cursor_path(range)).ok().flatten()?;
        target.parse().ok()
    }

    fn set_cursor(&self, range: Cidr, address: IpAddr) -> SysResult<()> {
        let path = self.cursor_path(range);
        let new = path.with_extension("new");
        file::remove_file(&new)?;
        std::os::unix::fs::symlink(address.to_string(), &new).doing_on("write", &new)?;
        std::fs::rename(&new, &path).doing_on("write", &path)
    }

    fn cursor_path(&self, range: Cidr) -> PathBuf {
        let family = if range.is_ipv4() { "last-ipv4" } else { "last-ipv6" };
        self.directory.join(family)
    }

    fn leases(&self) -> PathBuf {
        self.directory.join("leases")
    }

    fn path(&self, address: IpAddr) -> PathBuf {
        self.leases().join(address.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        // What a thread that died left is never half done: leases are files.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a link leads to; `None` where nothing, or something else, is there.
fn read_link(path: &Path) -> SysResult<Option<String>> {
    match std::fs::read_link(path) {
        Ok(target) => Ok(target.into_os_string().into_string().ok()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(SysError::new("read", path.display(), error)),
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// First and last place in the range that a pod may have: not the network's own address (IPv6: that of all its
/// routers), nor the broadcast address.
fn usable(range: Cidr) -> (u128, u128) {
    let last = bits(range.last()) - bits(range.first());
    match last {
        0 => (0, 0),
        1 => (0, 1),
        _ if range.is_ipv4() => (1, last - 1),
        _ => (1, last),
    }
}

#[cfg(test)]
mod tests;
