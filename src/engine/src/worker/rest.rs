//! Waiting for a reason to look again.

use std::time::Duration;

use pinnace_core::pod::{Desired, FailureReason};
use pinnace_core::time::{BootMillis, Now};
use tokio::sync::watch;
use tokio::time::Instant;

use super::PodWorker;
use super::prober::Prober;
use super::waiters::Waiters;
use crate::adapters::Adapters;

impl<A: Adapters> PodWorker<A> {
    /// Returns when a container or a hook ended, a probe came to another verdict, the order changed, an image came
    /// that is waited for, an object changed that the pod takes from, or at `wake_at`.
    /// Without any of these it waits for ever, and costs nothing.
    pub(super) async fn rest(&mut self, wake_at: Option<BootMillis>, now: Now, waiters: &Waiters) {
        let until = wake_at.map(|at| Instant::now() + Duration::from_millis(at.since(now.boot)));
        let waits_for_image = self.waits_for_image();
        // Every arm may be cancelled: each only says "look again", and the next round looks at everything.
        // Where nobody counts images any more, their arm is never taken.
        tokio::select! {
            () = changed(&self.desired) => {}
            () = waiters.next() => {}
            (of, ends) = self.hooks.next() => self.hook_ended(&of, ends),
            () = verdict_changed(self.prober.as_ref()) => {}
            () = sleep_until_or_for_ever(until) => {}
            Ok(()) = self.images_changed.changed(), if waits_for_image => self.try_images_at_once(),
            () = self.contents.changed() => self.try_contents_at_once(),
        }
    }

    /// Waits so long, unless the order changes.
    pub(super) async fn pause(&mut self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = changed(&self.desired) => {}
        }
    }

    fn waits_for_image(&self) -> bool {
        self.record
            .failures
            .values()
            .any(|failure| is_about_image(failure.reason))
    }

    fn try_images_at_once(&mut self) {
        self.record
            .failures
            .retain(|_, failure| !is_about_image(failure.reason));
    }
}

/// Waits for an order that is not taken yet; an error means that nobody gives any.
async fn changed(orders: &watch::Receiver<Desired>) {
    // Only the copy takes note of it.
    let _ = orders.clone().changed().await;
}

fn is_about_image(reason: FailureReason) -> bool {
    match reason {
        FailureReason::ErrImageNeverPull
        | FailureReason::ErrImagePull
        | FailureReason::InvalidImageName
        | FailureReason::ImageInspectError => true,
        FailureReason::CreateContainerConfigError
        | FailureReason::CreateContainerError
        | FailureReason::RunContainerError
        | FailureReason::FailedCreatePodSandBox
        | FailureReason::FailedMount => false,
    }
}

async fn verdict_changed(prober: Option<&Prober>) {
    match prober {
        Some(prober) => prober.changed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until_or_for_ever(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
