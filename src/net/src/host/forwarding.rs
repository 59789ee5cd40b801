//! Forwarding of packets between interfaces, without which no pod reaches anything but the host.

use std::path::Path;

use pinnace_sys::{Doing, SysResult};

use super::sysctl;

/// Forwarding of IPv4.
pub(crate) const V4: &str = "ipv4/ip_forward";
/// Forwarding of IPv6.
pub(crate) const V6: &str = "ipv6/conf/all/forwarding";

/// Switches forwarding on. It is never switched off again: others may have come to need it.
pub(crate) fn forward(v4: bool, v6: bool) -> SysResult<()> {
    if v4 && sysctl::read(&sysctl::of(V4))? != "1" {
        sysctl::write(&sysctl::of(V4), "1")?;
        tracing::info!("switched forwarding of IPv4 on (net.ipv4.ip_forward)");
    }
    if v6 && sysctl::read(&sysctl::of(V6))? != "1" {
        keep_router_advertisements()?;
        sysctl::write(&sysctl::of(V6), "1")?;
        tracing::info!("switched forwarding of IPv6 on (net.ipv6.conf.all.forwarding)");
    }
    Ok(())
}

/// A host that forwards stops listening to routers, and would lose the address and the default route that it has
/// of them: interfaces that listen are told to do so all the same (`accept_ra` 2).
fn keep_router_advertisements() -> SysResult<()> {
    let all = Path::new("/proc/sys/net/ipv6/conf");
    for entry in std::fs::read_dir(all).doing_on("list", all)? {
        let name = entry.doing_on("list", all)?.file_name();
        let Some(name) = name
            .to_str()
            .filter(|name| !matches!(*name, "all" | "default" | "lo"))
        else {
            continue;
        };
        let setting = sysctl::of_interface(name, "accept_ra");
        // An interface may go at any time.
        if sysctl::read(&setting).is_ok_and(|value| value == "1") {
            sysctl::write(&setting, "2")?;
        }
    }
    Ok(())
}
