//! A pod's probes: one task asks what is due, and wakes the worker only when a verdict changes.
//!
//! Each question is a task of its own while it lasts, at most one for each probe, so one that hangs holds up no
//! other. Few are begun at once on the node; those that last count no more.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pinnace_api::{ContainerName, Pod};
use pinnace_core::event::EventType;
use pinnace_core::host::Host;
use pinnace_core::pod::Verdicts;
use pinnace_core::ports::{CheckOutcome, CheckTarget, CheckedBy, Checks, PodContext};
use pinnace_core::probe::{Answer, Begin, ProbeKind, Probing};
use pinnace_core::time::BootMillis;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Shared, checks, events};
use crate::adapters::Adapters;

/// How often a question that could not be asked is asked again at once, as by the kubelet.
const TRIES: u32 = 3;
/// A question that lasts longer makes room for others.
const ROOM_FOR: Duration = Duration::from_secs(1);
/// Beyond its time, for whoever asks to say that it is over.
const LATE: Duration = Duration::from_millis(500);

/// A running instance that is to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub name: ContainerName,
    pub attempt: u32,
    pub started_at: BootMillis,
    /// By an earlier agent's probe.
    pub has_started: bool,
    /// An earlier agent started it.
    pub is_adopted: bool,
    /// Its pod is on its way out.
    pub is_ending: bool,
    pub address: Option<IpAddr>,
}

/// A pod's prober; its task ends with it.
pub(super) struct Prober {
    targets: watch::Sender<Vec<Target>>,
    found: Arc<Found>,
    task: JoinHandle<()>,
}

/// What was found, for the worker.
#[derive(Default)]
struct Found {
    verdicts: Mutex<BTreeMap<ContainerName, (u32, Verdicts)>>,
    changed: Notify,
}

impl Found {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerName, (u32, Verdicts)>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Prober {
    /// Of a pod, if it has any probe.
    pub fn of<A: Adapters>(shared: &Arc<Shared<A>>, context: &PodContext) -> Option<Self> {
        let mut containers = context.pod.spec.all_containers();
        let any = containers.any(|container| ProbeKind::ALL.iter().any(|kind| kind.of(container).is_some()));
        if !any {
            return None;
        }
        let (targets, followed) = watch::channel(Vec::new());
        let found = Arc::new(Found::default());
        let task = Task {
            shared: Arc::clone(shared),
            context: context.clone(),
            found: Arc::clone(&found),
            probed: BTreeMap::new(),
            asked: JoinSet::new(),
        };
        Some(Self {
            targets,
            found,
            task: tokio::spawn(task.run(followed)),
        })
    }

    /// These instances are to be probed, and no others.
    pub fn follow(&self, mut targets: Vec<Target>) {
        self.targets.send_if_modified(|followed| {
            for target in &mut targets {
                let same = |one: &&Target| one.name == target.name && one.attempt == target.attempt;
                if let Some(known) = followed.iter().find(same) {
                    // Reckoned anew at each look, which is no news.
                    target.started_at = known.started_at;
                }
            }
            let changed = *followed != targets;
            *followed = targets;
            changed
        });
    }

    /// Its task is not there any more.
    pub fn has_failed(&self) -> bool {
        self.task.is_finished()
    }

    /// What was found of each container's newest instance.
    pub fn found(&self) -> Vec<(ContainerName, u32, Verdicts)> {
        let found = self.found.lock();
        let all = found.iter();
        all.map(|(name, (attempt, verdicts))| (name.clone(), *attempt, *verdicts))
            .collect()
    }

    /// Returns when a verdict changed, now or since this was asked last.
    pub async fn changed(&self) {
        self.found.changed.notified().await;
    }
}

/// An instance that is probed.
struct Probed {
    target: Target,
    probing: Probing,
    /// Its questions under way.
    asked: Vec<AbortHandle>,
}

impl Drop for Probed {
    fn drop(&mut self) {
        for question in &self.asked {
            question.abort();
        }
    }
}

struct Task<A> {
    shared: Arc<Shared<A>>,
    context: PodContext,
    found: Arc<Found>,
    probed: BTreeMap<ContainerName, Probed>,
    asked: JoinSet<Asked>,
}

/// A question that was answered.
struct Asked {
    name: ContainerName,
    attempt: u32,
    kind: ProbeKind,
    outcome: CheckOutcome,
}

impl<A: Adapters> Task<A> {
    async fn run(mut self, mut targets: watch::Receiver<Vec<Target>>) {
        loop {
            let now = self.shared.adapters.host().now().boot;
            let followed = targets.borrow_and_update().clone();
            self.follow(followed, now);
            self.ask(now);
            let due = self
                .probed
                .values()
                .filter_map(|one| one.probing.next_due())
                .min();
            let due = due.map(|at| Instant::now() + Duration::from_millis(at.since(now)));
            // Every arm may be cancelled: nothing is taken before it is done.
            tokio::select! {
                changed = targets.changed() => if changed.is_err() { return },
                Some(ended) = self.asked.join_next() => if let Ok(asked) = ended { self.take(&asked) },
                () = wait_until(due) => {}
            }
        }
    }

