//! Opens TCP listeners; an address that cannot be had is reported with the setting that names it.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel may hold before they are accepted.
const BACKLOG: u32 = 128;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program has it.
    #[error(
        "listen on {address}: the port is in use by another program; end it, or choose another address with \
         the setting `{setting}` or the flag `{flag}`"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The setting that names the address.
        setting: &'static str,
        /// The flag that does.
        flag: &'static str,
    },
    /// No interface of this machine has it.
    #[error(
        "listen on {address}: this machine has no such address; choose another with the setting `{setting}` \
         or the flag `{flag}`"
    )]
    NoSuchAddress {
        /// The address.
        address: SocketAddr,
        /// The setting that names the address.
        setting: &'static str,
        /// The flag that does.
        flag: &'static str,
    },
    /// Something else.
    #[error("listen on {address} (setting `{setting}`, flag `{flag}`)")]
    Failed {
        /// The address.
        address: SocketAddr,
        /// The setting that names the address.
        setting: &'static str,
        /// The flag that does.
        flag: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Listens on `address`, which `setting` (such as `metricsListen`) or `flag` (such as `--metrics-listen`)
/// named. Must be called within a tokio runtime.
pub fn bind_tcp(
    address: SocketAddr,
    setting: &'static str,
    flag: &'static str,
) -> Result<TcpListener, ListenError> {
    open(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse {
            address,
            setting,
            flag,
        },
        io::ErrorKind::AddrNotAvailable => ListenError::NoSuchAddress {
            address,
            setting,
            flag,
        },
        _ => ListenError::Failed {
            address,
            setting,
            flag,
            source,
        },
    })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the old connections' TIME_WAIT; a live listener still refuses the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn port_in_use_names_address_setting_and_flag() {
        let first = bind_tcp(([127, 0, 0, 1], 0).into(), "metricsListen", "--metrics-listen").unwrap();
        let address = first.local_addr().unwrap();
        let error = bind_tcp(address, "metricsListen", "--metrics-listen").unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }));
        let text = error.to_string();
        for part in [
            &address.to_string(),
            "metricsListen",
            "--metrics-listen",
            "in use",
        ] {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }

    #[tokio::test]
    async fn address_of_another_machine_is_said_so() {
        // 192.0.2.0/24 is set aside for documentation; no machine has it.
        let error = bind_tcp(([192, 0, 2, 7], 0).into(), "metricsListen", "--metrics-listen").unwrap_err();
        assert!(matches!(error, ListenError::NoSuchAddress { .. }), "{error}");
    }
}
