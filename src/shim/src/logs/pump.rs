//! From one readable descriptor into a log, a bounded piece at a time.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::SystemTime;

use rustix::io::Errno;

use super::file::LogFile;
use super::record::{Splitter, StreamName};
use super::stamp::rfc3339_nanos;

/// Most bytes read in one turn: what a pipe holds.
pub const TURN_BYTES: usize = 64 << 10;
/// Turns made when a process has ended, to have all that it wrote; a pipe may have been made larger.
const LAST_TURNS: usize = 32;

/// Buffers that all pumps share; they hold memory only while there is traffic.
#[derive(Debug, Default)]
pub struct Scratch {
    read: Vec<u8>,
    records: Vec<u8>,
}

impl Scratch {
    /// Space for one read.
    pub fn read_buffer(&mut self) -> &mut [u8] {
        if self.read.is_empty() {
            self.read = vec![0; TURN_BYTES];
        }
        &mut self.read
    }

    /// True where memory is held.
    pub fn is_held(&self) -> bool {
        self.read.capacity() + self.records.capacity() > 0
    }

    /// Gives the memory back.
    pub fn release(&mut self) {
        *self = Self::default();
    }
}

/// What a turn found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Bytes were moved; there may be more.
    Moved,
    /// Nothing to read now.
    Idle,
    /// The stream has ended; its last records are written.
    Ended,
}

/// A stream on its way into a log.
#[derive(Debug)]
pub struct Pump {
    source: OwnedFd,
    splitter: Splitter,
    log: Rc<RefCell<LogFile>>,
    ended: bool,
}

impl Pump {
    /// `source` must be non-blocking.
    pub fn new(source: OwnedFd, stream: StreamName, log: Rc<RefCell<LogFile>>) -> Self {
        Self {
            source,
            splitter: Splitter::new(stream),
            log,
            ended: false,
        }
    }

    /// The descriptor to poll.
    pub fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// One read and the writing of what it gave.
    pub fn turn(&mut self, scratch: &mut Scratch) -> Turn {
        if self.ended {
            return Turn::Ended;
        }
        scratch.read_buffer();
        let count = match rustix::io::read(&self.source, scratch.read.as_mut_slice()) {
            Ok(0) => 0,
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Turn::Idle,
            // A terminal whose other end is closed answers EIO.
            Err(_) => 0,
        };
        if count == 0 {
            self.end();
            return Turn::Ended;
        }
        let stamp = rfc3339_nanos(SystemTime::now());
        let bytes = scratch.read.get(..count).unwrap_or_default();
        scratch.records.clear();
        self.splitter.feed(bytes, &stamp, &mut scratch.records);
        self.log.borrow_mut().append(&scratch.records);
        Turn::Moved
    }

    /// The writer has ended: takes what is still there, as far as it is there now.
    pub fn drain(&mut self, scratch: &mut Scratch) -> Turn {
        for _ in 0..LAST_TURNS {
            match self.turn(scratch) {
                Turn::Moved => {}
                other => return other,
            }
        }
        Turn::Moved
    }

    fn end(&mut self) {
        self.ended = true;
        let mut last = Vec::new();
        self.splitter.finish(&rfc3339_nanos(SystemTime::now()), &mut last);
        let mut log = self.log.borrow_mut();
        log.append(&last);
        log.end_of(self.splitter.stream());
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::super::record::PREFIX_LEN;
    use super::super::uri::LogTarget;
    use super::*;

    fn pump(directory: &std::path::Path) -> (OwnedFd, Pump) {
        let log = LogFile::open(&LogTarget::new(directory.join("0.log"))).unwrap();
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        (
            write,
            Pump::new(read, StreamName::Stdout, Rc::new(RefCell::new(log))),
        )
    }

    fn texts(directory: &std::path::Path) -> Vec<String> {
        let text = fs::read_to_string(directory.join("0.log")).unwrap();
        text.lines()
            .map(|line| line[PREFIX_LEN - 2..].to_owned())
            .collect()
    }

    #[test]
    fn a_turn_is_bounded_and_the_end_writes_the_unfinished_line() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, mut pump) = pump(directory.path());
        let mut scratch = Scratch::default();
        assert_eq!(pump.turn(&mut scratch), Turn::Idle);
        rustix::io::write(&writer, b"whole\nhalf").unwrap();
        assert_eq!(pump.turn(&mut scratch), Turn::Moved);
        assert_eq!(texts(directory.path()), ["F whole"]);
        drop(writer);
        assert_eq!(pump.drain(&mut scratch), Turn::Ended);
        assert_eq!(texts(directory.path()), ["F whole", "P half"]);
        assert_eq!(pump.turn(&mut scratch), Turn::Ended);
        drop(pump);
        assert_eq!(texts(directory.path()).len(), 2);
    }

    #[test]
    fn a_dropped_pump_writes_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, mut pump) = pump(directory.path());
        rustix::io::write(&writer, b"half").unwrap();
        pump.turn(&mut Scratch::default());
        drop(pump);
        assert_eq!(texts(directory.path()), ["P half"]);
    }
}
