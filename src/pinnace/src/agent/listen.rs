//! Where the agent answers Prometheus, and the ports that no pod can have for it.

use std::net::SocketAddr;

use pinnace_api::pod::Protocol;
use pinnace_core::config::NodeConfig;
use pinnace_core::node::OwnPort;
use pinnace_server::bind_tcp;
use tokio::net::TcpListener;

use super::AgentError;
use crate::systemd::Kept;

/// The configuration's setting and the command line's option, as errors name them.
const SETTING: &str = "metricsListen";
const OPTION: &str = "--metrics-listen";
/// What the sockets are for, in the names under which systemd keeps them.
const ROLE: &str = "metrics";

/// The addresses of the command line, or else of the configuration.
pub fn addresses(named: &[String], config: &NodeConfig) -> Result<Vec<SocketAddr>, AgentError> {
    if named.is_empty() {
        return Ok(config.metrics_listen.clone());
    }
    let named = named.iter().filter(|text| *text != "none");
    named
        .map(|text| {
            let full = if text.starts_with(':') {
                format!("0.0.0.0{text}")
            } else {
                text.clone()
            };
            full.parse().map_err(|_| AgentError::Address(text.clone()))
        })
        .collect()
}

/// Listens on all of the addresses; those that the agent before listened on too are taken over from `kept`.
pub fn bind(addresses: &[SocketAddr], kept: &mut Kept) -> Result<Vec<TcpListener>, AgentError> {
    let listeners = addresses.iter().map(|address| bind_one(*address, kept));
    listeners.collect()
}

fn bind_one(address: SocketAddr, kept: &mut Kept) -> Result<TcpListener, AgentError> {
    if let Some(listener) = kept.tcp(ROLE, address) {
        listener.set_nonblocking(true)?;
        return Ok(TcpListener::from_std(listener)?);
    }
    let listener = bind_tcp(address, SETTING, OPTION)?;
    Kept::keep(ROLE, address, &listener);
    Ok(listener)
}

/// The ports of these addresses as no pod's: one that the kernel chooses is nobody's before it is bound.
pub fn own_ports(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<OwnPort> {
    let port = |address| OwnPort {
        address,
        protocol: Protocol::Tcp,
        setting: SETTING,
    };
    let chosen = addresses.into_iter().filter(|address| address.port() != 0);
    chosen.map(port).collect()
}
