//! Finding links by looking at the host, and taking them down.

use std::collections::BTreeSet;

use pinnace_api::PodUid;
use pinnace_sys::netlink::{self, Batch, Socket};
use pinnace_sys::{Doing, SysResult};

use super::message::{Link, Wanted, all_links, find_link, link_header, socket};
use crate::error::NetError;
use crate::names::HostNames;

/// Takes the pod's link down; none is fine. What is of another is left alone.
pub(crate) fn remove(names: &HostNames, uid: &PodUid) -> Result<(), NetError> {
    let mut host = socket()?;
    match find_link(&mut host, Wanted::Name(&names.link(uid)))? {
        Some(link) if is_ours(names, &link) => Ok(delete(&mut host, &link)?),
        _ => Ok(()),
    }
}

/// Whether the pod's link is there, whole or not.
pub(crate) fn is_there(names: &HostNames, uid: &PodUid) -> Result<bool, NetError> {
    let link = find_link(&mut socket()?, Wanted::Name(&names.link(uid)))?;
    Ok(link.is_some_and(|link| is_ours(names, &link)))
}

/// Pods that a link names. A link of our group that names none, and that belongs to no pod of `leased` (asked
/// for after the links were listed), was made by a call that was cut short: it is taken down.
pub(crate) fn list(
    names: &HostNames,
    leased: impl FnOnce() -> Result<Vec<PodUid>, NetError>,
) -> Result<Vec<PodUid>, NetError> {
    let mut host = socket()?;
    let links = all_links(&mut host)?;
    let mut pods: BTreeSet<PodUid> = leased()?.into_iter().collect();
    let known: BTreeSet<String> = pods.iter().map(|uid| names.link(uid)).collect();
    for link in links.iter().filter(|link| is_ours(names, link)) {
        match names.uid_of_alias(&link.alias) {
            Some(uid) => {
                pods.insert(uid);
            }
            None if !known.contains(&link.name) => delete(&mut host, link)?,
            None => {}
        }
    }
    Ok(pods.into_iter().collect())
}

fn is_ours(names: &HostNames, link: &Link) -> bool {
    link.group == names.group()
        && names.is_link(&link.name)
        && (link.alias.is_empty() || names.uid_of_alias(&link.alias).is_some())
}

fn delete(host: &mut Socket, link: &Link) -> SysResult<()> {
    let mut batch = Batch::new();
    batch.message(libc::RTM_DELLINK, netlink::ACK, &link_header(link.index, false));
    let answers = host.execute(batch).doing("remove the link", &link.name)?;
    match answers.results.into_iter().collect::<std::io::Result<()>>() {
        // It went with its pod's namespace meanwhile.
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        result => result.doing("remove the link", &link.name),
    }
}
