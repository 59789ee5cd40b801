//! A DNS client that reads what it is told to the last byte, and a server that stands in for the world's.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::network::Place;

/// Longer than a server may take to ask its upstreams again.
const LIMIT: Duration = Duration::from_secs(20);
/// Class IN.
const INTERNET: u16 = 1;

/// Kinds of records, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 address.
    A = 1,
    /// Another name.
    Cname = 5,
    /// Start of authority.
    Soa = 6,
    /// The name of an address.
    Ptr = 12,
    /// Text.
    Txt = 16,
    /// IPv6 address.
    Aaaa = 28,
    /// Port and host of a service.
    Srv = 33,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME or PTR.
    Name(String),
    /// SRV.
    Service {
        /// Weight.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: String,
    },
    /// Of a kind that nobody asks here, by its number.
    Other(u16),
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 0: no error; 3: the name does not exist.
    pub code: u8,
    /// The server speaks of its own zone.
    pub authoritative: bool,
    /// It did not fit: ask by TCP.
    pub truncated: bool,
    /// Names (without the last dot) and what is said of them, in the order of the reply.
    pub answers: Vec<(String, Data)>,
}

impl Reply {
    /// All addresses, sorted.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = self
            .answers
            .iter()
            .filter_map(|(_, data)| match data {
                Data::Address(address) => Some(*address),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// What is said, without names, sorted.
    pub fn data(&self) -> Vec<Data> {
        let mut found: Vec<Data> = self.answers.iter().map(|(_, data)| data.clone()).collect();
        found.sort_unstable();
        found
    }
}

/// Asks by UDP, and again by TCP where the reply is truncated.
pub fn ask(place: &Place, server: IpAddr, name: &str, kind: Kind) -> io::Result<Reply> {
    let reply = ask_udp(place, server, name, kind)?;
    if reply.truncated {
        return ask_tcp(place, server, name, kind);
    }
    Ok(reply)
}

/// Asks by UDP alone.
pub fn ask_udp(place: &Place, server: IpAddr, name: &str, kind: Kind) -> io::Result<Reply> {
    let any: IpAddr = match server {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = place.within(|| UdpSocket::bind((any, 0)))?;
    socket.connect((server, 53))?;
    socket.set_read_timeout(Some(LIMIT))?;
    let question = question(name, kind);
    socket.send(&question)?;
    let mut message = vec![0; 65_535];
    let length = socket.recv(&mut message)?;
    read(&message[..length], &question)
}

/// Asks by TCP.
pub fn ask_tcp(place: &Place, server: IpAddr, name: &str, kind: Kind) -> io::Result<Reply> {
    let mut stream = place.connect(SocketAddr::new(server, 53))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let question = question(name, kind);
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    read(&message, &question)
}

/// A question with recursion desired.
fn question(name: &str, kind: Kind) -> Vec<u8> {
    let id = u16::from_be_bytes([pseudo_random(), pseudo_random()]);
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    put_name(&mut message, name);
    message.extend((kind as u16).to_be_bytes());
    message.extend(INTERNET.to_be_bytes());
    message
}

/// Enough to tell a reply from an earlier one.
fn pseudo_random() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    let hash = std::hash::RandomState::new().build_hasher().finish();
    hash.to_be_bytes()[0]
}

fn put_name(message: &mut Vec<u8>, name: &str) {
    for label in name
        .trim_end_matches('.')
        .split('.')
        .filter(|label| !label.is_empty())
    {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.bytes());
    }
    message.push(0);
}

/// Reads a reply to this question.
fn read(message: &[u8], question: &[u8]) -> io::Result<Reply> {
    parse(message, question).ok_or_else(|| io::Error::other(format!("no DNS reply: {message:02x?}")))
}

fn parse(message: &[u8], question: &[u8]) -> Option<Reply> {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let flags = number(2)?;
    if message.get(..2)? != &question[..2] || flags & 0x8000 == 0 || number(4)? != 1 {
        return None;
    }
    let (_, mut at) = name_at(message, 12)?;
    at += 4;
    let mut answers = Vec::new();
    for _ in 0..number(6)? {
        let (name, after) = name_at(message, at)?;
        let (kind, length) = (number(after)?, usize::from(number(after + 8)?));
        let data = after + 10;
        let bytes = message.get(data..data + length)?;
        let said = match kind {
            1 => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
            28 => Data::Address(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
            5 | 12 => Data::Name(name_at(message, data)?.0),
            33 => Data::Service {
                weight: number(data + 2)?,
                port: number(data + 4)?,
                target: name_at(message, data + 6)?.0,
            },
            other => Data::Other(other),
        };
        answers.push((name, said));
        at = data + length;
    }
    Some(Reply {
        code: u8::try_from(flags & 0xf).ok()?,
        authoritative: flags & 0x0400 != 0,
        truncated: flags & 0x0200 != 0,
        answers,
    })
}

/// The name that begins there, and where what follows it begins.
fn name_at(message: &[u8], begin: usize) -> Option<(String, usize)> {
    let (mut labels, mut at, mut after) = (Vec::new(), begin, None);
    for _ in 0..128 {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((labels.join("."), after.unwrap_or(at + 1))),
            1..64 => {
                let label = message.get(at + 1..at + 1 + length)?;
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + length;
            }
            _ => {
                after = after.or(Some(at + 2));
                at = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
            }
        }
    }
    None
}

/// Addresses that [`World`] has for every name.
pub const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 0x77)),
];

