//! Addresses on the loopback interface, for the node's DNS server to listen on.
//!
//! They are of the host alone (scope `host`), and never the source of what the host sends by itself.

use std::net::IpAddr;

use pinnace_sys::SysResult;

use crate::links::{Steps, Wanted, find_link, socket};

const LOOPBACK: &str = "lo";

/// Puts the addresses there; those that are there stay.
pub(crate) fn put_on_loopback(addresses: &[IpAddr]) -> SysResult<()> {
    let mut host = socket()?;
    let Some(link) = find_link(&mut host, Wanted::Name(LOOPBACK))? else {
        return Ok(());
    };
    let mut steps = Steps::default();
    for address in addresses {
        steps.address(link.index, *address, libc::RT_SCOPE_HOST, false);
    }
    steps.run(&mut host, LOOPBACK)
}

/// Takes them away; those that are not there are fine.
pub(crate) fn take_from_loopback(addresses: &[IpAddr]) -> SysResult<()> {
    let mut host = socket()?;
    let Some(link) = find_link(&mut host, Wanted::Name(LOOPBACK))? else {
        return Ok(());
    };
    for address in addresses {
        let mut steps = Steps::default();
        steps.no_address(link.index, *address);
        match steps.run(&mut host, LOOPBACK) {
            Err(error) if error.errno() == Some(libc::EADDRNOTAVAIL) => {}
            done => done?,
        }
    }
    Ok(())
}
