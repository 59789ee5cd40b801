//! Events: what happened, folded and bounded.
//!
//! A repetition (same object, type, reason and message) adds to a count instead of a line, as Kubernetes'
//! recorder does; the oldest go when there are more than [`MAX_EVENTS`].

use std::collections::VecDeque;

use pinnace_core::event::Event;
use pinnace_core::time::WallMillis;

/// Events kept.
pub const MAX_EVENTS: usize = 1000;
/// A repetition within this time of the last one adds to its count.
const FOLD_WITHIN_MILLIS: u64 = 10 * 60 * 1000;
/// Longest message kept; Kubernetes cuts at the same length.
const MAX_MESSAGE_BYTES: usize = 1024;

/// An event with its count.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Counted {
    /// The newest happening.
    #[serde(flatten)]
    pub event: Event,
    /// When it was first seen.
    pub first_at: WallMillis,
    /// How often it was seen.
    pub count: u32,
}

/// The events of this agent's life, oldest first.
#[derive(Debug, Default)]
pub struct Events {
    kept: VecDeque<Counted>,
}

impl Events {
    /// Takes note of an event; answers whether it is new (and not folded into an earlier one).
    pub fn record(&mut self, mut event: Event) -> bool {
        truncate_at_char(&mut event.message);
        let same = self.kept.iter().rposition(|old| {
            let close = event.at.0.saturating_sub(old.event.at.0) <= FOLD_WITHIN_MILLIS;
            close && is_same(&old.event, &event)
        });
        if let Some(mut old) = same.and_then(|place| self.kept.remove(place)) {
            old.count = old.count.saturating_add(1);
            old.event.at = event.at;
            self.kept.push_back(old);
            return false;
        }
        if self.kept.len() >= MAX_EVENTS {
            self.kept.pop_front();
        }
        self.kept.push_back(Counted {
            first_at: event.at,
            event,
            count: 1,
        });
        true
    }

    /// All that are kept, oldest first.
    pub fn all(&self) -> Vec<Counted> {
        self.kept.iter().cloned().collect()
    }
}

/// The same but for its time; what differs most often is asked first.
fn is_same(one: &Event, other: &Event) -> bool {
    one.message == other.message
        && one.reason == other.reason
        && one.object == other.object
        && one.kind == other.kind
}

fn truncate_at_char(message: &mut String) {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|at| message.is_char_boundary(*at))
            .unwrap_or(0);
        message.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinnace_api::{Namespace, ObjectKey, ObjectName};
    use pinnace_core::event::EventType;

    fn event(message: &str, at: u64) -> Event {
        Event {
            kind: EventType::Warning,
            reason: "BackOff".to_owned(),
            message: message.to_owned(),
            object: ObjectKey {
                kind: "Pod".to_owned(),
                namespace: Namespace::default(),
                name: ObjectName::new("a").unwrap(),
            },
            at: WallMillis(at),
        }
    }

    #[test]
    fn repetitions_are_counted_and_move_to_the_end() {
        let mut events = Events::default();
        assert!(events.record(event("one", 1)));
        assert!(events.record(event("two", 2)));
        assert!(!events.record(event("one", 3)));
        let all = events.all();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[1].count, all[1].first_at, all[1].event.at),
            (2, WallMillis(1), WallMillis(3))
        );
    }

    #[test]
    fn a_repetition_long_after_is_a_new_event() {
        let mut events = Events::default();
        events.record(event("one", 1));
        assert!(events.record(event("one", 2 + FOLD_WITHIN_MILLIS)));
    }

    #[test]
    fn number_and_length_are_bounded() {
        let mut events = Events::default();
        for number in 0..(MAX_EVENTS as u64 + 50) {
            events.record(event(&format!("{number} {}", "ä".repeat(2000)), number));
        }
        let all = events.all();
        assert_eq!(all.len(), MAX_EVENTS);
        assert!(all[0].event.message.starts_with("50 "));
        assert!(all[0].event.message.len() <= MAX_MESSAGE_BYTES);
    }
}