/// A DNS server that knows every name but those of one label, those with a label `absent` and a cluster's, and lets 30
/// seconds of caching pass; names that begin with `four` have an IPv4 address alone. Ends when dropped.
pub struct World {
    ending: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    names: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    /// Listens at this address of the place.
    #[track_caller]
    pub fn start(place: &Place, address: IpAddr) -> Self {
        let socket = place.within(|| UdpSocket::bind((address, 53)).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let ending: Arc<AtomicBool> = Arc::default();
        let asked: Arc<AtomicUsize> = Arc::default();
        let names: Arc<Mutex<Vec<String>>> = Arc::default();
        let (end, counted, heard) = (ending.clone(), asked.clone(), names.clone());
        let thread = std::thread::spawn(move || {
            let mut message = [0; 1500];
            while !end.load(Ordering::SeqCst) {
                let Ok((length, peer)) = socket.recv_from(&mut message) else {
                    continue;
                };
                let Some((name, reply)) = everywhere(&message[..length]) else {
                    continue;
                };
                counted.fetch_add(1, Ordering::SeqCst);
                heard.lock().unwrap().push(name);
                let _ = socket.send_to(&reply, peer);
            }
        });
        Self {
            ending,
            asked,
            names,
            thread: Some(thread),
        }
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The names that were asked for, in lower case.
    pub fn names(&self) -> Vec<String> {
        self.names.lock().unwrap().clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The name asked for, and the reply.
fn everywhere(question: &[u8]) -> Option<(String, Vec<u8>)> {
    let (name, after) = name_at(question, 12)?;
    let name = name.to_lowercase();
    let end = after + 4;
    let kind = u16::from_be_bytes([*question.get(after)?, *question.get(after + 1)?]);
    let (v4, v6) = match ANYWHERE {
        [IpAddr::V4(v4), IpAddr::V6(v6)] => (v4.octets().to_vec(), v6.octets().to_vec()),
        _ => return None,
    };
    let absent = !name.contains('.')
        || name.split('.').any(|label| label == "absent")
        || name.contains("cluster.local");
    let data = match kind {
        1 if !absent => Some(v4),
        28 if !absent && !name.starts_with("four.") => Some(v6),
        _ => None,
    };
    let mut reply = question.get(..2)?.to_vec();
    reply.extend([
        0x81,
        if absent { 0x83 } else { 0x80 },
        0,
        1,
        0,
        u8::from(data.is_some()),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(question.get(12..end)?);
    if let Some(data) = data {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 30, 0, u8::try_from(data.len()).ok()?]);
        reply.extend(data);
    }
    Some((name, reply))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FAR, Site};

    #[test]
    fn the_world_is_asked_and_understood() {
        let mut site = Site::new();
        let host = site.host();
        let world = World::start(&site.outside, FAR[0]);
        let reply = ask(&host.place, FAR[0], "www.example.org", Kind::A).unwrap();
        assert_eq!(
            (reply.code, reply.authoritative, reply.truncated),
            (0, false, false)
        );
        assert_eq!(
            reply.answers,
            [("www.example.org".to_owned(), Data::Address(ANYWHERE[0]))]
        );
        let reply = ask(&host.place, FAR[0], "www.example.org", Kind::Aaaa).unwrap();
        assert_eq!(reply.addresses(), [ANYWHERE[1]]);
        assert_eq!(
            ask(&host.place, FAR[0], "absent.example.org", Kind::A)
                .unwrap()
                .code,
            3
        );
        assert_eq!(world.asked(), 3);
        assert_eq!(world.names()[2], "absent.example.org");
    }
}
