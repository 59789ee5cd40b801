//! The host's own DNS servers, as `resolv.conf` names them, followed as the file changes.
//!
//! Where it names nothing but systemd-resolved's stub, that program's own list is read instead. The server's own
//! addresses are never among them, or a question would go round in circles.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::config::DnsConfig;

/// The file is looked at when it is needed, and no more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Further servers would never be asked in the time that a question has.
const MAX_SERVERS: usize = 8;
const MAX_FILE_BYTES: u64 = 64 << 10;
const PORT: u16 = 53;
/// Where systemd-resolved's stubs listen.
const STUBS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54)),
];
/// A server that failed is asked after the others for this long.
const LAST_FOR: Duration = Duration::from_secs(10);

/// A server, and whether it answered lately.
#[derive(Debug)]
pub(super) struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    failed: Mutex<Option<Instant>>,
}

impl Upstream {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            failed: Mutex::default(),
        }
    }

    /// It failed just now, or it answered.
    pub(super) fn mark(&self, failed: bool) {
        let at = failed.then(Instant::now);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn is_failing(&self, now: Instant) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| now.saturating_duration_since(at) < LAST_FOR)
    }
}

/// The servers as they stand.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    /// Another number: other servers.
    pub generation: u64,
    list: Arc<[Upstream]>,
}

impl Servers {
    /// In the file's order, those that failed lately at the end.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Upstream> {
        let now = Instant::now();
        let failing = |upstream: &&Upstream| upstream.is_failing(now);
        let (last, first): (Vec<&Upstream>, Vec<&Upstream>) = self.list.iter().partition(failing);
        first.into_iter().chain(last)
    }
}

/// Follows the files.
#[derive(Debug)]
pub(super) struct ResolvConf {
    path: Option<PathBuf>,
    resolved: PathBuf,
    own: Vec<IpAddr>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    looked: Option<Instant>,
    stamps: [Option<Stamp>; 2],
    servers: Servers,
}

/// By which a changed file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl ResolvConf {
    /// Nothing is read before the first question.
    pub(super) fn new(config: &DnsConfig) -> Self {
        Self {
            path: config.resolv_conf.clone(),
            resolved: config.resolved_conf.clone(),
            own: config.addresses.clone(),
            state: Mutex::new(State {
                looked: None,
                stamps: [None; 2],
                servers: Servers {
                    generation: 0,
                    list: Arc::from([]),
                },
            }),
        }
    }

    /// The servers to ask now.
    pub(super) fn servers(&self) -> Servers {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let fresh = |looked| now.saturating_duration_since(looked) < LOOK_AGAIN;
        let Some(path) = self.path.as_deref().filter(|_| !state.looked.is_some_and(fresh)) else {
            return state.servers.clone();
        };
        let stamps = [stamp(path), stamp(&self.resolved)];
        if stamps != state.stamps || stamps[0].is_none() {
            match self.read(path) {
                Ok(list) => state.take(&list),
                // What stood there before is better than nothing.
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot read the host's DNS servers");
                }
            }
        }
        state.stamps = stamps;
        state.looked = Some(now);
        state.servers.clone()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<SocketAddr>> {
        let mut list = nameservers(&read_bounded(path)?);
        let is_stub = |address: &SocketAddr| STUBS.contains(&address.ip());
        if !list.is_empty() && list.iter().all(is_stub) {
            match read_bounded(&self.resolved).map(|text| nameservers(&text)) {
                Ok(behind) if !behind.is_empty() => list = behind,
                // The stub itself answers too.
                _ => {}
            }
        }
        list.retain(|address| !self.own.contains(&address.ip()));
        list.truncate(MAX_SERVERS);
        Ok(list)
    }
}

