//! One exchange with one upstream server: a datagram with a port and an identifier of its own, and a connection
//! where the answer says that it was cut.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::{Message, MessageBuilder, Name};
use pinnace_sys::{SysError, random};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message::{Ask, text};
use super::relayed::Relayed;
use super::reply::DATAGRAM_BYTES;

/// A server sends no more than it was told; others' datagrams are cut, and then broken.
const BUFFER_BYTES: usize = 4096;
/// So many datagrams that are not the answer, and somebody is guessing.
const MAX_STRAYS: u32 = 32;

/// Why a server gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The network.
    #[error("the server cannot be reached")]
    Io(#[from] io::Error),
    /// No random identifier.
    #[error("no random identifier")]
    Random(#[source] SysError),
    /// The name cannot be asked for.
    #[error("the name cannot be asked for")]
    Name,
    /// The answer makes no sense.
    #[error("the answer is broken")]
    Broken,
    /// Datagrams that are no answer.
    #[error("many datagrams that are no answer")]
    Strays,
    /// The server says that it cannot.
    #[error("the server answered {0}")]
    Code(Rcode),
}

/// Asks one server. The caller limits the time.
pub(super) async fn exchange(server: SocketAddr, ask: &Ask) -> Result<Relayed, ExchangeError> {
    match attempt(server, ask, true).await {
        // Servers that do not know EDNS say so in this way.
        Err(ExchangeError::Code(Rcode::FORMERR | Rcode::NOTIMP)) => attempt(server, ask, false).await,
        done => done,
    }
}

async fn attempt(server: SocketAddr, ask: &Ask, with_edns: bool) -> Result<Relayed, ExchangeError> {
    let question = Question::new(ask, with_edns)?;
    let mut bytes = datagram(server, &question).await?;
    if is_cut(&bytes) {
        bytes = connection(server, &question).await?;
    }
    let code = Message::from_slice(&bytes).map_or(Rcode::SERVFAIL, |message| message.header().rcode());
    if !matches!(code, Rcode::NOERROR | Rcode::NXDOMAIN) {
        return Err(ExchangeError::Code(code));
    }
    Relayed::read(bytes).ok_or(ExchangeError::Broken)
}

/// What is sent, and what the answer is known by.
struct Question<'a> {
    ask: &'a Ask,
    id: u16,
    bytes: Vec<u8>,
}

impl<'a> Question<'a> {
    fn new(ask: &'a Ask, with_edns: bool) -> Result<Self, ExchangeError> {
        let id = u16::from_ne_bytes(random::bytes().map_err(ExchangeError::Random)?);
        let name: Name<Vec<u8>> = match ask.name.as_str() {
            "" => Name::root_vec(),
            name => Name::from_str(name).map_err(|_| ExchangeError::Name)?,
        };
        let mut builder = MessageBuilder::new_vec();
        let header = builder.header_mut();
        header.set_id(id);
        header.set_rd(true);
        header.set_cd(ask.checking_disabled);
        header.set_ad(true);
        let mut builder = builder.question();
        builder
            .push((&name, ask.rtype))
            .map_err(|_| ExchangeError::Name)?;
        let mut builder = builder.additional();
        if with_edns {
            let pushed = builder.opt(|opt| {
                opt.set_udp_payload_size(DATAGRAM_BYTES);
                opt.set_dnssec_ok(ask.dnssec_ok);
                Ok(())
            });
            pushed.map_err(|_| ExchangeError::Name)?;
        }
        Ok(Self {
            ask,
            id,
            bytes: builder.finish(),
        })
    }

    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        let Ok(message) = Message::from_slice(bytes) else {
            return false;
        };
        let header = message.header();
        if !header.qr() || header.id() != self.id || header.opcode() != Opcode::QUERY {
            return false;
        }
        match message.sole_question() {
            Ok(question) => {
                question.qclass() == Class::IN
                    && question.qtype() == self.ask.rtype
                    && text(question.qname()) == self.ask.name
            }
            // Some servers leave the question away where they refuse it.
            Err(_) => message.header_counts().qdcount() == 0 && header.rcode() != Rcode::NOERROR,
        }
    }
}

fn is_cut(bytes: &[u8]) -> bool {
    Message::from_slice(bytes).is_ok_and(|message| message.header().tc())
}

async fn datagram(server: SocketAddr, question: &Question<'_>) -> Result<Vec<u8>, ExchangeError> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    // A new socket has a random port; a connected one gets datagrams of that server only.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&question.bytes).await?;
    let mut buffer = vec![0; BUFFER_BYTES];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut buffer).await?;
        if question.is_answered_by(&buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
    Err(ExchangeError::Strays)
}

async fn connection(server: SocketAddr, question: &Question<'_>) -> Result<Vec<u8>, ExchangeError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.bytes.len()).map_err(|_| ExchangeError::Name)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&question.bytes);
    stream.write_all(&framed).await?;
    let length = usize::from(stream.read_u16().await?);
    // Memory is taken as bytes come, not as the server announces them.
    let mut bytes = Vec::new();
    let read = (&mut stream).take(length as u64).read_to_end(&mut bytes).await?;
    if read < length || !question.is_answered_by(&bytes) {
        return Err(ExchangeError::Broken);
    }
    Ok(bytes)
}
