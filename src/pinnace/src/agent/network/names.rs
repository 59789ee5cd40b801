//! The node's DNS server, where pods have a network.

use std::net::{IpAddr, SocketAddr};

use pinnace_core::network::NameTable;
use pinnace_core::ports::Names;
use pinnace_net::dns::{Dns, DnsSockets, Serving};

use super::settings::NetworkSettings;
use crate::agent::chain;
use crate::systemd::Kept;

const PORT: u16 = 53;
/// What the sockets are for, in the names under which systemd keeps them.
const ROLES: [&str; 2] = ["dns-udp", "dns-tcp"];

/// The server, or nobody.
#[derive(Debug, Clone)]
pub struct NodeNames {
    dns: Option<Dns>,
}

impl NodeNames {
    /// Does not listen yet.
    pub fn new(settings: &NetworkSettings) -> Self {
        Self {
            dns: settings.dns().map(Dns::new),
        }
    }

    /// Answers on these sockets until what is returned is dropped.
    pub fn serve(&self, sockets: DnsSockets) -> Option<Serving> {
        let dns = self.dns.as_ref()?;
        match dns.serve(sockets) {
            Ok(serving) => Some(serving),
            Err(error) => {
                tracing::error!("names are not answered: {}", chain(&error));
                None
            }
        }
    }
}

impl Names for NodeNames {
    fn publish(&self, table: NameTable) {
        if let Some(dns) = &self.dns {
            dns.publish(table);
        }
    }
}

/// Listens on the server's addresses; those that the agent before listened on too are taken over from `kept`. An
/// address that cannot be had is said so, and keeps nothing else from running.
pub fn listen(addresses: &[IpAddr], kept: &mut Kept) -> DnsSockets {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|one| SocketAddr::new(*one, PORT)).collect();
    let before = kept.of(&ROLES);
    let known = before.keys().cloned().collect();
    let (sockets, errors) = DnsSockets::open(&addresses, before.into_values().collect());
    for error in errors {
        tracing::error!(
            "{}: names are not answered there; end what listens there, or set clusterDNS, and restart the agent",
            chain(&error)
        );
    }
    Kept::exchange(known, sockets.descriptors());
    sockets
}
