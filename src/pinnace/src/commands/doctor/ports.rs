//! The ports that the agent wants for itself.

use std::io;
use std::net::{SocketAddr, TcpListener};

use pinnace_core::config::{NetworkPlan, NodeConfig};
use pinnace_net::Finding;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::Check;

const DNS_PORT: u16 = 53;

/// Where Prometheus is to be answered.
pub(super) fn metrics(config: &NodeConfig, running: bool) -> Check {
    let addresses = &config.metrics_listen;
    let told: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let what = format!("metrics' address ({})", told.join(", "));
    if running {
        return Check::new(what, None);
    }
    let failed = addresses.iter().filter_map(|address| {
        let error = TcpListener::bind(address).err()?;
        Some(Finding::new(
            format!("{address} cannot be listened on: {error}."),
            "End what listens there, or set metricsListen to another address.",
        ))
    });
    Check::new(what, failed)
}

/// Where names are to be answered.
pub(super) fn dns(plan: &NetworkPlan, running: bool) -> Check {
    let told: Vec<String> = plan.dns.iter().map(ToString::to_string).collect();
    let what = format!("DNS server's address ({})", told.join(", "));
    if running {
        return Check::new(what, None);
    }
    let failed = plan.dns.iter().filter_map(|address| {
        let address = SocketAddr::new(*address, DNS_PORT);
        let tried = try_bind(address, SocketType::DGRAM).and_then(|()| try_bind(address, SocketType::STREAM));
        let error = tried.err()?;
        Some(Finding::new(
            format!("{address} cannot be listened on: {error}."),
            "A DNS server that listens on all addresses has the port: have it listen on its own alone, or set \
             clusterDNS to what it leaves free.",
        ))
    });
    Check::new(what, failed)
}

/// Binds and lets go again; the address need not be on an interface yet.
fn try_bind(address: SocketAddr, kind: SocketType) -> io::Result<()> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    match address {
        SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
        SocketAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
    }
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    Ok(bind(&socket, &address)?)
}
