//! The server as its clients meet it.

mod forwarding;
mod packets;
mod serving;
mod table;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::{OptRcode, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::ZoneRecordData;
use pinnace_api::pod::Protocol;
use pinnace_api::{Namespace, ObjectName};
use pinnace_core::network::{
    Endpoint, NameTable, PodOnNetwork, PortEntry, ServiceEntry, ServiceForm, ServiceTable, name_table,
};
use pinnace_core::ports::Names;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Dns, DnsConfig, DnsSockets, Serving};

pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A question as a client asks it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub name: String,
    pub rtype: Rtype,
    pub edns: Option<u16>,
    pub id: u16,
}

pub(super) fn asked(name: &str, rtype: Rtype) -> Asked {
    Asked {
        name: name.to_owned(),
        rtype,
        edns: None,
        id: 4242,
    }
}

impl Asked {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let name: Name<Vec<u8>> = match self.name.as_str() {
            "." => Name::root_vec(),
            name => name.parse().unwrap(),
        };
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        builder.push((&name, self.rtype)).unwrap();
        let mut builder = builder.additional();
        if let Some(size) = self.edns {
            builder
                .opt(|opt| {
                    opt.set_udp_payload_size(size);
                    Ok(())
                })
                .unwrap();
        }
        builder.finish()
    }
}

/// An answer as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub rcode: OptRcode,
    pub flags: BTreeSet<&'static str>,
    pub question: String,
    pub id: u16,
    /// `owner TYPE data`.
    pub answer: Vec<String>,
    pub authority: Vec<String>,
    pub additional: Vec<String>,
    pub ttls: Vec<u32>,
    pub bytes: usize,
    pub edns: bool,
}

