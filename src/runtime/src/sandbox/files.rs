//! A pod's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, laid out as the kubelet and CRI lay them out.
//!
//! All that decides their text comes in as [`PodNames`]: the host is read here only where a pod has the host's
//! network or its settings.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use pinnace_sys::{Doing, SysError, file};

use crate::error::RuntimeError;
use crate::paths::PodPaths;

/// Of the host's files, no more than this is taken.
const MAX_HOST_FILE: u64 = 1 << 20;
/// Kubernetes' limits on what a pod's `resolv.conf` says; what is beyond them is left out.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_LEN: usize = 253;
const MAX_SEARCH_LINE_LEN: usize = 2048;

/// Who a pod is to itself, and whom it asks for others.
#[derive(Debug, Clone, Copy)]
pub struct PodNames<'a> {
    pub network: Network<'a>,
    pub dns: &'a Dns,
}

/// The network whose names a pod has.
#[derive(Debug, Clone, Copy)]
pub enum Network<'a> {
    /// The host's, with the host's own names.
    Host,
    /// One of its own: its host name stands for each of its addresses.
    Own {
        hostname: &'a str,
        addresses: &'a [IpAddr],
    },
}

/// What `resolv.conf` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    pub nameservers: Vec<String>,
    pub searches: Vec<String>,
    pub options: Vec<String>,
}

