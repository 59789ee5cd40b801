//! A pod's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`. What they say is decided by
//! `pinnace_core::network`; here they are written, and the host's own are read.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use pinnace_api::Pod;
use pinnace_core::network::{
    HostNames, PodAddresses, ResolvConf, ResolverWarning, hosts_of_host, pod_resolver,
};
use pinnace_sys::{Doing, SysError, file};

use crate::config::Naming;
use crate::error::RuntimeError;
use crate::paths::PodPaths;

/// Of the host's files, no more than this is taken.
const MAX_HOST_FILE: u64 = 1 << 20;
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Writes the three files into the sandbox, each in place of an older one; answers what the resolver's lacks.
/// A pod with a network of its own has no address yet: see [`refresh_hosts`].
pub fn write(paths: &PodPaths, pod: &Pod, naming: &Naming) -> Result<Vec<ResolverWarning>, RuntimeError> {
    let names = HostNames::of(pod, &naming.dns.domain);
    let aliases = &pod.spec.host_aliases;
    let (hosts, hostname) = match pod.spec.host_network {
        true => (
            hosts_of_host(&of_host("/etc/hosts")?, aliases),
            of_host(HOST_NAME)?,
        ),
        false => (
            names.hosts(&own(&PodAddresses::default()), aliases),
            format!("{}\n", names.kernel_name(pod)?),
        ),
    };
    let host = match naming.resolv_conf.as_str() {
        "" => None,
        path => Some(ResolvConf::read(&of_host(path)?)),
    };
    let resolver = pod_resolver(pod, &naming.dns, host.as_ref());
    for (name, text) in [
        ("hosts", hosts),
        ("hostname", hostname),
        ("resolv.conf", resolver.conf.text()),
    ] {
        file::write_replace(&paths.file(name), text.as_bytes(), 0o644)?;
    }
    Ok(resolver.warnings)
}

/// Brings `/etc/hosts` of a pod with a network of its own up to date, for all of its containers at once: they
/// hold the file itself, which is changed and never replaced, and never empty.
pub fn refresh_hosts(
    paths: &PodPaths,
    pod: &Pod,
    naming: &Naming,
    addresses: &PodAddresses,
) -> Result<(), RuntimeError> {
    const WRITE: &str = "write";
    if pod.spec.host_network {
        return Ok(());
    }
    let path = paths.file("hosts");
    let names = HostNames::of(pod, &naming.dns.domain);
    let text = names.hosts(&own(addresses), &pod.spec.host_aliases);
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

/// Without addresses, a pod of its own network has itself alone to talk to.
fn own(addresses: &PodAddresses) -> Vec<IpAddr> {
    let mut own = addresses.list();
    if own.is_empty() {
        own.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    own
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
    use pinnace_api::{PodUid, testing};
    use pinnace_core::network::ClusterDns;
    use pinnace_sys::Layout;
    use serde_json::{Value, json};

    use super::*;

    struct Sandbox {
        root: tempfile::TempDir,
        paths: PodPaths,
        naming: Naming,
        pod: Pod,
    }

    impl Sandbox {
        fn of(spec: Value) -> Self {
            let root = tempfile::tempdir().expect("a directory");
            let paths = PodPaths::new(&Layout::new(root.path()), &PodUid::new("uid-1").expect("a uid"));
            std::fs::create_dir_all(&paths.sandbox).expect("the sandbox");
            let resolv_conf = root.path().join("resolv.conf");
            std::fs::write(&resolv_conf, "nameserver 10.0.0.1\nsearch a.\noptions ndots:2\n")
                .expect("written");
            let naming = Naming {
                dns: ClusterDns {
                    servers: Vec::new(),
                    domain: "cluster.local".to_owned(),
                },
                resolv_conf: resolv_conf.to_string_lossy().into_owned(),
            };
            Self {
                paths,
                naming,
                pod: testing::pod("web-0", spec),
                root,
            }
        }

        fn written(&self) -> [String; 3] {
            write(&self.paths, &self.pod, &self.naming).expect("written");
            ["hosts", "hostname", "resolv.conf"].map(|name| self.read(name))
        }

        fn read(&self, name: &str) -> String {
            std::fs::read_to_string(self.paths.file(name)).expect("a file")
        }

        fn refresh(&self, v4: &str, v6: &str) {
            let addresses = PodAddresses {
                v4: Some(v4.parse().expect("an address")),
                v6: Some(v6.parse().expect("an address")),
                v6_first: false,
            };
            refresh_hosts(&self.paths, &self.pod, &self.naming, &addresses).expect("refreshed");
        }
    }

    #[test]
    fn a_pods_name_stands_for_each_of_its_addresses() {
        let sandbox = Sandbox::of(json!({}));
        let [hosts, hostname, resolv_conf] = sandbox.written();
        assert!(hosts.ends_with("ip6-allrouters\n127.0.0.1\tweb-0\n"));
        assert_eq!(hostname, "web-0\n");
        assert_eq!(resolv_conf, "search a\nnameserver 10.0.0.1\noptions ndots:2\n");
        sandbox.refresh("10.0.0.7", "fd00::7");
        let hosts = sandbox.read("hosts");
        assert!(hosts.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(hosts.ends_with("ip6-allrouters\n10.0.0.7\tweb-0\nfd00::7\tweb-0\n"));
    }

    #[test]
    fn new_addresses_reach_those_that_hold_the_file_already() {
        let sandbox = Sandbox::of(json!({}));
        sandbox.written();
        std::fs::write(sandbox.paths.file("hosts"), "x".repeat(10_000)).expect("written");
        let held = std::fs::File::open(sandbox.paths.file("hosts")).expect("opened");
        sandbox.refresh("10.0.0.7", "fd00::7");
        let text = std::io::read_to_string(held).expect("read");
        assert_eq!(text, sandbox.read("hosts"));
        assert!(text.ends_with("fd00::7\tweb-0\n"));
    }

    #[test]
    fn a_pod_in_the_hosts_network_has_the_hosts_names() {
        let sandbox = Sandbox::of(json!({"hostNetwork": true}));
        let [hosts, hostname, _] = sandbox.written();
        let of_host = |path| std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            hosts,
            format!(
                "# Kubernetes-managed hosts file (host network).\n{}",
                of_host("/etc/hosts")
            )
        );
        assert_eq!(hostname, of_host(HOST_NAME));
        sandbox.refresh("10.0.0.7", "fd00::7");
        assert_eq!(sandbox.read("hosts"), hosts);
    }

    #[test]
    fn the_nodes_dns_server_is_asked_where_there_is_one_and_the_hosts_where_there_is_none() {
        let mut sandbox = Sandbox::of(json!({}));
        sandbox.naming.dns.servers = vec!["10.96.0.10".parse().expect("an address")];
        assert_eq!(
            sandbox.written()[2],
            "search default.svc.cluster.local svc.cluster.local cluster.local a\nnameserver 10.96.0.10\n\
             options ndots:5\n"
        );
        std::fs::remove_file(sandbox.root.path().join("resolv.conf")).expect("removed");
        sandbox.naming.dns.servers.clear();
        assert_eq!(sandbox.written()[2], "");
    }
}
