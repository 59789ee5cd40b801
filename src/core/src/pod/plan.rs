//! The one question of the machine: what next?

use super::action::Plan;
use super::finish;
use super::instances::{self, Instance};
use super::observed::Observed;
use super::policy::Policy;
use super::record::{Eviction, Record};
use super::sketch::Sketch;
use super::start;
use super::terminate::{self, Ending};
use super::{Desired, Finished};
use crate::time::Now;

/// The next actions that bring a pod from what is seen to what is wanted; pure and total.
///
/// The record's progress must be of this boot ([`super::Progress::new`] where there is none), and the
/// outcome of each action is told to the record by [`Record::failed`] and [`Record::succeeded`].
pub fn plan(desired: &Desired, observed: &Observed, record: &Record, policy: &Policy, now: Now) -> Plan {
    let mut sketch = Sketch::new(observed, record, policy, now);
    let pod = desired.pod();
    match what_for(desired, record) {
        Purpose::Run => start::run(&mut sketch, pod),
        Purpose::Keep(finished) => keep(&mut sketch, desired, finished),
        Purpose::End(ending) => terminate::end(&mut sketch, pod, &ending),
    }
    sketch.finish()
}

enum Purpose<'a> {
    Run,
    Keep(&'a Finished),
    End(Ending),
}

/// What was recorded outweighs what is wanted: a removal goes on, and what finished never runs again.
fn what_for<'a>(desired: &Desired, record: &'a Record) -> Purpose<'a> {
    if let Desired::Remove {
        grace_period_seconds, ..
    } = desired
    {
        let grace_period_seconds = *grace_period_seconds;
        return Purpose::End(Ending {
            grace_period_seconds,
            eviction: None,
        });
    }
    if let Some(termination) = &record.progress.terminating {
        let eviction = termination.eviction.clone();
        return Purpose::End(Ending {
            grace_period_seconds: None,
            eviction,
        });
    }
    if let Some(finished) = &record.identity.finished {
        return Purpose::Keep(finished);
    }
    match desired {
        Desired::Evict { reason, message, .. } => {
            let eviction = Eviction {
                reason: Some(reason.clone()),
                message: Some(message.clone()),
                by_itself: false,
            };
            Purpose::End(Ending {
                grace_period_seconds: None,
                eviction: Some(eviction),
            })
        }
        Desired::Run(_) | Desired::Remove { .. } => Purpose::Run,
    }
}

/// A finished pod stays listed; what it left on the host is removed.
fn keep(sketch: &mut Sketch<'_>, desired: &Desired, finished: &Finished) {
    let (found, orphans) = instances::sort_out(sketch);
    if orphans || found.iter().any(Instance::lives) {
        let eviction = Eviction {
            reason: finished.reason.clone(),
            message: finished.message.clone(),
            by_itself: false,
        };
        let ending = Ending {
            grace_period_seconds: Some(0),
            eviction: Some(eviction),
        };
        return terminate::end(sketch, desired.pod(), &ending);
    }
    finish::clear(sketch, &found);
}
