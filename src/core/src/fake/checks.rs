//! Containers that answer as a test says, at once or never.

use std::future::pending;
use std::time::Duration;

use pinnace_api::ContainerName;

use super::FakeHost;
use crate::ports::{CheckAction, CheckOutcome, CheckTarget, Checks};

/// What a container answers to an action that names this word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FakeAnswer {
    /// This, at once.
    Now(CheckOutcome),
    /// Nothing: it hangs until its time is over.
    Never,
}

impl FakeHost {
    /// From now on an exec in this container whose first word is `word` is answered so.
    pub fn answer(&self, name: &ContainerName, word: &str, answer: FakeAnswer) {
        let key = (name.clone(), word.to_owned());
        self.change(|state| state.answers.insert(key, answer));
    }

    /// How often each word was asked of the container so far.
    pub fn asked(&self, name: &ContainerName, word: &str) -> u32 {
        let key = (name.clone(), word.to_owned());
        self.lock().asked.get(&key).copied().unwrap_or(0)
    }
}

impl Checks for FakeHost {
    /// Only exec is known here; `within` is kept by whoever has a clock.
    async fn check(
        &self,
        target: &CheckTarget,
        action: &CheckAction,
        _within: Option<Duration>,
    ) -> CheckOutcome {
        let CheckAction::Exec(command) = action else {
            return CheckOutcome::Unknown("only exec can be asked of a container in memory".to_owned());
        };
        let word = command.first().cloned().unwrap_or_default();
        let key = (target.name.clone(), word);
        let answer = self.change(|state| {
            *state.asked.entry(key.clone()).or_default() += 1;
            let pod = state.pods.get(&target.uid);
            let instance = pod.and_then(|pod| pod.instances.get(&(target.name.clone(), target.attempt)));
            if !instance.is_some_and(|instance| instance.lives) {
                return FakeAnswer::Now(CheckOutcome::Unknown("the container does not run".to_owned()));
            }
            let known = state.answers.get(&key).cloned();
            known.unwrap_or(FakeAnswer::Now(CheckOutcome::Success))
        });
        match answer {
            FakeAnswer::Now(outcome) => outcome,
            FakeAnswer::Never => pending().await,
        }
    }
}
