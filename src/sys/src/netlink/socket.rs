//! A netlink socket: it belongs to the network namespace of the thread that opened it, wherever it is used.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

use super::message::{Batch, HEADER, Received};

/// The kernel answers at once; this only keeps a thread from waiting for ever.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The kernel fills at most 32 KiB at once.
const BUFFER: usize = 32 * 1024;
/// The most messages of one listing: more than any host has links or elements.
const LISTING_MAX: usize = 1 << 20;
/// How often a listing is begun again when what it lists changed meanwhile.
const LISTING_ATTEMPTS: u32 = 5;
/// `NLM_F_DUMP_INTR`.
const INTERRUPTED: u16 = 0x10;
/// The largest batch that fits into the socket's buffer as it is made.
const BATCH: usize = 64 * 1024;
/// `SOL_NETLINK`.
const NETLINK_LEVEL: libc::c_int = 270;
/// `NETLINK_CAP_ACK`: answers do not repeat the request. Kernels before 4.3 do.
const CAP_ACK: libc::c_int = 10;
/// `NETLINK_GET_STRICT_CHK`: listings honour what the request asks for. Kernels before 4.20 list all.
const STRICT: libc::c_int = 12;

/// Which part of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes, neighbours, queues.
    Route,
    /// nftables and connection tracking.
    Netfilter,
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens one in the network namespace of this thread.
    pub fn open(family: Family) -> io::Result<Self> {
        let protocol = match family {
            Family::Route => None, // NETLINK_ROUTE, the protocol 0
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        set_socket_timeout(&fd, Timeout::Recv, Some(ANSWER_LIMIT))?;
        for option in [CAP_ACK, STRICT] {
            set_number(&fd, NETLINK_LEVEL, option, 1)?;
        }
        Ok(Self {
            fd,
            sequence: 1,
            buffer: vec![0; BUFFER],
        })
    }

    /// Sends the requests at once and waits for the answers of those that ask for one: `answers[i]` is that of
    /// request `i` (`Ok` where none was asked for). Messages that come besides are in `messages`.
    ///
    /// The kernel goes on after a request that fails (but for the transactions of nftables: where it refuses one as
    /// a whole, it answers to the message that begins it, and to no other).
    pub fn execute(&mut self, mut batch: Batch) -> io::Result<Answers> {
        if batch.is_empty() {
            // The kernel takes no empty message.
            return Ok(Answers::default());
        }
        let first = self.send(&mut batch)?;
        let mut waiting: Vec<bool> = (0..batch.len())
            .map(|place| batch.is_acknowledged(place))
            .collect();
        let mut answers = Answers::default();
        answers.results.resize_with(batch.len(), || Ok(()));
        while waiting.contains(&true) {
            for (sequence, part) in self.receive()? {
                let place = sequence.wrapping_sub(first) as usize;
                match part {
                    Part::Answer(number) if place < waiting.len() => {
                        let asked = std::mem::replace(&mut waiting[place], false);
                        if number != 0 {
                            answers.results[place] = Err(io::Error::from_raw_os_error(number));
                            if !asked {
                                return Ok(answers);
                            }
                        }
                    }
                    Part::Message(message, _) if place < waiting.len() => answers.messages.push(message),
                    // What is left of an earlier request that ended early.
                    _ => {}
                }
            }
        }
        Ok(answers)
    }

    /// The messages that answer the listing `kind` (a request with [`super::DUMP`] is made of it).
    pub fn dump(&mut self, kind: u16, header: &[u8]) -> io::Result<Vec<Received>> {
        let mut batch = Batch::new();
        batch.message(kind, super::DUMP, header);
        self.dump_request(&batch)
    }

    /// The messages that answer the one listing of `batch`, which may carry attributes.
    pub fn dump_request(&mut self, batch: &Batch) -> io::Result<Vec<Received>> {
        for _ in 0..LISTING_ATTEMPTS {
            if let Some(listed) = self.dump_once(batch.clone())? {
                return Ok(listed);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Interrupted,
            "it changed each time while it was listed",
        ))
    }

    /// `None` where what is listed changed meanwhile.
    fn dump_once(&mut self, mut batch: Batch) -> io::Result<Option<Vec<Received>>> {
        let asked = self.send(&mut batch)?;
        let mut listed = Vec::new();
        let mut whole = true;
        loop {
            for (sequence, part) in self.receive()? {
                if sequence != asked {
                    continue;
                }
                match part {
                    Part::Message(message, flags) => {
                        whole &= flags & INTERRUPTED == 0;
                        listed.push(message);
                    }
                    Part::Answer(0) | Part::Done(0) => return Ok(whole.then_some(listed)),
                    Part::Answer(number) | Part::Done(number) => {
                        return Err(io::Error::from_raw_os_error(number));
                    }
                }
                if listed.len() > LISTING_MAX {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the listing has no end",
                    ));
                }
            }
        }
    }

    /// Answers the first request's sequence number.
    fn send(&mut self, batch: &mut Batch) -> io::Result<u32> {
        let first = self.sequence;
        batch.number(first);
        self.sequence = first.wrapping_add(batch.len() as u32);
        if batch.byte_len() > BATCH {
            // The kernel takes a batch whole or not at all. It doubles the number for what it keeps beside.
            let length = libc::c_int::try_from(batch.byte_len()).unwrap_or(libc::c_int::MAX);
            set_number(&self.fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, length)?;
        }
        sendto(
            &self.fd,
            &batch.bytes,
            SendFlags::empty(),
            &SocketAddrNetlink::new(0, 0),
        )?;
        Ok(first)
    }

    /// What one datagram holds: (sequence number, part) each.
    fn receive(&mut self) -> io::Result<Vec<(u32, Part)>> {
        let received = loop {
            match recv(&self.fd, &mut self.buffer[..], RecvFlags::TRUNC) {
                Err(rustix::io::Errno::INTR) => {}
                received => break received,
            }
        };
        let (_, length) = received?;
        let bytes = self
            .buffer
            .get(..length)
            .ok_or_else(|| malformed("an answer longer than the buffer"))?;
        parse(bytes)
    }
}

