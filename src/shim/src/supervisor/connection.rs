//! Clients: they come, call and go; a request's answer goes back to the connection that it came from, or
//! nowhere.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::epoll::EventFlags;

use super::{LISTENER_PAUSE, Supervisor};
use crate::protocol::{Decoder, Frame, FrameKind, Request, Status, encode_response};
use crate::reactor::Token;

const MAX_CONNECTIONS: usize = 64;
/// Answers held for a client that does not read them.
const MAX_HELD_ANSWER_BYTES: usize = 8 << 20;

/// Where an answer is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The client.
    pub connection: u32,
    /// Its call.
    pub stream_id: u32,
}

/// A client.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    held: Vec<u8>,
}

enum Flushed {
    All,
    Some,
    Broken,
}

impl Connection {
    fn flush(&mut self) -> Flushed {
        let mut written = 0;
        while let Some(rest) = self.held.get(written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Flushed::Broken,
                Ok(count) => written += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.held.drain(..written);
                    let within = self.held.len() <= MAX_HELD_ANSWER_BYTES;
                    return if within { Flushed::Some } else { Flushed::Broken };
                }
                Err(_) => return Flushed::Broken,
            }
        }
        self.held = Vec::new();
        Flushed::All
    }
}

impl Supervisor {
    pub(super) fn accept(&mut self) {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The client has gone meanwhile, or we were interrupted.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(error) => return self.pause_listening(&error),
            };
            if self.connections.len() >= MAX_CONNECTIONS || socket.set_nonblocking(true).is_err() {
                continue;
            }
            let id = self.next_serial();
            if self
                .reactor
                .add(&socket, Token::Connection(id), EventFlags::IN)
                .is_ok()
            {
                let connection = Connection {
                    socket,
                    decoder: Decoder::new(),
                    held: Vec::new(),
                };
                self.connections.insert(id, connection);
            }
        }
    }

    fn pause_listening(&mut self, error: &std::io::Error) {
        self.note(&format!("take a client: {error}"));
        self.reactor.remove(&self.listener);
        self.listener_paused = Some(Instant::now() + LISTENER_PAUSE);
    }

    pub(super) fn resume_listening(&mut self, now: Instant) {
        if self.listener_paused.is_none_or(|until| now < until) {
            return;
        }
        let added = self.reactor.add(&self.listener, Token::Listener, EventFlags::IN);
        self.listener_paused = added.err().map(|_| now + LISTENER_PAUSE);
    }

    pub(super) fn on_connection(&mut self, id: u32, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.flush(id);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read_requests(id);
        }
    }

    fn read_requests(&mut self, id: u32) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        self.scratch_used = Some(Instant::now());
        let buffer = self.scratch.read_buffer();
        let count = match connection.socket.read(buffer) {
            Ok(count) => count,
            Err(error) if is_passing(&error) => return,
            Err(_) => 0,
        };
        if count == 0 {
            return self.close(id);
        }
        connection.decoder.push(buffer.get(..count).unwrap_or_default());
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            match connection.decoder.next_frame() {
                Ok(Some(frame)) => self.on_frame(id, &frame),
                Ok(None) => return,
                Err(error) => {
                    self.note(&format!("a client is cut off: {error}"));
                    return self.close(id);
                }
            }
        }
    }

    fn on_frame(&mut self, connection: u32, frame: &Frame) {
        // Data frames belong to streams that are not unary; the Task service has none.
        if frame.kind != FrameKind::Request {
            return;
        }
        let ticket = Ticket {
            connection,
            stream_id: frame.stream_id,
        };
        match prost::Message::decode(frame.data.as_slice()) {
            Ok(request) => self.on_request(ticket, request),
            Err(error) => {
                let text = format!("decode the request: {error}");
                self.answer(
                    ticket,
                    Err(Status::new(crate::protocol::Code::InvalidArgument, text)),
                );
            }
        }
    }

    fn on_request(&mut self, ticket: Ticket, request: Request) {
        match super::calls::Call::new(ticket, request) {
            Ok(call) => self.call(call),
            Err(status) => self.answer(ticket, Err(status)),
        }
    }

    /// Sends an answer, if its client is still there.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Result<Vec<u8>, Status>) {
        if let Some(connection) = self.connections.get_mut(&ticket.connection) {
            encode_response(&mut connection.held, ticket.stream_id, answer);
            self.flush(ticket.connection);
        }
    }

    fn flush(&mut self, id: u32) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let interest = match connection.flush() {
            Flushed::All => EventFlags::IN,
            Flushed::Some => EventFlags::IN | EventFlags::OUT,
            Flushed::Broken => return self.close(id),
        };
        let _ = self
            .reactor
            .modify(&connection.socket, Token::Connection(id), interest);
    }

    /// Forgets a client and all that it waits for.
    fn close(&mut self, id: u32) {
        if let Some(connection) = self.connections.remove(&id) {
            self.reactor.remove(&connection.socket);
        }
        for task in self.tasks.values_mut() {
            let execs = task.execs.values_mut().map(|exec| &mut exec.process);
            for process in execs.chain([&mut task.init]) {
                process.waiters.retain(|ticket| ticket.connection != id);
                if process.io.client == Some(id) {
                    process.io.readers.clear();
                    process.io.stdin_writer = None;
                }
            }
        }
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
