//! The server: what it knows, and what it says to a question.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::base::iana::Rcode;
use pinnace_core::network::NameTable;
use pinnace_core::ports::Names;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Answer, Code, Record};
use super::cache::Kept;
use super::config::DnsConfig;
use super::error::DnsError;
use super::forward::Forwarder;
use super::limits::Places;
use super::message::{Ask, Query, Read, read};
use super::relayed::Relayed;
use super::reply::{Transport, encode, refuse};
use super::shuffle::Shuffle;
use super::sockets::DnsSockets;
use super::zones::{Found, Zones, is_within};
use super::{tcp, udp};

/// Questions that wait for others at one time, of all clients and of each.
const WAITING: (usize, usize) = (1024, 256);
/// A question waits this long for the first table: less than clients wait before they ask again.
const FIRST_TABLE: Duration = Duration::from_secs(4);

/// The node's DNS server; clones are the same server.
#[derive(Debug, Clone)]
pub struct Dns {
    server: Arc<Server>,
}

/// A server at work; dropping it ends it, and with it what it was about to answer.
#[derive(Debug)]
pub struct Serving {
    tasks: JoinSet<()>,
    closing: watch::Sender<bool>,
}

impl Serving {
    /// Takes no more questions and answers those that were taken, for `limit` at most. What comes meanwhile waits in
    /// the sockets, where somebody keeps them.
    pub async fn finish(mut self, limit: Duration) {
        self.closing.send_replace(true);
        let answered = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, answered).await.is_err() {
            tracing::debug!("questions are left unanswered: other servers took too long");
        }
    }
}

impl Dns {
    /// Knows nothing and does not listen yet.
    pub fn new(config: DnsConfig) -> Self {
        Self {
            server: Arc::new(Server {
                forwarder: Forwarder::new(&config),
                zones: watch::Sender::new(None),
                shuffle: Shuffle::default(),
                serial: AtomicU32::new(first_serial()),
                config,
            }),
        }
    }

    /// Answers on these sockets until what is returned is dropped. Must be called within a tokio runtime.
    pub fn serve(&self, sockets: DnsSockets) -> Result<Serving, DnsError> {
        let places = Places::new(WAITING.0, WAITING.1);
        let mut tasks = JoinSet::new();
        let closing = watch::Sender::new(false);
        for socket in sockets.udp {
            let socket = UdpSocket::from_std(socket).map_err(|source| register("UDP", source))?;
            tasks.spawn(udp::serve(
                Arc::clone(&self.server),
                socket,
                Arc::clone(&places),
                closing.subscribe(),
            ));
        }
        for listener in sockets.tcp {
            let listener = TcpListener::from_std(listener).map_err(|source| register("TCP", source))?;
            tasks.spawn(tcp::serve(
                Arc::clone(&self.server),
                listener,
                Arc::clone(&places),
                closing.subscribe(),
            ));
        }
        Ok(Serving { tasks, closing })
    }

    #[cfg(test)]
    pub(super) fn server(&self) -> &Server {
        &self.server
    }
}

impl Names for Dns {
    fn publish(&self, table: NameTable) {
        let serial = self.server.serial.fetch_add(1, Ordering::Relaxed);
        let zones = Zones::new(table, self.server.config.addresses.clone(), serial);
        self.server.zones.send_replace(Some(Arc::new(zones)));
    }
}

fn register(transport: &'static str, source: std::io::Error) -> DnsError {
    DnsError::Register { transport, source }
}

/// Seconds since 1970, so that serials grow over restarts.
fn first_serial() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() & u64::from(u32::MAX)) as u32
}

/// What all sockets share.
#[derive(Debug)]
pub(super) struct Server {
    config: DnsConfig,
    zones: watch::Sender<Option<Arc<Zones>>>,
    forwarder: Forwarder,
    shuffle: Shuffle,
    serial: AtomicU32,
}

