//! `pinnace plan DIR`: what would start, change and stop if the node had the manifests of a directory.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use pinnace_api::{Document, ObjectKey, Severity};
use pinnace_core::admission::{self, Accounted, Verdict};
use pinnace_core::config::NodeConfig;
use pinnace_core::controllers::daemonset::{self, FailedBackoff};
use pinnace_core::node::{HostFacts, Node};
use pinnace_core::time::BootMillis;
use pinnace_engine::source::Item;
use pinnace_engine::source::files::Files;
use pinnace_store::RecordStore;
use pinnace_sys::Layout;

use super::validate;

/// Why no plan was made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The directory cannot be read.
    #[error("read the manifests of {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The host's name is no node's name.
    #[error(transparent)]
    Node(#[from] pinnace_core::node::NodeNameError),
    /// The node's records cannot be read.
    #[error("read the node's records")]
    Records(#[from] pinnace_core::ports::PortError),
    /// Standard output is closed or full.
    #[error("write to standard output")]
    Write(#[from] io::Error),
}

/// What runs here now, by the object that wants it.
#[derive(Default)]
struct Present {
    /// Documents of plain pods.
    pods: BTreeMap<ObjectKey, Document>,
    /// Revisions of controllers' pods.
    owned: BTreeMap<ObjectKey, Option<String>>,
}

/// Prints the plan; answers whether the manifests have no error.
pub async fn run(
    layout: &Layout,
    config: &NodeConfig,
    facts: HostFacts,
    directory: &std::path::Path,
    out: &mut impl Write,
) -> Result<bool, PlanError> {
    let node = Node::new(config, facts)?;
    let present = present(layout).await?;
    let listing = read(directory)?;
    let mut good = true;
    for problem in &listing.problems {
        good &= problem.severity != Severity::Error;
        validate::print(problem, out)?;
    }
    let mut running: Vec<Accounted> = Vec::new();
    let mut wanted = BTreeSet::new();
    for placed in &listing.objects {
        wanted.insert(placed.key.clone());
        let line = match &placed.item {
            Item::Noted(_) => continue,
            Item::Pod(pod) => match present.pods.get(&placed.key) {
                Some(document) if *document == pod.document => "keep".to_owned(),
                known => verdict(pod, &node, &mut running, known.is_some()),
            },
            Item::DaemonSet(set) => {
                let decision = daemonset::decide(
                    set,
                    &node,
                    &[],
                    FailedBackoff::default(),
                    0,
                    BootMillis::default(),
                );
                match (&decision.create, present.owned.get(&placed.key)) {
                    (None, None) => format!("no pod here: {}", decision.misfit.join("; ")),
                    (None, Some(_)) => format!("stop: {}", decision.misfit.join("; ")),
                    (Some(_), Some(Some(revision))) if *revision == decision.revision => "keep".to_owned(),
                    (Some(pod), known) => verdict(pod, &node, &mut running, known.is_some()),
                }
            }
        };
        writeln!(out, "{}: {line}", placed.key)?;
    }
    for key in present
        .pods
        .keys()
        .chain(present.owned.keys())
        .filter(|key| !wanted.contains(*key))
    {
        writeln!(
            out,
            "{key}: stop: no manifest of {} wants it",
            directory.display()
        )?;
    }
    Ok(good)
}

fn verdict(pod: &pinnace_api::Pod, node: &Node, running: &mut Vec<Accounted>, present: bool) -> String {
    match admission::admit(pod, node, running) {
        Verdict::Admitted { notes } => {
            if let Ok(uid) = pinnace_api::PodUid::new(format!("planned-{}", running.len())) {
                running.push(Accounted::of(uid, pod));
            }
            let verb = if present { "replace" } else { "start" };
            notes
                .iter()
                .fold(verb.to_owned(), |text, note| format!("{text} ({note})"))
        }
        Verdict::Unschedulable { message, .. } => format!("wait: {message}"),
        Verdict::Refused { reason, message, .. } => format!("fail: {reason}: {message}"),
    }
}

async fn present(layout: &Layout) -> Result<Present, PlanError> {
    let mut present = Present::default();
    for (identity, _) in RecordStore::new(layout.clone()).read().await? {
        match identity.origin.owner {
            Some(owner) => {
                present.owned.insert(owner, identity.origin.revision);
            }
            None => {
                let (namespace, name) = (identity.namespace, identity.name);
                present.pods.insert(
                    ObjectKey {
                        kind: "Pod".to_owned(),
                        namespace,
                        name,
                    },
                    identity.document,
                );
            }
        }
    }
    Ok(present)
}

fn read(directory: &std::path::Path) -> Result<pinnace_engine::source::Listing, PlanError> {
    let fail = |source| PlanError::Directory {
        path: directory.to_owned(),
        source,
    };
    let mut files = Files::new(directory, Duration::ZERO);
    files.scan(&HashSet::new()).map_err(fail)?;
    Ok(files.listing())
}
