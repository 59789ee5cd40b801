//! What is wanted against what there is.

use std::collections::BTreeSet;
use std::sync::Arc;

use pinnace_api::ObjectKey;
use pinnace_core::pod::Origin;

use super::admit::{Account, Wanted, key_of, name_of};
use super::{Manager, PodName, services};
use crate::adapters::Adapters;
use crate::source::{Item, SourceId};

/// What all objects together want at this moment.
#[derive(Default)]
pub(super) struct Wishes {
    /// Pods to be brought towards running.
    pub pods: Vec<Wanted>,
    /// Names of controllers' pods that stay as they are.
    pub kept: BTreeSet<PodName>,
}

impl<A: Adapters> Manager<A> {
    /// Brings the set of pods towards what is wanted; safe to call at any time.
    pub(super) async fn reconcile(&mut self) {
        let due = self.due_evictions();
        self.remember().await;
        self.evict(&due);
        // Before the pods, which are told of them.
        self.shared.board.set_objects(self.catalog.object_table());
        self.follow_services().await;
        self.follow_wishes();
        self.remember().await;
        self.answer_drained();
    }

    fn follow_wishes(&mut self) {
        if !self.complete && self.catalog.is_complete() {
            self.complete = true;
            self.clear_orphans();
        }
        self.node.rules.namespaces = services::namespaces(&self.catalog);
        let wishes = self.wishes();
        if self.draining.is_some() {
            self.carry_on_draining();
        } else {
            self.bring_about(wishes);
        }
        self.shared.board.set_waiting(self.waiting.values());
    }

    /// Every pod that the manifests want here, those of controllers included.
    fn wishes(&mut self) -> Wishes {
        let objects: Vec<(Item, SourceId)> = self
            .catalog
            .objects()
            .values()
            .map(|chosen| (chosen.placed.item.clone(), chosen.source.clone()))
            .collect();
        let mut wishes = Wishes::default();
        self.daemonsets.begin();
        for (item, source) in objects {
            match item {
                Item::Pod(pod) => wishes.pods.push(Wanted {
                    pod,
                    origin: Origin {
                        source: source.0.to_owned(),
                        owner: None,
                        revision: None,
                    },
                }),
                Item::DaemonSet(set) => {
                    let key = ObjectKey {
                        kind: "DaemonSet".to_owned(),
                        namespace: set.meta.namespace.clone(),
                        name: set.meta.name.clone(),
                    };
                    self.of_daemonset(&key, &set, source.0, &mut wishes);
                }
                // Their tables are made of them; they bring no pods.
                Item::Service(_)
                | Item::NetworkPolicy(_)
                | Item::Namespace(_)
                | Item::ConfigMap(_)
                | Item::Secret(_)
                | Item::Claim(_)
                | Item::StorageClass(_)
                | Item::Noted(_) => {}
            }
        }
        self.shared.board.set_daemonsets(self.daemonsets.finish());
        wishes
    }

    fn bring_about(&mut self, wishes: Wishes) {
        let mut names = wishes.kept;
        names.extend(wishes.pods.iter().map(|one| name_of(&one.pod)));
        if self.complete {
            self.end_unwanted(&names);
            self.taints.keep_only(|name| names.contains(name));
        }
        self.waiting.retain(|name, _| names.contains(name));
        let mut account = Account::default();
        for wanted in wishes.pods {
            let name = name_of(&wanted.pod);
            if !self.is_taken(&name, &wanted) {
                self.admit(name, wanted, &mut account);
            }
        }
    }

    /// Whether a pod of the name is there: the wanted one, or another that must go first and is told so.
    fn is_taken(&self, name: &PodName, wanted: &Wanted) -> bool {
        let mut taken = false;
        let mut found = false;
        for entry in self.pods.of_name(name) {
            taken = true;
            if entry.is_ending() {
                continue;
            }
            let same = Arc::ptr_eq(&entry.pod, &wanted.pod) || entry.identity.document == wanted.pod.document;
            if same && !found {
                found = true;
            } else if same || !self.may_come_from_elsewhere(&entry.identity.origin, &wanted.origin.source) {
                tracing::info!(uid = %entry.identity.uid, pod = %name.1, namespace = %name.0,
                    "the manifest changed: the pod is replaced");
                entry.end(None);
            }
        }
        taken
    }

    /// Whether the source that the pod came from may yet list it: until then, another source's definition of
    /// the same object does not end it.
    pub(super) fn may_come_from_elsewhere(&self, origin: &Origin, source: &str) -> bool {
        !self.complete && origin.source != source && self.catalog.missing().contains(&origin.source.as_str())
    }

    /// Pods that no manifest wants any more, and those of controllers that are gone.
    fn end_unwanted(&self, names: &BTreeSet<PodName>) {
        for (uid, entry) in self.pods.iter() {
            let name = (entry.identity.namespace.clone(), entry.identity.name.clone());
            let wanted_by = entry.owner().cloned().unwrap_or_else(|| key_of(&entry.pod));
            if !entry.is_ending() && !names.contains(&name) && !self.catalog.may_be_hidden(&wanted_by) {
                tracing::info!(%uid, pod = %name.1, namespace = %name.0, "no manifest wants the pod: it ends");
                entry.end(None);
            }
        }
    }
}