/// Waits until no more is to be taken.
pub(super) async fn closed(closing: &mut watch::Receiver<bool>) {
    // Without a sender the task that waits here is about to end.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// What can be said at once.
#[derive(Debug)]
pub(super) enum Now {
    /// No answer is due.
    Nothing,
    /// This.
    Reply(Vec<u8>),
    /// Nothing yet: [`Server::later`] waits for it.
    Later,
}

/// Where an answer comes from.
enum Source {
    /// From here.
    Own(Answer),
    /// From an upstream server, so many seconds ago.
    Relayed(Arc<Relayed>, u32),
    /// The first table.
    FirstTable,
    /// An upstream server, yet to be asked.
    Upstream,
    /// The same, after these aliases.
    Chase(Vec<Record>, String),
}

impl Server {
    /// Says what can be said without waiting.
    pub(super) fn now(&self, question: &[u8], transport: Transport) -> Now {
        let query = match read(question) {
            Read::Nothing => return Now::Nothing,
            Read::Refused(message, code) => return Now::Reply(refuse(&message, code)),
            Read::Query(query) => query,
        };
        match self.source(&query) {
            Source::Own(answer) => Now::Reply(encode(&query, &answer, transport)),
            Source::Relayed(relayed, age) => Now::Reply(relayed.reply(&query, age, transport)),
            Source::FirstTable | Source::Upstream | Source::Chase(..) => Now::Later,
        }
    }

    /// Waits for what it takes, within limits.
    pub(super) async fn later(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let Read::Query(query) = read(question) else {
            return None;
        };
        let mut source = self.source(&query);
        if matches!(source, Source::FirstTable) {
            let mut zones = self.zones.subscribe();
            // Whether it came in time shows in what the source is now.
            let _ = timeout(FIRST_TABLE, zones.wait_for(Option::is_some)).await;
            source = self.source(&query);
        }
        let answer = match source {
            Source::Own(answer) => answer,
            Source::Relayed(relayed, age) => return Some(relayed.reply(&query, age, transport)),
            Source::FirstTable => Answer::of(Code::Failed),
            Source::Upstream => match self.forwarder.resolve(&query.ask).await {
                Kept::Answer(relayed, age) => return Some(relayed.reply(&query, age, transport)),
                Kept::Failure => Answer::of(Code::Failed),
            },
            Source::Chase(aliases, target) => self.chase(&query.ask, aliases, target).await,
        };
        Some(encode(&query, &answer, transport))
    }

    /// The refusal of a question for which there is no place.
    pub(super) fn busy(&self, question: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let Read::Query(query) = read(question) else {
            return None;
        };
        Some(encode(&query, &Answer::of(Code::Refused), transport))
    }

    fn source(&self, query: &Query<'_>) -> Source {
        let ask = &query.ask;
        let zones = self.zones.borrow().clone();
        let Some(zones) = zones else {
            let own = ["in-addr.arpa", "ip6.arpa", &self.config.domain];
            return match own.iter().any(|zone| is_within(&ask.name, zone)) {
                true => Source::FirstTable,
                false => self.elsewhere(query),
            };
        };
        match zones.find(&ask.name, ask.rtype, &self.shuffle) {
            Found::Answer(answer) => Source::Own(answer),
            Found::Outside => self.elsewhere(query),
            Found::Elsewhere(aliases, target) if query.message.header().rd() => {
                Source::Chase(aliases, target)
            }
            // Who asks for no more gets what is known here.
            Found::Elsewhere(records, _) => Source::Own(Answer {
                authoritative: true,
                records,
                ..Answer::default()
            }),
        }
    }

    fn elsewhere(&self, query: &Query<'_>) -> Source {
        if !query.message.header().rd() {
            return Source::Own(Answer::of(Code::Refused));
        }
        match self.forwarder.known(&query.ask) {
            Some(Kept::Answer(relayed, age)) => Source::Relayed(relayed, age),
            Some(Kept::Failure) => Source::Own(Answer::of(Code::Failed)),
            None => Source::Upstream,
        }
    }

    /// The aliases with what an upstream server says of their target. The code is that of the last name.
    async fn chase(&self, ask: &Ask, mut aliases: Vec<Record>, target: String) -> Answer {
        let ask = Ask {
            name: target,
            ..ask.clone()
        };
        let Kept::Answer(relayed, age) = self.forwarder.resolve(&ask).await else {
            return Answer::of(Code::Failed);
        };
        aliases.extend(relayed.records(age));
        let code = match relayed.rcode() {
            Rcode::NXDOMAIN => Code::NoSuchName,
            _ => Code::NoError,
        };
        Answer {
            code,
            // Of the first name (RFC 1035, 4.1.1), which is this server's own.
            authoritative: true,
            records: aliases,
            ..Answer::default()
        }
    }
}
