//! Questions about names elsewhere: from the cache, or from the host's servers, each question once at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::cache::{Cache, Kept};
use super::config::DnsConfig;
use super::message::Ask;
use super::relayed::Relayed;
use super::resolv_conf::{ResolvConf, Servers};
use super::upstream::exchange;

/// One server's time.
const ATTEMPT: Duration = Duration::from_secs(2);
/// All servers' time together: less than clients wait before they ask again.
const ALL_ATTEMPTS: Duration = Duration::from_millis(4500);

/// Asks others.
#[derive(Debug)]
pub(super) struct Forwarder {
    servers: ResolvConf,
    kept: Mutex<Generation>,
    /// Questions that somebody is asking just now.
    asked: Mutex<HashMap<Ask, watch::Receiver<Option<Kept>>>>,
}

/// The cache of what the present servers said.
#[derive(Debug, Default)]
struct Generation {
    number: u64,
    cache: Cache,
}

/// Who asks.
enum Turn<'a> {
    /// This one.
    Own(Asking<'a>),
    /// Another one, already.
    Others(watch::Receiver<Option<Kept>>),
}

/// The one that asks; whatever becomes of it, nobody waits for it any longer.
struct Asking<'a> {
    forwarder: &'a Forwarder,
    ask: &'a Ask,
    told: watch::Sender<Option<Kept>>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.forwarder.asked().remove(self.ask);
    }
}

impl Forwarder {
    /// Nothing is asked or read yet.
    pub(super) fn new(config: &DnsConfig) -> Self {
        Self {
            servers: ResolvConf::new(config),
            kept: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// What is known without asking.
    pub(super) fn known(&self, ask: &Ask) -> Option<Kept> {
        let servers = self.servers.servers();
        self.kept(&servers).cache.get(ask, Instant::now())
    }

    /// What is known, or what a server says.
    pub(super) async fn resolve(&self, ask: &Ask) -> Kept {
        let servers = self.servers.servers();
        if let Some(kept) = self.kept(&servers).cache.get(ask, Instant::now()) {
            return kept;
        }
        match self.turn(ask) {
            Turn::Own(asking) => {
                let answer = self.ask_servers(&servers, ask).await;
                let generation = servers.generation;
                let mut kept = self.lock_kept();
                if kept.number == generation {
                    kept.cache.put(ask, answer.clone(), Instant::now());
                }
                drop(kept);
                let told = answer.map_or(Kept::Failure, |answer| Kept::Answer(answer, 0));
                asking.told.send_replace(Some(told.clone()));
                told
            }
            Turn::Others(mut told) => match told.wait_for(Option::is_some).await {
                Ok(told) => told.clone().unwrap_or(Kept::Failure),
                Err(_) => Kept::Failure,
            },
        }
    }

    fn turn<'a>(&'a self, ask: &'a Ask) -> Turn<'a> {
        let mut asked = self.asked();
        if let Some(others) = asked.get(ask) {
            return Turn::Others(others.clone());
        }
        let (told, hear) = watch::channel(None);
        asked.insert(ask.clone(), hear);
        Turn::Own(Asking {
            forwarder: self,
            ask,
            told,
        })
    }

    /// One server after the other, until one of them answers.
    async fn ask_servers(&self, servers: &Servers, ask: &Ask) -> Option<Arc<Relayed>> {
        let each = async {
            for server in servers.in_order() {
                let asked = timeout(ATTEMPT, exchange(server.address, ask)).await;
                server.mark(!matches!(asked, Ok(Ok(_))));
                match asked {
                    Ok(Ok(answer)) => return Some(Arc::new(answer)),
                    Ok(Err(error)) => {
                        tracing::debug!(server = %server.address, name = ask.name, %error, "no answer from a DNS server");
                    }
                    Err(_) => {
                        tracing::debug!(server = %server.address, name = ask.name, "a DNS server did not answer in time");
                    }
                }
            }
            None
        };
        timeout(ALL_ATTEMPTS, each).await.ok().flatten()
    }

    /// The cache of these servers' answers; what others said before them is forgotten.
    fn kept(&self, servers: &Servers) -> MutexGuard<'_, Generation> {
        let mut kept = self.lock_kept();
        if kept.number < servers.generation {
            kept.number = servers.generation;
            kept.cache.clear();
        }
        kept
    }

    fn lock_kept(&self) -> MutexGuard<'_, Generation> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Ask, watch::Receiver<Option<Kept>>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
