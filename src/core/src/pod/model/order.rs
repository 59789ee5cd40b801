//! Who may begin before whom, and who ends before whom, told by what was asked for alone.

use std::collections::{BTreeMap, BTreeSet};

use pinnace_api::ContainerName;
use pinnace_api::pod::{PodSpec, RestartPolicy};

use crate::pod::{Action, HookPoint, Record};
use crate::time::{BootMillis, Now};

#[derive(Default)]
pub struct Order {
    /// Init containers that ended with success, and sidecars that were started, in the newest sandbox.
    done: BTreeSet<ContainerName>,
    /// Hooks that this agent began.
    hooks: BTreeMap<(ContainerName, HookPoint), u32>,
}

fn is_sidecar(spec: &PodSpec, name: &ContainerName) -> bool {
    let mut init = spec.init_containers.iter();
    init.any(|one| one.name == *name && one.restart_policy == Some(RestartPolicy::Always))
}

fn is_main(spec: &PodSpec, name: &ContainerName) -> bool {
    spec.containers.iter().any(|one| one.name == *name)
}

impl Order {
    /// The agent was started again.
    pub fn memory_lost(&mut self) {
        self.hooks.clear();
    }

    pub fn before(
        &mut self,
        action: &Action,
        spec: &PodSpec,
        running: &[ContainerName],
        record: &Record,
        now: Now,
    ) {
        match action {
            Action::CreateSandbox { .. } => self.done.clear(),
            Action::NoteExit { name, exit, .. } if exit.code == 0 => {
                self.done.insert(name.clone());
            }
            Action::StartContainer { name, .. } => self.begins(spec, running, name),
            Action::RunHook {
                name, attempt, point, ..
            } => {
                let before = self.hooks.insert((name.clone(), *point), *attempt);
                assert!(
                    before.is_none_or(|before| before < *attempt),
                    "{point:?} of {name}/{attempt} was begun twice"
                );
            }
            Action::StopContainer { name, attempt } => {
                let (since, deadline) = period(record, name, *attempt);
                if deadline > since && now.boot < deadline {
                    self.is_told_in_order(spec, running, record, name, *attempt);
                }
            }
            _ => {}
        }
    }

    fn begins(&mut self, spec: &PodSpec, running: &[ContainerName], name: &ContainerName) {
        let main_runs = running.iter().any(|one| is_main(spec, one));
        let before = spec
            .init_containers
            .iter()
            .take_while(|one| one.name != *name)
            .map(|one| &one.name);
        for earlier in before {
            assert!(
                self.done.contains(earlier),
                "{name} begins although {earlier} is not done"
            );
        }
        if is_sidecar(spec, name) {
            self.done.insert(name.clone());
        } else if !is_main(spec, name) {
            assert!(!main_runs, "{name} runs again beside a main container");
        }
    }

    fn is_told_in_order(
        &self,
        spec: &PodSpec,
        running: &[ContainerName],
        record: &Record,
        name: &ContainerName,
        attempt: u32,
    ) {
        let container = spec.container(name);
        if container.is_some_and(|container| container.lifecycle.pre_stop.is_some()) {
            let begun = self.hooks.get(&(name.clone(), HookPoint::PreStop));
            assert_eq!(
                begun,
                Some(&attempt),
                "{name} is told to stop before its hook ran"
            );
        }
        if is_sidecar(spec, name) && record.progress.terminating.is_some() {
            let lives = running.iter().find(|one| is_main(spec, one));
            assert_eq!(
                lives, None,
                "{name} is told to stop before a main container ended"
            );
            let later = spec.init_containers.iter().skip_while(|one| one.name != *name);
            let mut later = later.skip(1).map(|one| &one.name);
            let lives = later.find(|one| is_sidecar(spec, one) && running.contains(one));
            assert_eq!(lives, None, "{name} is told to stop before a later sidecar ended");
        }
    }
}

/// When the end of this instance was decided, and when its grace is over.
fn period(record: &Record, name: &ContainerName, attempt: u32) -> (BootMillis, BootMillis) {
    if let Some(termination) = &record.progress.terminating {
        return (termination.since.boot, termination.deadline);
    }
    let stop = record.progress.container(name).and_then(|own| own.stop.clone());
    let stop = stop.filter(|stop| stop.attempt == attempt);
    stop.map_or_else(Default::default, |stop| (stop.since, stop.deadline))
}
