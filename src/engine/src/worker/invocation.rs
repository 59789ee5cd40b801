//! How the pod's containers are started: all that they are told.

use pinnace_api::pod::Container;
use pinnace_core::environment::{EnvironmentError, Facts, Invocation, invocation};
use pinnace_core::network::service_variables;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{PortError, PortResult, Retry};

use super::PodWorker;
use super::contents::NotRead;
use crate::adapters::Adapters;

/// Before the node is known nothing can be told; in the kubelet's words.
#[derive(Debug, thiserror::Error)]
#[error("services have not yet been read at least once, cannot construct envvars")]
struct TooEarly;

impl<A: Adapters> PodWorker<A> {
    /// The container's variables, command and arguments.
    pub(super) fn invocation(&self, container: &Container) -> PortResult<Invocation> {
        self.with_facts(|facts| {
            invocation(container, facts).map_err(|error| match error {
                EnvironmentError::Missing(_) if !facts.objects.complete => {
                    config_error(Retry::Later, NotRead)
                }
                // Another object, or one that changed, may mend it.
                error @ (EnvironmentError::Missing(_) | EnvironmentError::NotText(_)) => {
                    config_error(Retry::Later, error)
                }
                error @ EnvironmentError::TooLong { .. } => config_error(Retry::AfterChange, error),
            })
        })
    }

    /// Hands over all that the pod's containers can be told.
    pub(super) fn with_facts<T>(&self, with: impl FnOnce(&Facts<'_>) -> PortResult<T>) -> PortResult<T> {
        let board = &self.shared.board;
        let Some(node) = board.node() else {
            return Err(config_error(Retry::Later, TooEarly));
        };
        let objects = board.objects();
        let services = service_variables(&self.context.pod, &board.service_addresses());
        let own = self.addresses.list();
        let facts = Facts {
            pod: &self.context.pod,
            uid: &self.context.uid,
            pod_ips: match self.context.pod.spec.host_network {
                true => &node.facts.addresses,
                false => &own,
            },
            node: &node,
            objects: &objects,
            services: &services,
        };
        with(&facts)
    }
}

fn config_error(retry: Retry, source: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError {
        operation: "",
        object: String::new(),
        reason: FailureReason::CreateContainerConfigError,
        retry,
        source: Box::new(source),
    }
}
