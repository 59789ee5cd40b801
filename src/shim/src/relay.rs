//! Copies one descriptor into another, never waiting: from a terminal to a fifo, from a fifo to a terminal.
//!
//! What the target does not take at once is held, and nothing more is read until it is gone; so at most one
//! read's worth is ever held, and nothing while there is no traffic.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Most bytes moved in one turn.
const TURN_BYTES: usize = 16 << 10;

/// What a relay waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// More to read.
    ToRead,
    /// Room in the target.
    ToWrite,
    /// Nothing: either end is closed.
    Ended,
}

/// One direction of copying.
#[derive(Debug)]
pub struct Relay {
    from: OwnedFd,
    to: OwnedFd,
    held: Vec<u8>,
}

impl Relay {
    /// Both ends must be non-blocking, or a regular file.
    pub fn new(from: OwnedFd, to: OwnedFd) -> Self {
        Self {
            from,
            to,
            held: Vec::new(),
        }
    }

    /// Where to read.
    pub fn from(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }

    /// Where to write.
    pub fn to(&self) -> BorrowedFd<'_> {
        self.to.as_fd()
    }

    /// Writes what is held, else reads once and writes that.
    pub fn turn(&mut self, buffer: &mut [u8]) -> Waiting {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            return self.write(&held);
        }
        let length = buffer.len().min(TURN_BYTES);
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        match rustix::io::read(&self.from, &mut *buffer) {
            Ok(0) => Waiting::Ended,
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default();
                self.write(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Waiting::ToRead,
            // A terminal whose other end is closed answers EIO.
            Err(_) => Waiting::Ended,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Waiting {
        let mut rest = bytes;
        while !rest.is_empty() {
            match rustix::io::write(&self.to, rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.held = rest.to_vec();
                    return Waiting::ToWrite;
                }
                Err(_) => return Waiting::Ended,
            }
        }
        Waiting::ToRead
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    #[test]
    fn a_full_target_holds_the_source_back_and_loses_nothing() {
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (source_out, source_in) = pipe_with(flags).unwrap();
        let (target_out, target_in) = pipe_with(flags).unwrap();
        let mut relay = Relay::new(source_out, target_in);
        let sent: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let (mut offered, mut taken, mut blocked) = (0, Vec::new(), 0);
        let mut buffer = vec![0; 64 << 10];
        while taken.len() < sent.len() {
            if let Ok(count) = rustix::io::write(&source_in, &sent[offered..]) {
                offered += count;
            }
            if relay.turn(&mut buffer) == Waiting::ToWrite {
                blocked += 1;
                let count = rustix::io::read(&target_out, buffer.as_mut_slice()).unwrap();
                taken.extend_from_slice(&buffer[..count]);
            } else if offered == sent.len()
                && let Ok(count) = rustix::io::read(&target_out, buffer.as_mut_slice())
            {
                taken.extend_from_slice(&buffer[..count]);
            }
        }
        assert!(blocked > 0 && taken == sent);
        drop(source_in);
        assert_eq!(relay.turn(&mut buffer), Waiting::Ended);
    }
}