    /// Begins with what is to be probed now, and leaves off what is not.
    fn follow(&mut self, targets: Vec<Target>, now: BootMillis) {
        self.probed.retain(|name, one| {
            let same = |target: &Target| target.name == *name && target.attempt == one.target.attempt;
            targets.iter().any(same)
        });
        for target in targets {
            if let Some(one) = self.probed.get_mut(&target.name) {
                if target.is_ending {
                    one.probing.end();
                }
                one.target = target;
                continue;
            }
            let Some(container) = self.context.pod.spec.container(&target.name) else {
                continue;
            };
            let spread = target.is_adopted.then(|| self.part());
            let begin = Begin {
                started_at: target.started_at,
                now,
                has_started: target.has_started,
                spread,
            };
            let probing = Probing::new(container, begin);
            self.found
                .lock()
                .insert(target.name.clone(), (target.attempt, Verdicts::default()));
            let asked = Vec::new();
            self.probed.insert(
                target.name.clone(),
                Probed {
                    target,
                    probing,
                    asked,
                },
            );
        }
    }

    fn part(&self) -> u16 {
        // The high bits are the random ones.
        u16::try_from(self.shared.adapters.host().random() >> 48).unwrap_or_default()
    }

    fn ask(&mut self, now: BootMillis) {
        for one in self.probed.values_mut() {
            one.asked.retain(|question| !question.is_finished());
            for kind in one.probing.take_due(now) {
                let question = question(
                    Arc::clone(&self.shared),
                    self.context.clone(),
                    one.target.clone(),
                    kind,
                );
                one.asked.push(self.asked.spawn(question));
            }
        }
    }

    fn take(&mut self, asked: &Asked) {
        let Some(one) = self.probed.get_mut(&asked.name) else {
            return;
        };
        if one.target.attempt != asked.attempt {
            return;
        }
        tell(&self.shared, &self.context.pod, asked);
        let answer = match asked.outcome {
            CheckOutcome::Success | CheckOutcome::Warning(_) => Answer::Success,
            CheckOutcome::Failure(_) => Answer::Failure,
            CheckOutcome::Unknown(_) => Answer::Unknown,
        };
        if one.probing.answer(asked.kind, answer) {
            let verdicts = one.probing.verdicts();
            self.found
                .lock()
                .insert(asked.name.clone(), (asked.attempt, verdicts));
            self.found.changed.notify_one();
        }
    }
}

/// Asks until there is an answer, a few times.
async fn question<A: Adapters>(
    shared: Arc<Shared<A>>,
    context: PodContext,
    target: Target,
    kind: ProbeKind,
) -> Asked {
    let mut outcome = CheckOutcome::Unknown(String::new());
    for _ in 0..TRIES {
        outcome = ask_once(&shared, &context, &target, kind).await;
        if !matches!(outcome, CheckOutcome::Unknown(_)) {
            break;
        }
    }
    Asked {
        name: target.name,
        attempt: target.attempt,
        kind,
        outcome,
    }
}

async fn ask_once<A: Adapters>(
    shared: &Shared<A>,
    context: &PodContext,
    target: &Target,
    kind: ProbeKind,
) -> CheckOutcome {
    let container = context.pod.spec.container(&target.name);
    let Some((container, probe)) = container.and_then(|one| Some((one, kind.of(one)?))) else {
        return CheckOutcome::Unknown("the container has no such probe".to_owned());
    };
    let action = match checks::of_probe(&probe.action, container, target.address) {
        Ok(action) => action,
        Err(error) => return CheckOutcome::Unknown(error.to_string()),
    };
    let within = Duration::from_secs(u64::from(probe.timeout_seconds.max(1)));
    let asked = CheckTarget {
        uid: context.uid.clone(),
        name: target.name.clone(),
        attempt: target.attempt,
        by: CheckedBy::Probe,
    };
    // It is never closed.
    let room = shared.checks.acquire().await.ok();
    let check = timeout(
        within + LATE,
        shared.adapters.checks().check(&asked, &action, Some(within)),
    );
    let mut check = std::pin::pin!(check);
    let answered = match timeout(ROOM_FOR, &mut check).await {
        Ok(answered) => answered,
        Err(_) => {
            drop(room);
            check.await
        }
    };
    answered.unwrap_or_else(|_| CheckOutcome::Failure(format!("timed out after {}s", within.as_secs())))
}

/// In the kubelet's words.
fn tell<A: Adapters>(shared: &Shared<A>, pod: &Pod, asked: &Asked) {
    let kind = asked.kind.as_str();
    let (reason, message) = match &asked.outcome {
        CheckOutcome::Success => return,
        CheckOutcome::Warning(text) => ("ProbeWarning", format!("{kind} probe warning: {text}")),
        CheckOutcome::Failure(text) => ("Unhealthy", format!("{kind} probe failed: {text}")),
        CheckOutcome::Unknown(text) => ("Unhealthy", format!("{kind} probe errored: {text}")),
    };
    events::record(shared, pod, EventType::Warning, reason, message);
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