/// Writes the three files into the sandbox, each in place of an older one.
pub fn write(paths: &PodPaths, names: &PodNames<'_>) -> Result<(), RuntimeError> {
    let (hosts, hostname) = match names.network {
        Network::Host => (
            format!(
                "# Kubernetes-managed hosts file (host network).\n{}",
                of_host("/etc/hosts")?
            ),
            of_host("/proc/sys/kernel/hostname")?,
        ),
        Network::Own { hostname, addresses } => (hosts(hostname, addresses), format!("{hostname}\n")),
    };
    for (name, text) in [
        ("hosts", hosts),
        ("hostname", hostname),
        ("resolv.conf", names.dns.text()),
    ] {
        file::write_replace(&paths.file(name), text.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Brings `/etc/hosts` of a pod with a network of its own up to date, for all of its containers at once: they
/// hold the file itself, which is changed and never replaced, and never empty.
pub fn refresh_hosts(paths: &PodPaths, hostname: &str, addresses: &[IpAddr]) -> Result<(), RuntimeError> {
    const WRITE: &str = "write";
    let path = paths.file("hosts");
    let text = hosts(hostname, addresses);
    // A container may have written anything there.
    if file::read_limited(&path, MAX_HOST_FILE).is_ok_and(|now| now == text.as_bytes()) {
        return Ok(());
    }
    let mut open = OpenOptions::new();
    let mut file = open.write(true).open(&path).doing_on(WRITE, &path)?;
    file.write_all(text.as_bytes()).doing_on(WRITE, &path)?;
    file.set_len(text.len() as u64).doing_on(WRITE, &path)?;
    Ok(())
}

fn hosts(hostname: &str, addresses: &[IpAddr]) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    for address in addresses {
        text.push_str(&format!("{address}\t{hostname}\n"));
    }
    text
}

impl Dns {
    /// The host's own settings, as pods of `dnsPolicy: Default` have them.
    pub fn of_host() -> Result<Self, SysError> {
        Ok(Self::read(&of_host("/etc/resolv.conf")?))
    }

    /// Name servers add up; of `search` and `options`, the last line counts.
    fn read(text: &str) -> Self {
        let mut dns = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => dns.nameservers.extend(words.next().map(str::to_owned)),
                Some("search") => {
                    let domains = words.map(|domain| domain.strip_suffix('.').unwrap_or(domain));
                    dns.searches = domains
                        .filter(|domain| !domain.is_empty())
                        .map(str::to_owned)
                        .collect();
                }
                Some("options") => dns.options = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        dns
    }

    /// Within the limits that every resolver keeps.
    fn text(&self) -> String {
        let mut line_len = 0;
        let searches: Vec<&str> = self
            .searches
            .iter()
            .map(String::as_str)
            .take(MAX_SEARCHES)
            .filter(|domain| domain.len() <= MAX_SEARCH_LEN)
            .take_while(|domain| {
                line_len += domain.len() + usize::from(line_len > 0);
                line_len <= MAX_SEARCH_LINE_LEN
            })
            .collect();
        let mut text = String::new();
        if !searches.is_empty() {
            text.push_str(&format!("search {}\n", searches.join(" ")));
        }
        for server in self.nameservers.iter().take(MAX_NAMESERVERS) {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }
}

/// A file of the host; empty where there is none.
fn of_host(path: &str) -> Result<String, SysError> {
    match file::read_text(Path::new(path), MAX_HOST_FILE) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use pinnace_api::PodUid;
    use pinnace_sys::Layout;

    use super::*;

    fn written(names: &PodNames<'_>) -> [String; 3] {
        let root = tempfile::tempdir().expect("a directory");
        let paths = PodPaths::new(&Layout::new(root.path()), &PodUid::new("uid-1").expect("a uid"));
        std::fs::create_dir_all(&paths.sandbox).expect("the sandbox");
        write(&paths, names).expect("written");
        ["hosts", "hostname", "resolv.conf"]
            .map(|name| std::fs::read_to_string(paths.file(name)).expect("a file"))
    }

    #[test]
    fn a_pods_name_stands_for_each_of_its_addresses() {
        let addresses = ["10.0.0.7", "fd00::7"].map(|text| text.parse().expect("an address"));
        let [hosts, hostname, resolv_conf] = written(&PodNames {
            network: Network::Own {
                hostname: "web-0",
                addresses: &addresses,
            },
            dns: &Dns::read("nameserver 10.0.0.1\nsearch a.\noptions ndots:5"),
        });
        assert!(hosts.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(hosts.ends_with("ip6-allrouters\n10.0.0.7\tweb-0\nfd00::7\tweb-0\n"));
        assert_eq!(hostname, "web-0\n");
        assert_eq!(resolv_conf, "search a\nnameserver 10.0.0.1\noptions ndots:5\n");
    }

    #[test]
    fn new_addresses_reach_those_that_hold_the_file_already() {
        let root = tempfile::tempdir().expect("a directory");
        let paths = PodPaths::new(&Layout::new(root.path()), &PodUid::new("uid-1").expect("a uid"));
        std::fs::create_dir_all(&paths.sandbox).expect("the sandbox");
        std::fs::write(paths.file("hosts"), "x".repeat(10_000)).expect("written");
        let held = std::fs::File::open(paths.file("hosts")).expect("opened");
        refresh_hosts(&paths, "web", &["10.0.0.7".parse().expect("an address")]).expect("refreshed");
        let text = std::io::read_to_string(held).expect("read");
        assert_eq!(text, hosts("web", &["10.0.0.7".parse().expect("an address")]));
    }

    #[test]
    fn a_pod_in_the_hosts_network_has_the_hosts_names() {
        let [hosts, hostname, resolv_conf] = written(&PodNames {
            network: Network::Host,
            dns: &Dns::default(),
        });
        let of_host = |path| std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            hosts,
            format!(
                "# Kubernetes-managed hosts file (host network).\n{}",
                of_host("/etc/hosts")
            )
        );
        assert_eq!(hostname, of_host("/proc/sys/kernel/hostname"));
        assert_eq!(resolv_conf, "");
    }

    #[test]
    fn the_hosts_settings_are_read_as_the_kubelet_reads_them() {
        let text = "# nameserver 1\n; comment\n nameserver 192.0.2.1 \nnameserver\nnameserver fe80::1%eth0\n\
                    search old.example\nsearch new.example. b .\noptions rotate\noptions ndots:2 edns0\ndomain x\n";
        let expected = Dns {
            nameservers: vec!["192.0.2.1".to_owned(), "fe80::1%eth0".to_owned()],
            searches: vec!["new.example".to_owned(), "b".to_owned()],
            options: vec!["ndots:2".to_owned(), "edns0".to_owned()],
        };
        assert_eq!(Dns::read(text), expected);
    }

    #[test]
    fn what_no_resolver_takes_is_left_out() {
        let many = |count: usize, len: usize| vec!["s".repeat(len); count];
        let searches = |searches: Vec<String>| {
            let dns = Dns {
                searches,
                ..Dns::default()
            };
            dns.text().split_whitespace().skip(1).count()
        };
        assert_eq!(searches(many(40, 1)), 32);
        assert_eq!(
            searches(many(40, 200)),
            10,
            "2009 characters; one more would be 2210"
        );
        assert_eq!(searches([many(1, 254), many(1, 253)].concat()), 1);
        let dns = Dns {
            nameservers: many(4, 1),
            ..Dns::default()
        };
        assert_eq!(dns.text().lines().count(), 3);
    }
}
