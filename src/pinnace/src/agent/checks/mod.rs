//! Probes and hooks on the real node: programs in containers by the runtime, and requests over the pods' network
//! from the host's own namespace.
//!
//! A container's answers are outside input: texts, bodies and times are bounded.

mod connect;
mod exec;
mod grpc;
mod http;
#[cfg(test)]
mod tests;

use std::time::Duration;

use pinnace_core::ports::{CheckAction, CheckOutcome, CheckTarget, Checks};
use pinnace_runtime::Runtime;
use pinnace_runtime::images::ImageStore;
use pinnace_sys::Layout;

pub use connect::ConnectError;

/// Most of an answer that is read, and of a program's output that is kept; the kubelet's figure.
const MOST_BYTES: usize = 10 << 10;

/// The node's checks.
pub struct NodeChecks {
    runtime: Runtime<ImageStore>,
    layout: Layout,
    tls: connect::Tls,
}

impl NodeChecks {
    /// Those of this node.
    pub fn new(runtime: Runtime<ImageStore>, layout: Layout) -> Result<Self, ConnectError> {
        Ok(Self {
            runtime,
            layout,
            tls: connect::unchecked_tls()?,
        })
    }
}

impl Checks for NodeChecks {
    async fn check(
        &self,
        target: &CheckTarget,
        action: &CheckAction,
        within: Option<Duration>,
    ) -> CheckOutcome {
        match action {
            CheckAction::Exec(command) => {
                exec::run(&self.runtime, &self.layout, target, command, within).await
            }
            _ => network(&self.tls, target, action, within).await,
        }
    }
}

/// Asks over the network.
async fn network(
    tls: &connect::Tls,
    target: &CheckTarget,
    action: &CheckAction,
    within: Option<Duration>,
) -> CheckOutcome {
    let asked = async {
        match action {
            CheckAction::HttpGet {
                host,
                port,
                path,
                https,
                headers,
            } => {
                let get = http::Get {
                    host,
                    port: *port,
                    path,
                    https: *https,
                    headers,
                    by: target.by,
                };
                http::get(tls, &get).await
            }
            CheckAction::TcpSocket { host, port } => match connect::tcp(host, *port).await {
                Ok(_) => CheckOutcome::Success,
                Err(error) => CheckOutcome::Failure(connect::text(&error)),
            },
            CheckAction::Grpc { host, port, service } => grpc::health(host, *port, service).await,
            CheckAction::Exec(_) => CheckOutcome::Unknown("not a question over the network".to_owned()),
        }
    };
    let Some(within) = within else {
        return asked.await;
    };
    let answered = tokio::time::timeout(within, asked).await;
    answered.unwrap_or_else(|_| CheckOutcome::Failure(out_of_time(action, within)))
}

fn out_of_time(action: &CheckAction, within: Duration) -> String {
    let seconds = within.as_secs();
    match action {
        CheckAction::HttpGet {
            host,
            port,
            path,
            https,
            ..
        } => {
            let url = http::url(*https, host, *port, path);
            format!("Get {url:?}: context deadline exceeded (no answer within {seconds}s)")
        }
        CheckAction::TcpSocket { host, port } => {
            format!("dial tcp {}: i/o timeout", connect::authority(host, *port))
        }
        CheckAction::Grpc { .. } => format!("timeout: health rpc did not complete within {seconds}s"),
        CheckAction::Exec(command) => format!("command {:?} timed out", command.join(" ")),
    }
}
