//! The shim itself: one thread, one epoll loop, all containers of one pod.
//!
//! ```text
//!  clients ──frames──▶ connection ──▶ calls ──▶ lifecycle, exec, control ──spawn──▶ OCI runtime
//!                          ▲                         │                                  │ exits
//!                          └──── answers ◀───────────┴──────────── reap ◀── SIGCHLD ────┘
//!  pipes, terminals ──▶ streams ──▶ logs, fifos           └──▶ publish ──▶ the agent's event service
//! ```
//!
//! Invariants:
//! - the loop never waits for a runtime: a call that needs one is answered when the runtime has exited, and
//!   calls for the same process that come meanwhile wait in its queue; all others go on
//! - a container's exit is known from `waitpid` alone: the shim is the subreaper of all that it starts
//! - an exit status is kept until Delete; a Wait is answered after the log has all that the process wrote
//! - a client that goes away takes only its own pending answers with it
//! - idle, the loop waits without a timeout and holds no buffers

mod calls;
mod connection;
mod control;
mod exec;
mod gate;
mod handover;
mod launch;
mod lifecycle;
mod operations;
mod publish;
mod reap;
mod removal;
mod streams;
mod task;

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signalfd::SignalFd;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use crate::container_cgroup::ContainerCgroup;
use crate::logs::Scratch;
use crate::reactor::{Reactor, Token};
use connection::Connection;
pub use handover::Descriptors;
use operations::Operation;
use publish::Publisher;
use reap::Stray;
use streams::{Ready, StreamTable};
use task::Task;

/// How long buffers are kept after traffic.
const SCRATCH_IDLE: Duration = Duration::from_secs(1);
/// How often processes that outlived their container's first are killed again.
const LEFTOVER_INTERVAL: Duration = Duration::from_millis(50);
const LEFTOVER_TRIES: u32 = 200;
/// How long no client is taken after one could not be, for want of descriptors or memory; without the pause
/// the waiting client would wake the loop for ever.
const LISTENER_PAUSE: Duration = Duration::from_millis(100);

/// What a shim is started with.
#[derive(Debug)]
pub struct Settings {
    /// containerd's namespace.
    pub namespace: String,
    /// Where the shim's own messages go.
    pub log: PathBuf,
    /// Say more there.
    pub debug: bool,
    /// The socket, for its removal at the end and for terminals' sockets beside it.
    pub socket: PathBuf,
    /// The agent's event service.
    pub events: Option<PathBuf>,
}

/// All that one shim knows.
#[derive(Debug)]
pub struct Supervisor {
    settings: Settings,
    reactor: Reactor,
    listener: UnixListener,
    /// Until when no client is taken.
    listener_paused: Option<Instant>,
    signals: SignalFd,
    descriptors: Descriptors,
    connections: BTreeMap<u32, Connection>,
    tasks: BTreeMap<String, Task>,
    operations: BTreeMap<i32, Operation>,
    strays: VecDeque<Stray>,
    streams: StreamTable,
    leftovers: Vec<(ContainerCgroup, u32)>,
    publisher: Publisher,
    scratch: Scratch,
    scratch_used: Option<Instant>,
    serial: u32,
    machine_ends: bool,
    ending: bool,
}

impl Supervisor {
    /// A shim without tasks. `listener` must be non-blocking, and so must `signals`.
    pub fn new(
        settings: Settings,
        listener: UnixListener,
        signals: SignalFd,
        descriptors: Descriptors,
    ) -> Result<Self, Errno> {
        let reactor = Reactor::new()?;
        reactor.add(&listener, Token::Listener, EventFlags::IN)?;
        reactor.add(&signals, Token::Signals, EventFlags::IN)?;
        Ok(Self {
            publisher: Publisher::new(settings.namespace.clone(), settings.events.clone()),
            settings,
            reactor,
            listener,
            listener_paused: None,
            signals,
            descriptors,
            connections: BTreeMap::new(),
            tasks: BTreeMap::new(),
            operations: BTreeMap::new(),
            strays: VecDeque::new(),
            streams: StreamTable::default(),
            leftovers: Vec::new(),
            scratch: Scratch::default(),
            scratch_used: None,
            serial: 0,
            machine_ends: false,
            ending: false,
        })
    }

    /// Serves until a Shutdown, or until the machine's.
    pub fn run(mut self) -> Result<(), Errno> {
        while !self.ending {
            let timeout = self.until_next_timer();
            for (token, flags) in self.reactor.wait(timeout)? {
                self.on_event(token, flags);
            }
            self.on_timers(Instant::now());
        }
        let _ = std::fs::remove_file(&self.settings.socket);
        Ok(())
    }

    fn on_event(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Listener => self.accept(),
            Token::Signals => self.on_signals(),
            Token::Publisher => self.publisher.on_ready(&self.reactor),
            Token::Connection(id) => self.on_connection(id, flags),
            Token::Stream(id) => {
                self.scratch_used = Some(Instant::now());
                if let Some(ready) = self.streams.on_ready(id, &self.reactor, &mut self.scratch) {
                    self.go_on(ready);
                }
            }
        }
    }

    fn go_on(&mut self, ready: Ready) {
        match ready {
            Ready::Launch(process) => self.launch(&process),
            Ready::Gate { process, passed } => self.gate_passed(&process, passed),
        }
    }

    fn until_next_timer(&self) -> Option<Duration> {
        let deadlines = self.operations.values().map(|operation| operation.deadline);
        let scratch = self.scratch_used.map(|used| used + SCRATCH_IDLE);
        let loggers = self.streams.next_deadline();
        let timers = [scratch, loggers, self.listener_paused];
        let next = deadlines.chain(timers.into_iter().flatten()).min();
        let until = next.map(|at| at.saturating_duration_since(Instant::now()));
        match self.leftovers.is_empty() {
            true => until,
            false => Some(until.unwrap_or(LEFTOVER_INTERVAL).min(LEFTOVER_INTERVAL)),
        }
    }

    fn on_timers(&mut self, now: Instant) {
        if self.scratch_used.is_some_and(|used| now >= used + SCRATCH_IDLE) {
            self.scratch.release();
            self.scratch_used = None;
        }
        self.kill_overdue_operations(now);
        self.resume_listening(now);
        for ready in self.streams.overdue(now, &self.reactor) {
            self.go_on(ready);
        }
        self.leftovers.retain_mut(|(cgroup, tries)| {
            *tries += 1;
            !cgroup.kill() && *tries < LEFTOVER_TRIES
        });
    }

    fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// A message for the shim's log, a fifo that the agent may or may not hold open. Never waits.
    pub fn note(&self, text: &str) {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(log) = rustix::fs::open(&self.settings.log, flags, Mode::empty()) {
            let _ = rustix::io::write(&log, format!("{text}\n").as_bytes());
        }
    }

    fn debug(&self, text: impl FnOnce() -> String) {
        if self.settings.debug {
            self.note(&text());
        }
    }
}
