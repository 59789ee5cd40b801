//! Manifests in, typed objects out.
//!
//! Text (YAML or JSON, several documents a file) is read strictly: every problem carries its file, line and
//! field path, and a bad document never hides a good one. What comes out is this crate's own model, in which
//! each name, quantity and choice has been checked once: the other crates never see a string that may still
//! be wrong.
//!
//! ```text
//! text ──read──▶ documents ──typed (k8s-openapi)──▶ checks, defaults ──▶ Object { Pod, DaemonSet, … }
//!                     └── Problems { file, line, field path, severity }
//! ```
//!
//! A document is kept beside its object as canonical JSON *before defaulting* ([`Document`]): whether a pod
//! changed is asked of that text, so newer defaults of a newer agent replace nothing, and an object is read
//! again from it after a restart.

mod canonical;
pub mod cidr;
pub mod claim;
pub mod config_map;
mod convert;
pub mod daemonset;
mod defaults;
pub mod document;
pub mod expand;
pub mod ident;
mod kinds;
pub mod label_selector;
pub mod meta;
mod names;
pub mod namespace;
pub mod network_policy;
mod object;
pub mod pod;
pub mod problem;
pub mod quantity;
pub mod read;
mod report;
pub mod secret;
pub mod service;
mod support;
#[cfg(feature = "testing")]
pub mod testing;
mod tree;
mod typed;
mod yaml;

pub use cidr::Cidr;
pub use claim::{PersistentVolumeClaim, ReclaimPolicy, StorageClass};
pub use config_map::ConfigMap;
pub use daemonset::DaemonSet;
pub use document::{Document, Object, ObjectKey, from_document};
pub use ident::{ContainerName, LabelName, Namespace, NodeName, ObjectName, PodUid};
pub use label_selector::LabelSelector;
pub use meta::Metadata;
pub use namespace::NamespaceObject;
pub use network_policy::NetworkPolicy;
pub use pod::Pod;
pub use problem::{Problem, Severity};
pub use quantity::{Bytes, MilliCpu, Quantity};
pub use read::{Located, ReadLimits, Reading, read_documents};
pub use secret::Secret;
pub use service::Service;
