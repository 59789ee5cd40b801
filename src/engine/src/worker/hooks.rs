//! Hooks: each runs beside the worker, in a task that ends with its instance.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pinnace_api::ContainerName;
use pinnace_api::pod::{Container, Hook};
use pinnace_core::pod::{HookPoint, HookState};
use pinnace_core::ports::{CheckOutcome, CheckTarget, CheckedBy, Checks};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::{PodWorker, checks};
use crate::adapters::Adapters;

const OUT_OF_TIME: &str = "the hook did not end in the grace period";

/// The hooks of one pod that are under way.
#[derive(Default)]
pub(super) struct Hooks {
    tasks: JoinSet<HookState>,
    under_way: HashMap<Id, (HookOf, AbortHandle)>,
}

/// Which hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HookOf {
    pub name: ContainerName,
    pub attempt: u32,
    pub point: HookPoint,
}

impl Hooks {
    /// Gives up the hooks of instances that do not run any more.
    pub fn keep(&mut self, runs: impl Fn(&ContainerName, u32) -> bool) {
        for (of, handle) in self.under_way.values() {
            if !runs(&of.name, of.attempt) {
                handle.abort();
            }
        }
    }

    /// The next hook that ended; never returns where none is under way.
    pub async fn next(&mut self) -> (HookOf, HookState) {
        loop {
            let (id, ends) = match self.tasks.join_next_with_id().await {
                Some(Ok((id, ends))) => (id, ends),
                Some(Err(error)) => (error.id(), ended_badly(&error)),
                None => std::future::pending().await,
            };
            if let Some((of, _)) = self.under_way.remove(&id) {
                return (of, ends);
            }
        }
    }
}

fn ended_badly(error: &JoinError) -> HookState {
    let why = match error.is_cancelled() {
        true => "the container ended",
        false => "the hook's task panicked",
    };
    HookState::Failed(why.to_owned())
}

impl<A: Adapters> PodWorker<A> {
    /// Begins a hook of a running instance.
    pub(super) fn begin_hook(&mut self, of: HookOf, within_millis: Option<u64>) {
        let pod = Arc::clone(&self.context.pod);
        let container = pod.spec.container(&of.name);
        let hook = container.and_then(|container| hook_of(container, of.point));
        // The plan names hooks of the spec only.
        let (Some(container), Some(hook)) = (container, hook) else {
            return;
        };
        let (adapters, address) = (Arc::clone(&self.shared.adapters), self.own_address());
        let target = CheckTarget {
            uid: self.context.uid.clone(),
            name: of.name.clone(),
            attempt: of.attempt,
            by: CheckedBy::Hook,
        };
        let (container, hook) = (container.clone(), hook.clone());
        let within = within_millis.map(Duration::from_millis);
        let handle = self.hooks.tasks.spawn(async move {
            let running = run(&*adapters, &target, &hook, &container, address, within);
            match within {
                Some(within) => tokio::time::timeout(within, running)
                    .await
                    .unwrap_or_else(|_| HookState::Failed(OUT_OF_TIME.to_owned())),
                None => running.await,
            }
        });
        self.hooks.under_way.insert(handle.id(), (of, handle));
    }

    /// Takes note of how a hook ended.
    pub(super) fn hook_ended(&mut self, of: &HookOf, ends: HookState) {
        if let HookState::Failed(why) = &ends {
            self.tell_failed_hook(of, why);
        }
        self.record.live.set_hook(&of.name, of.attempt, of.point, ends);
    }

    /// The address at which the node reaches the pod.
    pub(super) fn own_address(&self) -> Option<IpAddr> {
        if self.context.pod.spec.host_network {
            let node = self.shared.board.node()?;
            return node.facts.addresses.first().copied();
        }
        self.addresses.list().first().copied()
    }
}

fn hook_of(container: &Container, point: HookPoint) -> Option<&Hook> {
    match point {
        HookPoint::PostStart => container.lifecycle.post_start.as_ref(),
        HookPoint::PreStop => container.lifecycle.pre_stop.as_ref(),
    }
}

async fn run<A: Adapters>(
    adapters: &A,
    target: &CheckTarget,
    hook: &Hook,
    container: &Container,
    address: Option<IpAddr>,
    within: Option<Duration>,
) -> HookState {
    if let Hook::Sleep { seconds } = hook {
        tokio::time::sleep(Duration::from_secs(u64::from(*seconds))).await;
        return HookState::Done;
    }
    let action = match checks::of_hook(hook, container, address) {
        Ok(Some(action)) => action,
        Ok(None) => return HookState::Done,
        Err(error) => return HookState::Failed(error.to_string()),
    };
    match adapters.checks().check(target, &action, within).await {
        CheckOutcome::Success | CheckOutcome::Warning(_) => HookState::Done,
        CheckOutcome::Failure(why) | CheckOutcome::Unknown(why) => HookState::Failed(why),
    }
}
