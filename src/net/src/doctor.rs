//! What this kernel and this host lack for pods' links.
//!
//! The kernel is not asked for its configuration but tried, in a network namespace of its own that is gone
//! afterwards; the host is only looked at.

use std::net::IpAddr;

use pinnace_api::Cidr;

use crate::config::NetConfig;
use crate::error::NetError;
use crate::finding::Finding;
use crate::host::{self, sysctl};
use crate::links::{self, Wanted, find_link, socket, way_to};
use crate::names::HostNames;

/// All that links lack on this host; empty where nothing does. Blocks for some milliseconds.
pub fn links(config: &NetConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(kernel());
    findings.extend(ipv6(config));
    findings.extend(forwarding(config));
    for range in &config.pod_ranges {
        findings.extend(overlap(config, *range));
    }
    findings
}

/// All that the rules lack: the program, the kernel's pieces, a way through the host's own firewall.
pub fn rules(config: &NetConfig) -> Vec<Finding> {
    crate::rules::findings(config)
}

/// What a start that went well does not tell: pods' links, and a way through the host's own firewall.
pub fn after_start(config: &NetConfig) -> Vec<Finding> {
    let mut findings = links(config);
    findings.extend(crate::rules::firewall_findings(config));
    findings
}

fn kernel() -> Option<Finding> {
    let failed = match pinnace_sys::namespace::within_new_network(links::probe) {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error,
        Err(error) => error.into(),
    };
    Some(match &failed {
        NetError::NoVeth => Finding::new(
            "The kernel makes no veth pairs (CONFIG_VETH), so pods get no network of their own.",
            "Load the module veth, or use a kernel that has it.",
        ),
        NetError::NoTokenBucket => Finding::new(
            "The kernel has no token bucket (CONFIG_NET_SCH_TBF), so pods with bandwidth annotations do not start.",
            "Load the module sch_tbf, or use a kernel that has it.",
        ),
        NetError::Host(error) if error.errno() == Some(libc::EPERM) => Finding::new(
            format!("The kernel does not let this process {error}."),
            "Run it as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN.",
        ),
        _ => Finding::new(
            format!("The kernel refused a pod's link: {}.", failed.chain()),
            "Look for the cause in the kernel's log (dmesg).",
        ),
    })
}

fn ipv6(config: &NetConfig) -> Option<Finding> {
    let wanted = config.pod_ranges.iter().find(|range| !range.is_ipv4())?;
    (!sysctl::has_ipv6()).then(|| {
        Finding::new(
            format!("This kernel speaks no IPv6, so no pod gets an address of {wanted}."),
            "Start it without ipv6.disable=1, or leave the range out of podCIDR.",
        )
    })
}

fn forwarding(config: &NetConfig) -> Vec<Finding> {
    let families = [("IPv4", host::V4, true), ("IPv6", host::V6, false)];
    let wanted = families.iter().filter(|(_, _, v4)| {
        let has = |range: &Cidr| range.is_ipv4() == *v4;
        config.pod_ranges.iter().any(has) && (*v4 || sysctl::has_ipv6())
    });
    wanted
        .filter_map(|(family, setting, _)| forwarding_of(config, family, setting))
        .collect()
}

fn forwarding_of(config: &NetConfig, family: &str, setting: &str) -> Option<Finding> {
    let path = sysctl::of(setting);
    if sysctl::read(&path).is_ok_and(|value| value == "1") {
        return None;
    }
    let name = setting.replace('/', ".");
    let writable = std::fs::OpenOptions::new().write(true).open(&path);
    if let Err(error) = writable {
        return Some(Finding::new(
            format!(
                "Forwarding of {family} is off (net.{name} = 0), and cannot be switched on here: {error}."
            ),
            format!("Set net.{name} = 1 in /etc/sysctl.d, or where this machine's settings are made."),
        ));
    }
    // The agent switches it on when it starts; its folder tells that it did.
    config.layout.network().exists().then(|| {
        Finding::new(
            format!("Forwarding of {family} was switched off after the agent started (net.{name} = 0)."),
            format!(
                "Set net.{name} = 1 in /etc/sysctl.d, or end what switches it off, and restart the agent."
            ),
        )
    })
}

/// A route of another's to the range, or to more than the range: the widest that is met at either end.
fn overlap(config: &NetConfig, range: Cidr) -> Option<Finding> {
    let mut host = socket().ok()?;
    let ours = HostNames::new(&config.layout).group();
    let mut widest: Option<(u8, IpAddr, String)> = None;
    for address in [range.nth(1).unwrap_or(range.first()), range.last()] {
        let Some(way) = way_to(&mut host, address, true).ok().flatten() else {
            continue;
        };
        let Some(link) = way
            .interface
            .and_then(|index| find_link(&mut host, Wanted::Index(index)).ok()?)
        else {
            continue;
        };
        let others = way.prefix > 0 && link.group != ours && link.name != "lo";
        if others && widest.as_ref().is_none_or(|(prefix, ..)| way.prefix < *prefix) {
            widest = Some((way.prefix, address, link.name));
        }
    }
    widest.map(|(prefix, address, link)| overlapping(range, address, prefix, &link))
}

fn overlapping(range: Cidr, address: IpAddr, prefix: u8, link: &str) -> Finding {
    let route = Cidr::new(address, prefix).map_or_else(|| address.to_string(), |route| route.to_string());
    Finding::new(
        format!("The pods' range {range} overlaps with {route}, which this host reaches through {link}."),
        "Pods would hide what is there: set podCIDR to a range that nothing else here uses.",
    )
}
