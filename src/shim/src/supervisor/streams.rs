//! All pumps and relays, and loggers that are not ready yet, by a number that is never used twice.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::task::ProcessKey;
use crate::logs::{Pump, Scratch, Turn};
use crate::reactor::{Reactor, Token};
use crate::relay::{Relay, Waiting};

/// How many turns a relay is given when its process has ended.
const LAST_RELAY_TURNS: usize = 64;

/// A stream.
#[derive(Debug)]
pub enum Stream {
    /// Into a log.
    Pump(Pump),
    /// To or from a terminal.
    Relay(Relay),
    /// A created container that runc's `init` holds at a fifo until somebody reads from it.
    Gate {
        fifo: OwnedFd,
        process: ProcessKey,
        deadline: Instant,
    },
    /// A logging program that says it is ready by closing this; its process is launched then.
    Logger {
        ready: OwnedFd,
        process: ProcessKey,
        deadline: Instant,
    },
}

/// What a stream was waited for.
#[derive(Debug)]
pub enum Ready {
    /// This process's logging program is ready: it can be launched.
    Launch(ProcessKey),
    /// This container's gate was passed, or stayed shut.
    Gate { process: ProcessKey, passed: bool },
}

/// All of them.
#[derive(Debug, Default)]
pub struct StreamTable {
    streams: BTreeMap<u32, (Stream, Waiting)>,
}

impl StreamTable {
    /// Watches a stream under a number of the caller's.
    pub fn add(&mut self, id: u32, stream: Stream, reactor: &Reactor) -> Result<(), Errno> {
        let source = match &stream {
            Stream::Pump(pump) => pump.source(),
            Stream::Relay(relay) => relay.from(),
            Stream::Gate { fifo, .. } => fifo.as_fd(),
            Stream::Logger { ready, .. } => ready.as_fd(),
        };
        reactor.add(source, Token::Stream(id), EventFlags::IN)?;
        self.streams.insert(id, (stream, Waiting::ToRead));
        Ok(())
    }

    /// One bounded turn; answers what can go on now.
    pub fn on_ready(&mut self, id: u32, reactor: &Reactor, scratch: &mut Scratch) -> Option<Ready> {
        let (stream, waiting) = self.streams.get_mut(&id)?;
        let ended = match stream {
            Stream::Pump(pump) => pump.turn(scratch) == Turn::Ended,
            Stream::Relay(relay) => {
                let next = relay.turn(scratch.read_buffer());
                rewatch(relay, id, waiting, next, reactor);
                next == Waiting::Ended
            }
            Stream::Logger { .. } | Stream::Gate { .. } => true,
        };
        match self.streams.remove(&id) {
            Some((stream, waiting)) if ended => finish(stream, waiting, reactor),
            Some(kept) => {
                self.streams.insert(id, kept);
                None
            }
            None => None,
        }
    }

    /// The process has ended: takes what is still in the stream now; true where the stream has ended too.
    pub fn drain(&mut self, id: u32, reactor: &Reactor, scratch: &mut Scratch) -> bool {
        let Some((stream, waiting)) = self.streams.get_mut(&id) else {
            return true;
        };
        let ended = match stream {
            Stream::Pump(pump) => pump.drain(scratch) == Turn::Ended,
            Stream::Relay(relay) => {
                let mut next = Waiting::ToRead;
                for _ in 0..LAST_RELAY_TURNS {
                    next = relay.turn(scratch.read_buffer());
                    if next != Waiting::ToRead {
                        break;
                    }
                }
                rewatch(relay, id, waiting, next, reactor);
                next == Waiting::Ended
            }
            Stream::Logger { .. } | Stream::Gate { .. } => false,
        };
        if ended {
            self.remove(id, reactor);
        }
        ended
    }

    /// Ends a stream; a pump writes what it holds.
    pub fn remove(&mut self, id: u32, reactor: &Reactor) -> Option<Ready> {
        let (stream, waiting) = self.streams.remove(&id)?;
        finish(stream, waiting, reactor)
    }

    /// When the next logger or gate must be ready.
    pub fn next_deadline(&self) -> Option<Instant> {
        let streams = self.streams.values();
        streams
            .filter_map(|(stream, _)| match stream {
                Stream::Logger { deadline, .. } | Stream::Gate { deadline, .. } => Some(*deadline),
                _ => None,
            })
            .min()
    }

    /// Takes out what was not ready in time. Processes of loggers are launched all the same, for a pipe
    /// holds what is not read yet.
    pub fn overdue(&mut self, now: Instant, reactor: &Reactor) -> Vec<Ready> {
        let overdue = |stream: &Stream| match stream {
            Stream::Logger { deadline, .. } | Stream::Gate { deadline, .. } => *deadline <= now,
            Stream::Pump(_) | Stream::Relay(_) => false,
        };
        let late = self.streams.iter().filter(|(_, (stream, _))| overdue(stream));
        let ids: Vec<u32> = late.map(|(id, _)| *id).collect();
        let streams = ids.iter().filter_map(|id| self.streams.remove(id));
        streams
            .filter_map(|(stream, waiting)| finish(stream, waiting, reactor))
            .collect()
    }
}

/// A relay is watched at one end at a time: the one that it waits for.
fn rewatch(relay: &Relay, id: u32, waiting: &mut Waiting, next: Waiting, reactor: &Reactor) {
    if *waiting == next {
        return;
    }
    match waiting {
        Waiting::ToRead => reactor.remove(relay.from()),
        Waiting::ToWrite => reactor.remove(relay.to()),
        Waiting::Ended => {}
    }
    // A descriptor that cannot be watched (a regular file) never makes a relay wait.
    let _ = match next {
        Waiting::ToRead => reactor.add(relay.from(), Token::Stream(id), EventFlags::IN),
        Waiting::ToWrite => reactor.add(relay.to(), Token::Stream(id), EventFlags::OUT),
        Waiting::Ended => Ok(()),
    };
    *waiting = next;
}

fn finish(stream: Stream, waiting: Waiting, reactor: &Reactor) -> Option<Ready> {
    match stream {
        Stream::Pump(pump) => {
            reactor.remove(pump.source());
            None
        }
        Stream::Relay(relay) => {
            match waiting {
                Waiting::ToRead => reactor.remove(relay.from()),
                Waiting::ToWrite => reactor.remove(relay.to()),
                Waiting::Ended => {}
            }
            None
        }
        Stream::Logger { ready, process, .. } => {
            reactor.remove(&ready);
            Some(Ready::Launch(process))
        }
        Stream::Gate { fifo, process, .. } => {
            reactor.remove(&fifo);
            let passed = rustix::io::read(&fifo, &mut [0; 16]).is_ok_and(|count| count > 0);
            Some(Ready::Gate { process, passed })
        }
    }
}