impl State {
    fn take(&mut self, list: &[SocketAddr]) {
        let same = self.servers.list.iter().map(|upstream| upstream.address);
        if same.eq(list.iter().copied()) {
            return;
        }
        if list.is_empty() {
            tracing::warn!("the host names no DNS server: names outside the cluster do not resolve");
        } else {
            tracing::info!(servers = ?list, "names outside the cluster are asked of the host's DNS servers");
        }
        self.servers = Servers {
            generation: self.servers.generation + 1,
            list: list.iter().copied().map(Upstream::new).collect(),
        };
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: metadata.ino(),
        bytes: metadata.len(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The `nameserver` lines, each address once.
fn nameservers(text: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        if let Some(address) = words.next().and_then(server_address)
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// An address, with its interface where it is of one link only (`fe80::1%eth0`).
fn server_address(text: &str) -> Option<SocketAddr> {
    let Some((address, interface)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let index = interface.parse().ok().or_else(|| interface_index(interface))?;
    Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, index).into())
}

fn interface_index(name: &str) -> Option<u32> {
    if name.contains('/') {
        return None;
    }
    let text = fs::read_to_string(Path::new("/sys/class/net").join(name).join("ifindex")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(servers: &Servers) -> Vec<String> {
        servers
            .in_order()
            .map(|upstream| upstream.address.to_string())
            .collect()
    }

    fn looked_again(conf: &ResolvConf) -> Servers {
        conf.state.lock().unwrap().looked = None;
        conf.servers()
    }

    fn of(directory: &Path, own: &[IpAddr]) -> ResolvConf {
        ResolvConf::new(&DnsConfig {
            resolved_conf: directory.join("resolved.conf"),
            ..DnsConfig::new(own.to_vec(), "cluster.local", Some(directory.join("resolv.conf")))
        })
    }

    #[test]
    fn servers_are_read_as_resolvers_read_them() {
        let text = "# nameserver 192.0.2.9\n; no\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # why\n\
                    nameserver nonsense\n nameserver 192.0.2.1\nnameserver fe80::1%lo\nsearch a\noptions ndots:5";
        let found: Vec<String> = nameservers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%1]:53"]);
    }

    #[test]
    fn a_changed_file_is_followed_and_a_missing_one_keeps_the_servers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let conf = of(directory.path(), &[]);
        assert_eq!(addresses(&conf.servers()), Vec::<String>::new());
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        let first = looked_again(&conf);
        assert_eq!(addresses(&first), ["192.0.2.1:53"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(addresses(&looked_again(&conf)), ["192.0.2.1:53"]);
        fs::write(&path, "nameserver 192.0.2.2\nnameserver 192.0.2.3\n").unwrap();
        let second = looked_again(&conf);
        assert_eq!(addresses(&second), ["192.0.2.2:53", "192.0.2.3:53"]);
        assert_ne!(first.generation, second.generation);
        assert_eq!(looked_again(&conf).generation, second.generation);
    }

    #[test]
    fn behind_the_stub_its_own_servers_are_asked() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("resolv.conf"), "nameserver 127.0.0.53\n").unwrap();
        let conf = of(directory.path(), &[]);
        assert_eq!(addresses(&conf.servers()), ["127.0.0.53:53"]);
        fs::write(directory.path().join("resolved.conf"), "nameserver 192.0.2.1\n").unwrap();
        assert_eq!(addresses(&looked_again(&conf)), ["192.0.2.1:53"]);
    }

    #[test]
    fn the_server_never_asks_itself() {
        let directory = tempfile::tempdir().unwrap();
        let text = "nameserver 10.96.0.10\nnameserver 192.0.2.1\n";
        fs::write(directory.path().join("resolv.conf"), text).unwrap();
        let conf = of(directory.path(), &["10.96.0.10".parse().unwrap()]);
        assert_eq!(addresses(&conf.servers()), ["192.0.2.1:53"]);
    }

    #[test]
    fn a_server_that_failed_comes_last() {
        let directory = tempfile::tempdir().unwrap();
        let text = "nameserver 192.0.2.1\nnameserver 192.0.2.2\n";
        fs::write(directory.path().join("resolv.conf"), text).unwrap();
        let servers = of(directory.path(), &[]).servers();
        servers.list[0].mark(true);
        assert_eq!(addresses(&servers), ["192.0.2.2:53", "192.0.2.1:53"]);
        servers.list[0].mark(false);
        assert_eq!(addresses(&servers), ["192.0.2.1:53", "192.0.2.2:53"]);
    }
}
