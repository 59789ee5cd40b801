//! Answers of upstream servers, kept for as long as they say, within bounds.
//!
//! What was asked for least lately goes first, about: entries stand in a queue, and one that was asked for since
//! it came to the front goes back to the end once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::Ask;
use super::relayed::Relayed;

const MAX_ENTRIES: usize = 4096;
const MAX_BYTES: usize = 4 << 20;
/// An answer larger than this is rare, and would push out many others.
const MAX_ENTRY_BYTES: usize = 16 << 10;
/// That nobody answered is remembered this long (RFC 9520 asks for at least a second).
const FAILURE: Duration = Duration::from_secs(1);

/// What is kept of a question.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// An answer, and its age in seconds.
    Answer(Arc<Relayed>, u32),
    /// Nobody answered.
    Failure,
}

/// The cache.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Arc<Ask>, Entry>,
    /// Every key once.
    queue: VecDeque<Arc<Ask>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Option<Arc<Relayed>>,
    stored: Instant,
    until: Instant,
    used: bool,
    bytes: usize,
}

impl Cache {
    /// What is kept and still holds.
    pub(super) fn get(&mut self, ask: &Ask, now: Instant) -> Option<Kept> {
        let entry = self.entries.get_mut(ask)?;
        if now >= entry.until {
            return None;
        }
        entry.used = true;
        let age = now.saturating_duration_since(entry.stored).as_secs();
        Some(match &entry.answer {
            Some(answer) => Kept::Answer(Arc::clone(answer), u32::try_from(age).unwrap_or(u32::MAX)),
            None => Kept::Failure,
        })
    }

    /// Keeps an answer, if it may be kept; `None` is a failure.
    pub(super) fn put(&mut self, ask: &Ask, answer: Option<Arc<Relayed>>, now: Instant) {
        let life = match &answer {
            Some(answer) => answer.ttl().map(|seconds| Duration::from_secs(seconds.into())),
            None => Some(FAILURE),
        };
        let answer_bytes = answer.as_ref().map_or(0, |answer| answer.size_bytes());
        let bytes = answer_bytes + ask.name.len() + size_of::<Ask>() + size_of::<Entry>() + 64;
        let Some(until) = life.and_then(|life| now.checked_add(life)) else {
            return;
        };
        if bytes > MAX_ENTRY_BYTES {
            return;
        }
        let entry = Entry {
            answer,
            stored: now,
            until,
            used: false,
            bytes,
        };
        self.bytes += bytes;
        if let Some(known) = self.entries.get_mut(ask) {
            self.bytes -= known.bytes;
            *known = entry;
        } else {
            let key = Arc::new(ask.clone());
            self.queue.push_back(Arc::clone(&key));
            self.entries.insert(key, entry);
        }
        self.make_room(now);
    }

    /// Forgets everything: other servers may have other answers.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn make_room(&mut self, now: Instant) {
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            match self.entries.get_mut(&key) {
                Some(entry) if entry.used && now < entry.until => {
                    entry.used = false;
                    self.queue.push_back(key);
                }
                Some(entry) => {
                    self.bytes -= entry.bytes;
                    self.entries.remove(&key);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rtype;
    use domain::base::{MessageBuilder, Name};
    use domain::rdata::A;

    use super::*;

    fn ask(name: String) -> Ask {
        Ask {
            name,
            rtype: Rtype::A,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }

    fn answer(ttl: u32) -> Arc<Relayed> {
        let name: Name<Vec<u8>> = "a.example".parse().unwrap();
        let mut builder = MessageBuilder::new_vec().question();
        builder.push((&name, Rtype::A)).unwrap();
        let mut builder = builder.answer();
        builder.push((&name, ttl, A::from_octets(192, 0, 2, 1))).unwrap();
        Arc::new(Relayed::read(builder.finish()).unwrap())
    }

    #[test]
    fn an_answer_is_kept_as_long_as_it_says_and_ages() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let (known, unknown) = (ask("a.example".to_owned()), ask("b.example".to_owned()));
        cache.put(&known, Some(answer(30)), now);
        assert!(cache.get(&unknown, now).is_none());
        let later = cache.get(&known, now + Duration::from_secs(29));
        assert!(matches!(later, Some(Kept::Answer(_, 29))));
        assert!(cache.get(&known, now + Duration::from_secs(30)).is_none());
        cache.put(&unknown, Some(answer(0)), now);
        assert!(cache.get(&unknown, now).is_none(), "what may not be kept is not");
    }

    #[test]
    fn a_failure_is_remembered_for_a_second() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let ask = ask("a.example".to_owned());
        cache.put(&ask, None, now);
        assert!(matches!(cache.get(&ask, now), Some(Kept::Failure)));
        assert!(cache.get(&ask, now + FAILURE).is_none());
    }

    #[test]
    fn entries_and_bytes_stay_within_bounds_and_what_is_used_stays() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let favourite = ask("favourite.example".to_owned());
        cache.put(&favourite, Some(answer(3600)), now);
        for number in 0..3 * MAX_ENTRIES {
            cache.put(&ask(format!("{number}.example")), Some(answer(3600)), now);
            assert!(cache.get(&favourite, now).is_some());
        }
        let long = "x".repeat(1000);
        for number in 0..2 * MAX_ENTRIES {
            cache.put(&ask(format!("{number}.{long}")), None, now);
        }
        assert!(cache.bytes <= MAX_BYTES && cache.entries.len() <= MAX_ENTRIES);
        assert_eq!(cache.entries.len(), cache.queue.len());
        assert_eq!(
            cache.bytes,
            cache.entries.values().map(|entry| entry.bytes).sum::<usize>()
        );
        cache.put(&ask("x".repeat(MAX_ENTRY_BYTES)), None, now);
        assert!(cache.get(&ask("x".repeat(MAX_ENTRY_BYTES)), now).is_none());
    }

    #[test]
    fn a_new_answer_takes_the_place_of_the_old_one() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let ask = ask("a.example".to_owned());
        for _ in 0..100 {
            cache.put(&ask, Some(answer(10)), now);
        }
        assert_eq!((cache.entries.len(), cache.queue.len()), (1, 1));
        cache.clear();
        assert!(cache.get(&ask, now).is_none() && cache.bytes == 0);
    }
}
