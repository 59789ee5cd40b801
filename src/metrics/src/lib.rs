//! Metrics in the Prometheus text format: the node's, the containers', the agent's own.
//!
//! | module | gives | under the names of |
//! | --- | --- | --- |
//! | [`node`] | CPU, memory, disks, file systems, network | node_exporter |
//! | [`containers`] | CPU, memory, throttling and kills of each container and pod | cAdvisor |
//! | [`agent`] | pods, starts, restarts, verdicts, errors, the cost of scrapes | its own |
//! | [`exporter`] | one exposition of all of them, shared by those who ask at the same time | |
//! | [`encode`] | the text format | |
//!
//! What is collected is written by an encoder of our own, which takes a small part of the registry's time; the
//! agent's counters live in a registry, since they are counted from everywhere. Files are read beneath
//! configurable roots ([`host::Host`]), so tests compare whole expositions with golden ones.

pub mod agent;
pub mod containers;
pub mod encode;
pub mod exporter;
pub mod host;
pub mod node;

mod process;
mod reader;
mod scrape_cost;

pub use agent::{AgentMetrics, BuildInfo, RegisterError};
pub use containers::{ContainerCollector, ContainerDisk, ContainerTarget, TargetSource};
pub use exporter::{Exporter, ExporterConfig, ExporterError, ScrapeError};
pub use host::Host;
pub use node::{FilesystemFilter, NodeCollectors};
