//! Events for the agent, best effort: what cannot be sent now is not sent. The agent learns the same from
//! Wait and State when it is back.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::event::epoll::EventFlags;

use crate::protocol::events::{EVENTS_SERVICE, Event, FORWARD, forward};
use crate::protocol::{Decoder, Timestamp, encode_request};
use crate::reactor::{Reactor, Token};
use crate::socket;

/// The way to the agent's event service; closed while nothing is under way.
#[derive(Debug)]
pub struct Publisher {
    namespace: String,
    address: Option<PathBuf>,
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    socket: UnixStream,
    decoder: Decoder,
    last_stream: u32,
    unanswered: u32,
}

impl Publisher {
    pub fn new(namespace: String, address: Option<PathBuf>) -> Self {
        Self {
            namespace,
            address,
            link: None,
        }
    }

    /// Sends an event, or loses it.
    pub fn send<E: Event>(&mut self, event: &E, reactor: &Reactor) {
        if self.link.is_none() {
            self.link = self.open(reactor);
        }
        let Some(link) = &mut self.link else {
            return;
        };
        let request = forward(&self.namespace, Timestamp::now(), event);
        let mut bytes = Vec::new();
        // Streams of a client are odd.
        link.last_stream = (link.last_stream + 1) | 1;
        let encoded = encode_request(
            &mut bytes,
            link.last_stream,
            EVENTS_SERVICE,
            FORWARD,
            &request,
            None,
        );
        // An event is smaller than any socket's buffer: it goes out whole, or the agent has stopped reading.
        let whole = encoded.is_ok() && link.socket.write(&bytes).is_ok_and(|count| count == bytes.len());
        match whole {
            true => link.unanswered += 1,
            false => self.close(reactor),
        }
    }

    fn open(&self, reactor: &Reactor) -> Option<Link> {
        let socket = socket::connect_now(self.address.as_ref()?).ok()?;
        reactor.add(&socket, Token::Publisher, EventFlags::IN).ok()?;
        Some(Link {
            socket,
            decoder: Decoder::new(),
            last_stream: 0,
            unanswered: 0,
        })
    }

    fn close(&mut self, reactor: &Reactor) {
        if let Some(link) = self.link.take() {
            reactor.remove(&link.socket);
        }
    }

    /// Reads answers, which say nothing that matters, and closes the way after the last.
    pub fn on_ready(&mut self, reactor: &Reactor) {
        let Some(link) = &mut self.link else {
            return;
        };
        let mut buffer = [0; 1024];
        let gone = match link.socket.read(&mut buffer) {
            Ok(0) => true,
            Ok(count) => {
                link.decoder.push(buffer.get(..count).unwrap_or_default());
                loop {
                    match link.decoder.next_frame() {
                        Ok(Some(_)) => link.unanswered = link.unanswered.saturating_sub(1),
                        Ok(None) => break link.unanswered == 0,
                        Err(_) => break true,
                    }
                }
            }
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        if gone {
            self.close(reactor);
        }
    }
}
