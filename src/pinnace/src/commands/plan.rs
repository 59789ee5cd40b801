//! `pinnace plan DIR`: what would start, change and stop if the node had the manifests of a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use pinnace_api::{Document, ObjectKey, Pod, PodUid, Severity};
use pinnace_core::admission::{self, Accounted, Verdict};
use pinnace_core::config::NodeConfig;
use pinnace_core::controllers::daemonset::{self, FailedBackoff};
use pinnace_core::network::NamespaceLabels;
use pinnace_core::node::{HostFacts, Node};
use pinnace_core::time::BootMillis;
use pinnace_engine::source::{Item, Placed};
use pinnace_store::RecordStore;
use pinnace_sys::Layout;

use super::validate;
use crate::agent::listen;

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
    let mut node = Node::new(config, facts)?;
    node.own_ports = listen::own_ports(config.metrics_listen.iter().copied());
    let present = present(layout).await?;
    let listing = validate::directory(directory).map_err(|source| PlanError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    let mut good = true;
    for problem in &listing.problems {
        good &= problem.severity != Severity::Error;
        writeln!(out, "{}", validate::told(problem))?;
    }
    node.rules.namespaces = namespaces(&listing.objects);
    let mut wanted = BTreeSet::new();
    let mut steps = Vec::new();
    for placed in &listing.objects {
        wanted.insert(&placed.key);
        if let Some(step) = step(placed, &node, &present) {
            steps.push((&placed.key, step));
        }
    }
    // What stays is there first: the others are admitted beside it.
    let mut running = Vec::new();
    for (_, step) in &steps {
        if let Step::Keep(pod) = step {
            account(pod, &mut running);
        }
    }
    for (key, step) in &steps {
        let line = match step {
            Step::Keep(_) => "keep".to_owned(),
            Step::Make { pod, replaces } => verdict(pod, &node, &mut running, *replaces),
            Step::None(said) => said.clone(),
        };
        writeln!(out, "{key}: {line}")?;
    }
    for key in present
        .pods
        .keys()
        .chain(present.owned.keys())
        .filter(|key| !wanted.contains(key))
    {
        writeln!(
            out,
            "{key}: stop: no manifest of {} wants it",
            directory.display()
        )?;
    }
    Ok(good)
}

/// What the manifests mean for one object.
enum Step {
    /// Its pod runs as it is wanted.
    Keep(Arc<Pod>),
    /// A pod is to be made if it is admitted.
    Make { pod: Arc<Pod>, replaces: bool },
    /// No pod, and why.
    None(String),
}

fn step(placed: &Placed, node: &Node, present: &Present) -> Option<Step> {
    match &placed.item {
        Item::Service(_)
        | Item::NetworkPolicy(_)
        | Item::Namespace(_)
        | Item::ConfigMap(_)
        | Item::Secret(_)
        | Item::Claim(_)
        | Item::StorageClass(_)
        | Item::Noted(_) => None,
        Item::Pod(pod) => {
            let known = present.pods.get(&placed.key);
            let pod = Arc::clone(pod);
            Some(if known.is_some_and(|document| *document == pod.document) {
                Step::Keep(pod)
            } else {
                let replaces = known.is_some();
                Step::Make { pod, replaces }
            })
        }
        Item::DaemonSet(set) => {
            let (backoff, now) = (FailedBackoff::default(), BootMillis::default());
            let decision = daemonset::decide(set, node, &[], backoff, 0, now);
            let known = present.owned.get(&placed.key);
            let why = decision.misfit.join("; ");
            Some(match (decision.create, known) {
                (None, None) => Step::None(format!("no pod here: {why}")),
                (None, Some(_)) => Step::None(format!("stop: {why}")),
                (Some(pod), Some(Some(revision))) if *revision == decision.revision => {
                    Step::Keep(Arc::new(pod))
                }
                (Some(pod), known) => Step::Make {
                    pod: Arc::new(pod),
                    replaces: known.is_some(),
                },
            })
        }
    }
}

fn namespaces(objects: &[Placed]) -> NamespaceLabels {
    let labels = |placed: &Placed| match &placed.item {
        Item::Namespace(namespace) => Some((namespace.name.clone(), namespace.labels())),
        _ => None,
    };
    objects.iter().filter_map(labels).collect()
}

fn account(pod: &Pod, running: &mut Vec<Accounted>) {
    if let Ok(uid) = PodUid::new(format!("planned-{}", running.len())) {
        running.push(Accounted::of(uid, pod));
    }
}

fn verdict(pod: &Pod, node: &Node, running: &mut Vec<Accounted>, replaces: bool) -> String {
    match admission::admit(pod, node, running) {
        Verdict::Admitted { notes } => {
            account(pod, running);
            let verb = if replaces { "replace" } else { "start" };
            notes
                .iter()
                .fold(verb.to_owned(), |text, note| format!("{text} ({note})"))
        }
        Verdict::Unschedulable { message, details } => {
            let wait = format!("wait: {message}");
            details
                .iter()
                .fold(wait, |text, detail| format!("{text} {detail}"))
        }
        Verdict::Gated => format!("wait: {}", Verdict::GATED_MESSAGE),
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

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENS: &str = "metricsListen: [\"127.0.0.1:9100\"]\n";

    async fn plan(etc: &str, manifest: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path().to_owned());
        std::fs::create_dir_all(layout.etc()).unwrap();
        std::fs::write(layout.etc().join("config.yaml"), format!("nodeName: test\n{etc}")).unwrap();
        let config = crate::configured(&layout).unwrap();
        let manifests = root.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        std::fs::write(manifests.join("m.yaml"), manifest).unwrap();
        let facts = crate::agent::facts::read(&layout, "");
        let mut out = Vec::new();
        assert!(run(&layout, &config, facts, &manifests, &mut out).await.unwrap());
        String::from_utf8(out).unwrap()
    }

    fn pod(name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  hostNetwork: true\n  containers:\n\
             \x20 - {{name: a, image: 'i:1', ports: [{{containerPort: 9100}}]}}\n---\n"
        )
    }

    #[tokio::test]
    async fn the_agents_own_port_is_taken_where_the_configuration_has_it() {
        let said = plan(LISTENS, &pod("exporter")).await;
        assert!(said.contains("Pod default/exporter: wait: "), "{said}");
        assert!(said.contains("metricsListen"), "{said}");
        for elsewhere in ["metricsListen: []\n", "metricsListen: [\"127.0.0.1:0\"]\n"] {
            assert_eq!(
                plan(elsewhere, &pod("exporter")).await,
                "Pod default/exporter: start\n"
            );
        }
    }

    #[tokio::test]
    async fn pods_of_one_plan_are_admitted_beside_each_other() {
        let said = plan("metricsListen: []\n", &(pod("one") + &pod("two"))).await;
        assert!(
            said.starts_with("Pod default/one: start\nPod default/two: wait: "),
            "{said}"
        );
        assert!(said.contains("is held by Pod default/one"), "{said}");
    }
}
