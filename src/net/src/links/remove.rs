//! Finding links by looking at the host, and taking them down.
//!
//! The kernel takes some 20 ms to take a link down, one after the other, and hardly more for a hundred at once. So a
//! link that is to go is only given up, by putting it into a group of its own: from then on it is no pod's. Somebody
//! takes the whole group down soon afterwards, or, where the agent ended meanwhile, when it looks again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use pinnace_api::PodUid;
use pinnace_sys::netlink::{self, Batch, Socket};
use pinnace_sys::{Doing, SysResult};

use super::look::{Link, Wanted, all_links, find_link};
use super::message::{link_header, socket};
use crate::error::NetError;
use crate::names::HostNames;

/// Who takes down what was given up.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    turn: Mutex<()>,
}

impl Sweeper {
    /// Takes down all links that were given up before this call.
    pub(crate) fn sweep(&self, names: &HostNames) -> Result<(), NetError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::new();
        batch
            .message(libc::RTM_DELLINK, netlink::ACK, &link_header(0, false))
            .u32(libc::IFLA_GROUP, names.ending_group());
        Ok(unless_gone(
            &mut socket()?,
            batch,
            "remove",
            "links that were given up",
        )?)
    }
}

/// Gives the pod's link up; none is fine. What is of another is left alone. Answers whether there was one.
pub(crate) fn give_up(names: &HostNames, uid: &PodUid) -> Result<bool, NetError> {
    let mut host = socket()?;
    match find_link(&mut host, Wanted::Name(&names.link(uid)))? {
        Some(link) if is_ours(names, &link) => {
            give_up_link(&mut host, names, &link)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn give_up_link(host: &mut Socket, names: &HostNames, link: &Link) -> SysResult<()> {
    let mut batch = Batch::new();
    batch
        .message(libc::RTM_SETLINK, netlink::ACK, &link_header(link.index, false))
        .u32(libc::IFLA_GROUP, names.ending_group());
    unless_gone(host, batch, "give up the link", &link.name)
}

/// Whether the pod's link is there, whole or not.
pub(crate) fn is_there(names: &HostNames, uid: &PodUid) -> Result<bool, NetError> {
    let link = find_link(&mut socket()?, Wanted::Name(&names.link(uid)))?;
    Ok(link.is_some_and(|link| link.group == names.group() && is_ours(names, &link)))
}

/// Pods that a link names. A link of our group that names none, and that belongs to no pod of `leased` (asked
/// for after the links were listed), was made by a call that was cut short: it is taken down, and so is what was
/// given up.
pub(crate) fn list(
    names: &HostNames,
    sweeper: &Sweeper,
    leased: impl FnOnce() -> Result<Vec<PodUid>, NetError>,
) -> Result<Vec<PodUid>, NetError> {
    let mut host = socket()?;
    let links = all_links(&mut host)?;
    let mut pods: BTreeSet<PodUid> = leased()?.into_iter().collect();
    let known: BTreeSet<String> = pods.iter().map(|uid| names.link(uid)).collect();
    let mut swept = false;
    for link in links.iter().filter(|link| is_ours(names, link)) {
        match names.uid_of_alias(&link.alias) {
            _ if link.group == names.ending_group() => swept = true,
            Some(uid) => {
                pods.insert(uid);
            }
            None if !known.contains(&link.name) => {
                give_up_link(&mut host, names, link)?;
                swept = true;
            }
            None => {}
        }
    }
    if swept {
        sweeper.sweep(names)?;
    }
    Ok(pods.into_iter().collect())
}

fn is_ours(names: &HostNames, link: &Link) -> bool {
    [names.group(), names.ending_group()].contains(&link.group)
        && names.is_link(&link.name)
        && (link.alias.is_empty() || names.uid_of_alias(&link.alias).is_some())
}

/// A link may go with its pod's namespace at any time.
pub(super) fn unless_gone(
    host: &mut Socket,
    batch: Batch,
    operation: &'static str,
    name: &str,
) -> SysResult<()> {
    let answers = host.execute(batch).doing(operation, name)?;
    match answers.results.into_iter().collect::<std::io::Result<()>>() {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        result => result.doing(operation, name),
    }
}