impl Got {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let message = Message::from_octets(bytes).unwrap();
        let header = message.header();
        assert!(header.qr());
        let mut ttls = Vec::new();
        let mut lines = |section: domain::base::RecordSection<'_, &[u8]>| -> Vec<String> {
            let records = section.limit_to::<ZoneRecordData<_, _>>().map(Result::unwrap);
            records
                .filter(|record| record.rtype() != Rtype::OPT)
                .map(|record| {
                    ttls.push(record.ttl().as_secs());
                    format!("{} {} {}", record.owner(), record.rtype(), record.data())
                })
                .collect()
        };
        let answer = lines(message.answer().unwrap());
        let authority = lines(message.authority().unwrap());
        let additional = lines(message.additional().unwrap());
        let set = [
            ("aa", header.aa()),
            ("tc", header.tc()),
            ("rd", header.rd()),
            ("ra", header.ra()),
            ("ad", header.ad()),
        ];
        let question = message.first_question();
        Self {
            rcode: message.opt_rcode(),
            flags: set
                .into_iter()
                .filter(|(_, set)| *set)
                .map(|(name, _)| name)
                .collect(),
            question: question.map_or(String::new(), |question| question.qname().to_string()),
            id: header.id(),
            answer,
            authority,
            additional,
            ttls,
            bytes: bytes.len(),
            edns: message.opt().is_some(),
        }
    }

    pub(super) fn code(&self) -> Rcode {
        self.rcode.rcode()
    }

    pub(super) fn sorted(&self) -> Vec<String> {
        let mut answer = self.answer.clone();
        answer.sort();
        answer
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn endpoint(address: IpAddr, hostname: Option<&str>) -> Endpoint {
    Endpoint {
        address,
        port: 5432,
        serving: true,
        pod: (Namespace::new("default").unwrap(), ObjectName::new("p").unwrap()),
        hostname: hostname.map(str::to_owned),
    }
}

fn entry(form: ServiceForm, cluster_ips: &[&str], ports: Vec<PortEntry>) -> ServiceEntry {
    ServiceEntry {
        form,
        cluster_ips: cluster_ips.iter().map(|text| ip(text)).collect(),
        external_ips: Vec::new(),
        client_ip_affinity: None,
        ports,
        portless: Vec::new(),
    }
}

fn port(name: &str, number: u16, endpoints: Vec<Endpoint>) -> PortEntry {
    PortEntry {
        name: Some(name.to_owned()),
        protocol: Protocol::Tcp,
        port: number,
        node_port: None,
        endpoints,
    }
}

fn external(target: &str) -> ServiceEntry {
    entry(ServiceForm::ExternalName(target.to_owned()), &[], vec![])
}

/// A node's names: a Service of each form.
pub(super) fn sample() -> NameTable {
    let hosts = [
        ("10.244.0.5", Some("postgres-0")),
        ("10.244.0.6", Some("postgres-1")),
        ("10.244.0.7", None),
    ];
    let endpoints = hosts
        .map(|(address, hostname)| endpoint(ip(address), hostname))
        .to_vec();
    let many =
        (0..300_u16).map(|low| endpoint(IpAddr::from([10, 244, 1, low as u8]), Some(&format!("n{low}"))));
    let entries = [
        (
            "web",
            entry(
                ServiceForm::ClusterIp,
                &["10.96.0.7", "fd00:96::7"],
                vec![port("http", 80, vec![])],
            ),
        ),
        (
            "db",
            entry(ServiceForm::Headless, &[], vec![port("sql", 5432, endpoints)]),
        ),
        (
            "many",
            entry(
                ServiceForm::Headless,
                &[],
                vec![port("sql", 5432, many.take(250).collect())],
            ),
        ),
        ("out", external("www.example.com")),
        ("gone", external("gone.example.com")),
        ("twice", external("web.default.svc.cluster.local")),
        ("nowhere", external("nowhere.default.svc.cluster.local.")),
    ];
    let key = |name: &str| (Namespace::new("default").unwrap(), ObjectName::new(name).unwrap());
    let services: BTreeMap<_, _> = entries
        .into_iter()
        .map(|(name, entry)| (key(name), entry))
        .collect();
    let ranges = ["10.244.0.0/16", "10.96.0.0/16", "fd00:96::/112"].map(|range| range.parse().unwrap());
    let spec = serde_json::json!({"containers": [{"name": "main"}]});
    let mut pod = pinnace_api::testing::pod("a", spec);
    pod.meta.namespace = Namespace::new("team").unwrap();
    let pods = [PodOnNetwork {
        pod: Arc::new(pod),
        addresses: vec![ip("10.244.0.5")],
        ready: true,
        terminating: false,
    }];
    name_table("cluster.local", &ranges, &ServiceTable { services }, &pods)
}

/// A server at work on ephemeral ports of the loopback interface.
pub(super) struct Node {
    pub dns: Dns,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub directory: tempfile::TempDir,
    pub serving: Option<Serving>,
    pub spare: Vec<OwnedFd>,
}

impl Node {
    /// Its upstream servers are `upstreams`.
    pub(super) fn with(upstreams: &[IpAddr]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let (sockets, errors) = DnsSockets::open(&["127.0.0.1:0".parse().unwrap()], vec![]);
        assert!(errors.is_empty(), "{errors:?}");
        let config = DnsConfig {
            resolved_conf: directory.path().join("none"),
            ..DnsConfig::new(
                vec![ip("10.96.0.10"), ip("fd00:96::a")],
                "cluster.local",
                Some(path),
            )
        };
        let dns = Dns::new(config);
        let node = Self {
            udp: sockets.udp_addresses()[0],
            tcp: sockets.tcp_addresses()[0],
            spare: sockets
                .descriptors()
                .map(|(_, _, fd)| fd.try_clone_to_owned().unwrap())
                .collect(),
            serving: Some(dns.serve(sockets).unwrap()),
            dns,
            directory,
        };
        node.upstreams(upstreams);
        node
    }

    /// The same, with a table.
    pub(super) fn knowing(upstreams: &[IpAddr]) -> Self {
        let node = Self::with(upstreams);
        node.dns.publish(sample());
        node
    }

    pub(super) fn upstreams(&self, upstreams: &[IpAddr]) {
        let lines: String = upstreams
            .iter()
            .map(|address| format!("nameserver {address}\n"))
            .collect();
        std::fs::write(self.directory.path().join("resolv.conf"), lines).unwrap();
    }

    pub(super) async fn ask(&self, name: &str, rtype: Rtype) -> Got {
        self.send(&asked(name, rtype).bytes()).await
    }

    pub(super) async fn send(&self, question: &[u8]) -> Got {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(question, self.udp).await.unwrap();
        receive(&socket).await
    }

    pub(super) async fn ask_by_tcp(&self, name: &str, rtype: Rtype) -> Got {
        let mut stream = TcpStream::connect(self.tcp).await.unwrap();
        say(&mut stream, &asked(name, rtype).bytes()).await
    }
}

pub(super) async fn receive(socket: &UdpSocket) -> Got {
    let mut buffer = vec![0; 65_536];
    let length = timeout(LIMIT, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Got::read(&buffer[..length])
}

pub(super) async fn say(stream: &mut TcpStream, question: &[u8]) -> Got {
    stream.write_u16(question.len() as u16).await.unwrap();
    stream.write_all(question).await.unwrap();
    let length = timeout(LIMIT, stream.read_u16()).await.unwrap().unwrap();
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.unwrap();
    Got::read(&bytes)
}
