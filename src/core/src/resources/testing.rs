//! Amounts for the tests of this crate's arithmetic and admission.

use pinnace_api::pod::{Container, PodSpec, ResourceList, Resources};
use pinnace_api::{Bytes, MilliCpu, testing};
use serde_json::json;

/// Thousandths of a CPU and bytes; 0 says nothing.
pub(crate) fn list(cpu: u64, memory: u64) -> ResourceList {
    ResourceList {
        cpu: (cpu > 0).then_some(MilliCpu(cpu)),
        memory: (memory > 0).then_some(Bytes(memory)),
        ephemeral_storage: None,
    }
}

/// A container with just these amounts, a request that its limit implies not laid in.
pub(crate) fn container(name: &str, requests: ResourceList, limits: ResourceList) -> Container {
    Container {
        resources: Resources { requests, limits },
        ..testing::container(name, json!({}))
    }
}

pub(crate) fn spec(containers: Vec<Container>) -> PodSpec {
    PodSpec {
        containers,
        ..testing::pod("any", json!({})).spec
    }
}
