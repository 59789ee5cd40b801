//! epoll, with tokens that are never used twice, so that an event of something gone is told from a new one's.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Whom an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The listening socket.
    Listener,
    /// The signals' descriptor.
    Signals,
    /// The way to the agent's event service.
    Publisher,
    /// A client.
    Connection(u32),
    /// A container's stream.
    Stream(u32),
}

impl Token {
    fn encode(self) -> u64 {
        let (kind, id) = match self {
            Self::Listener => (0, 0),
            Self::Signals => (1, 0),
            Self::Publisher => (2, 0),
            Self::Connection(id) => (3, id),
            Self::Stream(id) => (4, id),
        };
        (kind << 32) | u64::from(id)
    }

    fn decode(bits: u64) -> Self {
        let id = (bits & 0xffff_ffff) as u32;
        match bits >> 32 {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Publisher,
            3 => Self::Connection(id),
            _ => Self::Stream(id),
        }
    }
}

/// Events taken in one turn.
const EVENTS_PER_TURN: usize = 32;

/// The one place where the program waits.
#[derive(Debug)]
pub struct Reactor {
    epoll: OwnedFd,
}

impl Reactor {
    /// An empty one.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches `source`.
    pub fn add(&self, source: impl AsFd, token: Token, flags: EventFlags) -> Result<(), Errno> {
        epoll::add(&self.epoll, source, EventData::new_u64(token.encode()), flags)
    }

    /// Watches it for something else.
    pub fn modify(&self, source: impl AsFd, token: Token, flags: EventFlags) -> Result<(), Errno> {
        epoll::modify(&self.epoll, source, EventData::new_u64(token.encode()), flags)
    }

    /// Watches it no more. Closing a descriptor does the same where it has no duplicate.
    pub fn remove(&self, source: impl AsFd) {
        let _ = epoll::delete(&self.epoll, source);
    }

    /// Waits for events, without a limit where `timeout` is absent.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<(Token, EventFlags)>, Errno> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        let mut space = [const { MaybeUninit::<Event>::uninit() }; EVENTS_PER_TURN];
        match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
            Ok((events, _)) => {
                let seen = events.iter();
                Ok(seen
                    .map(|event| (Token::decode(event.data.u64()), event.flags))
                    .collect())
            }
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        use Token::{Connection, Listener, Publisher, Signals, Stream};
        for token in [
            Listener,
            Signals,
            Publisher,
            Connection(0),
            Connection(u32::MAX),
            Stream(7),
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
