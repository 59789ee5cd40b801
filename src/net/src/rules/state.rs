//! What the kernel holds, as far as it is known, and how it becomes what is wanted.
//!
//! Sets are listed when they are first needed, and known from then on; whoever changes them besides is found out
//! by a transaction that fails, or by looking at a pod's elements. Then all is listed anew.

use std::collections::{BTreeMap, BTreeSet};

use pinnace_sys::SysError;
use pinnace_sys::netlink::Socket;

use super::element::{Chain, Data, Elements, Entry, Key};
use super::set::{self, Set};
use super::text::{self, Before};
use super::wire::{self, Changes};
use super::{RulesConfig, RulesError, memory, pieces, program};
use crate::names::HostNames;

/// Elements of several sets.
pub(super) type Tables = BTreeMap<Set, Elements>;

/// `service.spec.sessionAffinityConfig.clientIP.timeoutSeconds` where a manifest leaves it out.
const AFFINITY_SECONDS: u32 = 10_800;
/// How often a change is tried where somebody else changed something meanwhile.
const ATTEMPTS: u32 = 4;

/// An element that comes or changes, or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) set: Set,
    pub(super) key: Key,
    pub(super) entry: Option<Entry>,
}

/// The table in the kernel.
#[derive(Debug)]
pub(super) struct State {
    config: RulesConfig,
    names: HostNames,
    table: String,
    /// Kept: the kernel closes one not before all that was removed before is freed, which takes milliseconds.
    socket: Option<Socket>,
    known: Tables,
    /// What Services and policies were last asked to be, laid again should the table be lost.
    wanted: Tables,
    timeouts: BTreeSet<u32>,
}