/// What the kernel answered to a batch.
#[derive(Debug, Default)]
pub struct Answers {
    /// One for each request.
    pub results: Vec<io::Result<()>>,
    /// What was asked for without a listing.
    pub messages: Vec<Received>,
}

#[derive(Debug)]
enum Part {
    /// `NLMSG_ERROR`: 0, or the error's number.
    Answer(i32),
    /// `NLMSG_DONE`, with the same.
    Done(i32),
    /// Anything else, with its flags.
    Message(Received, u16),
}

fn parse(mut bytes: &[u8]) -> io::Result<Vec<(u32, Part)>> {
    let mut parts = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let short = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let long =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = long(0) as usize;
        let payload = bytes
            .get(HEADER..length)
            .ok_or_else(|| malformed("a message longer than its datagram"))?;
        let part = match i32::from(short(4)) {
            libc::NLMSG_ERROR => Part::Answer(number(payload)?),
            libc::NLMSG_DONE => Part::Done(number(payload).unwrap_or(0)),
            _ => Part::Message(
                Received {
                    kind: short(4),
                    payload: payload.to_vec(),
                },
                short(6),
            ),
        };
        parts.push((long(8), part));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(parts)
}

/// The number that the kernel gives as a negative one.
fn number(payload: &[u8]) -> io::Result<i32> {
    let first = payload
        .first_chunk::<4>()
        .ok_or_else(|| malformed("an answer without a number"))?;
    Ok(i32::from_ne_bytes(*first).saturating_neg())
}

fn malformed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn set_number(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel reads only the one number
    // whose size is given.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    match io::Error::last_os_error() {
        error if done != 0 && error.raw_os_error() != Some(libc::ENOPROTOOPT) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink;

    #[test]
    fn links_are_listed_and_one_is_asked_for() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let links = socket.dump(libc::RTM_GETLINK, &[0; 16]).unwrap();
        let name = |link: &Received| {
            let attribute = link.attributes(16).find(libc::IFLA_IFNAME);
            attribute.and_then(|name| name.text().map(str::to_owned))
        };
        assert!(links.iter().any(|link| name(link).as_deref() == Some("lo")));

        let mut batch = Batch::new();
        batch
            .message(libc::RTM_GETLINK, netlink::ACK, &[0; 16])
            .text(libc::IFLA_IFNAME, "lo");
        batch
            .message(libc::RTM_GETLINK, netlink::ACK, &[0; 16])
            .text(libc::IFLA_IFNAME, "absent0");
        let answers = socket.execute(batch).unwrap();
        assert_eq!(answers.messages.len(), 1);
        assert!(answers.results[0].is_ok());
        let refused = answers.results[1].as_ref().unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn datagrams_cut_anywhere_are_refused_or_end_early() {
        let mut batch = Batch::new();
        batch.message(16, 0, &[0; 16]).text(3, "lo");
        batch.message(16, 0, &[0; 16]).text(3, "eth0");
        assert_eq!(parse(&batch.bytes).unwrap().len(), 2);
        for length in 0..batch.bytes.len() {
            if let Ok(parts) = parse(&batch.bytes[..length]) {
                assert!(parts.len() < 2, "{length}");
            }
        }
        // A length below the header's would never move on.
        let mut none = vec![0_u8; 32];
        none[..4].copy_from_slice(&4_u32.to_ne_bytes());
        assert!(parse(&none).is_err());
    }
}
