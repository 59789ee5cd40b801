//! What is asked of a container: names of ports become numbers, and what names no host means the pod.

use std::net::IpAddr;

use pinnace_api::pod::{Container, Hook, HttpGet, PortRef, ProbeAction, TcpSocket};
use pinnace_core::ports::CheckAction;

/// Why a question cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CannotAsk {
    /// No port of the container has the name.
    #[error("couldn't find port {0:?} of the container")]
    Port(String),
    /// The pod has no address.
    #[error("the pod has no address yet")]
    Address,
    /// A hook of this kind is taken by no kubelet either.
    #[error("Cannot run handler: invalid handler: tcpSocket")]
    TcpHook,
}

/// What a probe asks, of a pod with this address.
pub(super) fn of_probe(
    action: &ProbeAction,
    container: &Container,
    address: Option<IpAddr>,
) -> Result<CheckAction, CannotAsk> {
    Ok(match action {
        ProbeAction::Exec(command) => CheckAction::Exec(command.clone()),
        ProbeAction::HttpGet(get) => http(get, container, address)?,
        ProbeAction::TcpSocket(TcpSocket { host: named, port }) => CheckAction::TcpSocket {
            host: host(named.as_deref(), address)?,
            port: number(port, container)?,
        },
        ProbeAction::Grpc { port, service } => CheckAction::Grpc {
            host: host(None, address)?,
            port: *port,
            service: service.clone(),
        },
    })
}

/// What a hook asks; `None` of one that only waits.
pub(super) fn of_hook(
    hook: &Hook,
    container: &Container,
    address: Option<IpAddr>,
) -> Result<Option<CheckAction>, CannotAsk> {
    Ok(match hook {
        Hook::Exec(command) => Some(CheckAction::Exec(command.clone())),
        Hook::HttpGet(get) => Some(http(get, container, address)?),
        Hook::TcpSocket(_) => return Err(CannotAsk::TcpHook),
        Hook::Sleep { .. } => None,
    })
}

fn http(get: &HttpGet, container: &Container, address: Option<IpAddr>) -> Result<CheckAction, CannotAsk> {
    Ok(CheckAction::HttpGet {
        host: host(get.host.as_deref(), address)?,
        port: number(&get.port, container)?,
        path: get.path.clone(),
        https: get.https,
        headers: get.headers.clone(),
    })
}

fn host(named: Option<&str>, address: Option<IpAddr>) -> Result<String, CannotAsk> {
    match (named.filter(|named| !named.is_empty()), address) {
        (Some(named), _) => Ok(named.to_owned()),
        (None, Some(address)) => Ok(address.to_string()),
        (None, None) => Err(CannotAsk::Address),
    }
}

fn number(port: &PortRef, container: &Container) -> Result<u16, CannotAsk> {
    match port {
        PortRef::Number(number) => Ok(*number),
        PortRef::Name(name) => {
            let mut ports = container.ports.iter();
            let found = ports.find(|port| port.name.as_ref() == Some(name));
            found
                .map(|port| port.container_port)
                .ok_or_else(|| CannotAsk::Port(name.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_by_name_is_the_containers_and_no_host_is_the_pod() {
        let container =
            testing::container("web", json!({"ports": [{"name": "http", "containerPort": 8080}]}));
        let tcp = |host: Option<&str>, port: &str| {
            ProbeAction::TcpSocket(TcpSocket {
                host: host.map(str::to_owned),
                port: PortRef::Name(port.to_owned()),
            })
        };
        let address = "10.244.0.7".parse().ok();
        let asked = |action: &ProbeAction, address| of_probe(action, &container, address);
        assert_eq!(
            asked(&tcp(None, "http"), address),
            Ok(CheckAction::TcpSocket {
                host: "10.244.0.7".to_owned(),
                port: 8080
            })
        );
        assert_eq!(
            asked(&tcp(None, "admin"), address),
            Err(CannotAsk::Port("admin".to_owned()))
        );
        assert_eq!(asked(&tcp(None, "http"), None), Err(CannotAsk::Address));
        assert!(asked(&tcp(Some("127.0.0.1"), "http"), None).is_ok());
    }

    #[test]
    fn a_hook_by_connection_fails_as_in_the_kubelet() {
        let hook = Hook::TcpSocket(TcpSocket {
            host: None,
            port: PortRef::Number(80),
        });
        let container = testing::container("web", json!({}));
        assert_eq!(of_hook(&hook, &container, None), Err(CannotAsk::TcpHook));
    }
}