impl State {
    pub(super) fn new(config: RulesConfig, names: HostNames) -> Self {
        Self {
            table: names.table(),
            config,
            names,
            socket: None,
            known: Tables::new(),
            wanted: Tables::new(),
            timeouts: BTreeSet::from([AFFINITY_SECONDS]),
        }
    }

    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Speaks with the kernel.
    pub(super) fn talk<T>(
        &mut self,
        work: impl FnOnce(&Self, &mut Socket) -> Result<T, SysError>,
    ) -> Result<T, SysError> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => wire::socket()?,
        };
        let mut done = work(self, &mut socket);
        if let Err(error) = &mut done
            && error.errno() == Some(libc::EINVAL)
            && wire::is_missing(&mut socket)
        {
            // A kernel without nftables has no table; whoever lays one is told which piece is lacking.
            error.source = std::io::Error::from_raw_os_error(libc::ENOENT);
        }
        // After an answer that was none, or came too late, another one is opened.
        let answered = |error: &SysError| error.errno().is_some_and(|number| number != libc::EAGAIN);
        if done.as_ref().err().is_none_or(answered) {
            self.socket = Some(socket);
        }
        done
    }

    /// Lays the table down in one transaction, with the elements that are there; or says which piece is lacking.
    pub(super) fn declare(&mut self) -> Result<(), RulesError> {
        self.declare_whole().map_err(|error| match error {
            // A kernel without nftables answers no request about it.
            RulesError::Refused { .. } | RulesError::Host(_) => pieces::lacking().unwrap_or(error),
            error => error,
        })
    }

    fn declare_whole(&mut self) -> Result<(), RulesError> {
        let comment = self.talk(|state, socket| wire::table_comment(socket, &state.table))?;
        let mut found = match &comment {
            Some(_) => self.talk(list_all)?,
            None => Tables::new(),
        };
        self.timeouts.extend(timeouts_of(&found));
        // Those have times of their own, and are made again by the next connection.
        found.retain(|set, _| !set.is_dynamic());
        self.known.clear();
        let same = comment.is_some_and(|comment| comment == text::layout());
        let before = if same {
            Before::Kept
        } else {
            Before::Replaced(&found)
        };
        match self.lay(before) {
            // Elements of an older release that mean nothing to this table must not keep it away.
            Err(RulesError::Refused { said }) if !same && !found.is_empty() => {
                tracing::warn!(said, "the elements of an older table were not taken over");
                self.lay(Before::Replaced(&Tables::new()))
            }
            declared => declared,
        }
    }

    fn lay(&mut self, before: Before<'_>) -> Result<(), RulesError> {
        let text = text::declaration(&self.config, &self.names, &self.timeouts, before);
        program::run(&text, false)?;
        // Until this is done, new clients are led, and not remembered.
        Ok(self.talk(|state, socket| memory::lay(socket, &state.table, state.timeouts.iter().copied()))?)
    }

    /// Takes the table away.
    pub(super) fn retract(&mut self) -> Result<(), RulesError> {
        self.known.clear();
        match self.talk(|state, socket| wire::delete_table(socket, &state.table)) {
            Err(error) if error.errno() == Some(libc::ENOENT) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Declares chains that remember clients for so long.
    pub(super) fn remember_for(&mut self, seconds: impl Iterator<Item = u32>) -> Result<(), RulesError> {
        let before = self.timeouts.len();
        self.timeouts.extend(seconds);
        if self.timeouts.len() > before {
            self.declare()?;
        }
        Ok(())
    }

    /// Elements of a set. A table that is not there has none.
    pub(super) fn elements(&mut self, set: Set) -> Result<&Elements, RulesError> {
        if !self.known.contains_key(&set) {
            let listed = self.talk(|state, socket| wire::list(socket, &state.table, set));
            let listed = if_there(listed)?;
            self.known.insert(set, listed);
        }
        Ok(self.known.entry(set).or_default())
    }

    /// What is known of a set that was looked at before.
    pub(super) fn seen(&self, set: Set) -> Option<&Elements> {
        self.known.get(&set)
    }

    /// Lists the sets anew when they are needed next.
    pub(super) fn forget(&mut self, sets: &[Set]) {
        self.known.retain(|set, _| !sets.contains(set));
    }

    /// Makes these sets what is wanted; answers what changed.
    pub(super) fn become_wanted(&mut self, sets: &[Set], wanted: Tables) -> Result<Vec<Edit>, RulesError> {
        self.wanted.retain(|set, _| !sets.contains(set));
        self.wanted.extend(wanted);
        self.change(|state| state.difference(sets))
    }

    /// Carries out what `plan` finds to be done, in one transaction; `plan` is asked anew where somebody else
    /// changed the table meanwhile.
    pub(super) fn change(
        &mut self,
        plan: impl Fn(&mut Self) -> Result<Vec<Edit>, RulesError>,
    ) -> Result<Vec<Edit>, RulesError> {
        let mut attempt = 1;
        loop {
            let edits = plan(self)?;
            match self.commit(&edits) {
                Ok(()) => return Ok(edits),
                Err(error) if attempt < ATTEMPTS && is_of_another(&error) => self.recover()?,
                Err(error) => return Err(error.into()),
            }
            attempt += 1;
        }
    }

    fn difference(&mut self, sets: &[Set]) -> Result<Vec<Edit>, RulesError> {
        let mut edits = Vec::new();
        let nothing = Elements::new();
        for set in sets {
            self.elements(*set)?;
            let known = self.known.get(set).unwrap_or(&nothing);
            let wanted = self.wanted.get(set).unwrap_or(&nothing);
            let gone = known.keys().filter(|key| !wanted.contains_key(key));
            edits.extend(gone.map(|key| Edit {
                set: *set,
                key: key.clone(),
                entry: None,
            }));
            let new = wanted.iter().filter(|(key, entry)| known.get(key) != Some(entry));
            edits.extend(new.map(|(key, entry)| Edit {
                set: *set,
                key: key.clone(),
                entry: Some(entry.clone()),
            }));
        }
        Ok(edits)
    }

    fn send(&self, edits: &[Edit], socket: &mut Socket) -> Result<(), SysError> {
        let mut removed: BTreeMap<Set, Vec<&Key>> = BTreeMap::new();
        let mut added: BTreeMap<Set, Vec<(&Key, &Entry)>> = BTreeMap::new();
        for edit in edits {
            let there = self
                .known
                .get(&edit.set)
                .is_some_and(|known| known.contains_key(&edit.key));
            if there {
                removed.entry(edit.set).or_default().push(&edit.key);
            }
            if let Some(entry) = &edit.entry {
                added.entry(edit.set).or_default().push((&edit.key, entry));
            }
        }
        let changes = Changes {
            removed: removed.into_iter().collect(),
            added: added.into_iter().collect(),
        };
        if changes.is_empty() {
            return Ok(());
        }
        changes.commit(socket, &self.table)
    }

    fn commit(&mut self, edits: &[Edit]) -> Result<(), SysError> {
        self.talk(|state, socket| state.send(edits, socket))?;
        for edit in edits {
            let known = self.known.entry(edit.set).or_default();
            match &edit.entry {
                Some(entry) => known.insert(edit.key.clone(), entry.clone()),
                None => known.remove(&edit.key),
            };
        }
        Ok(())
    }

    /// Looks anew; lays the table down, where it is gone, with what Services and policies were to be.
    fn recover(&mut self) -> Result<(), RulesError> {
        self.known.clear();
        let comment = self.talk(|state, socket| wire::table_comment(socket, &state.table));
        if if_there(comment)?.is_some() {
            return Ok(());
        }
        self.declare()?;
        let mut sets = set::both(&set::OF_SERVICES);
        sets.extend(set::both(&set::OF_POLICIES));
        let edits = self.difference(&sets)?;
        Ok(self.commit(&edits)?)
    }
}

fn list_all(state: &State, socket: &mut Socket) -> Result<Tables, SysError> {
    let mut tables = Tables::new();
    for set in set::all() {
        tables.insert(set, if_there(wire::list(socket, &state.table, set))?);
    }
    Ok(tables)
}

/// Nothing, of a table or set that is not there.
fn if_there<T: Default>(found: Result<T, SysError>) -> Result<T, SysError> {
    match found {
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(T::default()),
        found => found,
    }
}

/// The kernel's answers to a change of what is not as it was known.
fn is_of_another(error: &SysError) -> bool {
    matches!(
        error.errno(),
        Some(libc::ENOENT | libc::EEXIST | libc::EBUSY | libc::ENOTEMPTY)
    )
}

fn timeouts_of(tables: &Tables) -> BTreeSet<u32> {
    let entries = tables.values().flat_map(BTreeMap::values);
    entries
        .filter_map(|entry| match entry.data {
            Data::Goto(Chain::Affinity(seconds)) => Some(seconds),
            _ => None,
        })
        .collect()
}
