//! Servers that stand in for those of the host: each on port 53 of a loopback address of its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use domain::base::StaticCompressor;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::dns::reply::Transport;

/// Says what it sends back to a question; nothing, one or more datagrams.
type Says = dyn Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync;

pub(super) struct FakeUpstream {
    pub address: IpAddr,
    /// The names that were asked for.
    pub heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

/// An address that no other test uses.
pub(super) fn own_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let own = std::process::id() << 8 | NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, second, third, fourth] = own.to_be_bytes();
    IpAddr::from([127, 64 | (second & 63), third, fourth])
}

impl FakeUpstream {
    pub(super) async fn saying(
        says: impl Fn(&[u8], Transport) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let address = own_address();
        let says: Arc<Says> = Arc::new(says);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let udp = UdpSocket::bind((address, 53)).await.unwrap();
        let tcp = TcpListener::bind((address, 53)).await.unwrap();
        tasks.spawn(datagrams(udp, Arc::clone(&says), Arc::clone(&heard)));
        tasks.spawn(connections(tcp, says));
        Self {
            address,
            heard,
            _tasks: tasks,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

async fn datagrams(socket: UdpSocket, says: Arc<Says>, heard: Arc<Mutex<Vec<String>>>) {
    let mut buffer = vec![0; 4096];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
        heard.lock().unwrap().push(name_of(&buffer[..length]));
        for answer in says(&buffer[..length], Transport::Udp) {
            socket.send_to(&answer, client).await.unwrap();
        }
    }
}

async fn connections(listener: TcpListener, says: Arc<Says>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await.unwrap();
        for answer in says(&question, Transport::Tcp) {
            stream.write_u16(answer.len() as u16).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    }
}

pub(super) fn name_of(question: &[u8]) -> String {
    let message = Message::from_octets(question).unwrap();
    message.first_question().unwrap().qname().to_string()
}

/// An answer with these addresses.
pub(super) fn addresses(question: &[u8], ttl: u32, count: u16) -> Vec<u8> {
    let message = Message::from_octets(question).unwrap();
    let name = message.first_question().unwrap().into_qname();
    let Ok(builder) = MessageBuilder::from_target(StaticCompressor::new(Vec::new()));
    let mut builder = builder.start_answer(&message, Rcode::NOERROR).unwrap();
    builder.header_mut().set_ra(true);
    for low in 0..count {
        let [third, fourth] = low.to_be_bytes();
        let address = domain::rdata::A::from_octets(192, 0, third, fourth);
        builder.push((&name, ttl, address)).unwrap();
    }
    let mut builder = builder.additional();
    builder
        .opt(|opt| {
            opt.set_udp_payload_size(4096);
            Ok(())
        })
        .unwrap();
    builder.finish().into_target()
}

/// An answer without records, with the zone's SOA where `ttl` is given.
pub(super) fn nothing(question: &[u8], code: Rcode, ttl: Option<u32>) -> Vec<u8> {
    let message = Message::from_octets(question).unwrap();
    let builder = MessageBuilder::new_vec().start_answer(&message, code).unwrap();
    let mut builder = builder.authority();
    if let Some(ttl) = ttl {
        let name: Name<Vec<u8>> = "example.com".parse().unwrap();
        let second = domain::base::Ttl::from_secs(ttl);
        let soa = domain::rdata::Soa::new(&name, &name, 1.into(), second, second, second, second);
        builder.push((&name, 86_400, soa)).unwrap();
    }
    builder.finish()
}
