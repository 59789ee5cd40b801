//! Waiting for a condition, with a limit.

use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that waits this long has failed.
const LIMIT: Duration = Duration::from_secs(90);

/// Asks until there is an answer; fails with `what` when the limit is over.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begun.elapsed() < LIMIT,
            "{what}: not within {} s",
            LIMIT.as_secs()
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
