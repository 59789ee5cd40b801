//! The table against an evaluator that reads the policies as Kubernetes' documentation words them.

use pinnace_api::network_policy::{PolicyPeer, PolicyPort, PolicyPortNumber, PolicyRule};
use pinnace_api::pod::Protocol;
use pinnace_api::testing::{namespace, network_policy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::network::testing::{pod, with_ports};

/// One packet, as one of its two pods sees it.
#[derive(Debug, Clone, Copy)]
struct Packet {
    direction: Direction,
    pod: IpAddr,
    peer: IpAddr,
    protocol: Protocol,
    port: u16,
}

/// What the table says of a packet.
fn passes(table: &PolicyTable, packet: &Packet) -> bool {
    let isolated = match packet.direction {
        Direction::Ingress => &table.ingress_isolated,
        Direction::Egress => &table.egress_isolated,
    };
    !isolated.contains(&packet.pod)
        || table.allowed.iter().any(|allowed| {
            allowed.direction == packet.direction
                && allowed.pod == packet.pod
                && (allowed.peer_first..=allowed.peer_last).contains(&packet.peer)
                && allowed
                    .protocol
                    .is_none_or(|protocol| protocol == packet.protocol)
                && allowed.ports().contains(&packet.port)
        })
}

/// What the policies say, read one by one.
struct Naive<'n> {
    policies: &'n [NetworkPolicy],
    pods: &'n [PodOnNetwork],
    namespaces: &'n NamespaceLabels,
}

impl Naive<'_> {
    fn holder(&self, address: IpAddr) -> Option<&PodOnNetwork> {
        let mut pods = self.pods.iter().filter(|one| !one.pod.spec.host_network);
        pods.find(|one| one.addresses.contains(&address))
    }

    fn passes(&self, packet: &Packet) -> bool {
        let Some(own) = self.holder(packet.pod) else {
            return true;
        };
        let meta = &own.pod.meta;
        let rules_of = |policy: &NetworkPolicy| match packet.direction {
            Direction::Ingress => policy.ingress.clone(),
            Direction::Egress => policy.egress.clone(),
        };
        let mut isolating = self
            .policies
            .iter()
            .filter(|policy| policy.meta.namespace == meta.namespace)
            .filter(|policy| policy.pod_selector.matches(&meta.labels))
            .filter_map(|policy| Some((policy, rules_of(policy)?)))
            .peekable();
        let receiver = match packet.direction {
            Direction::Ingress => packet.pod,
            Direction::Egress => packet.peer,
        };
        isolating.peek().is_none()
            || packet.peer == packet.pod
            || isolating.any(|(policy, rules)| {
                rules
                    .iter()
                    .any(|rule| self.rule_allows(policy, rule, packet, self.holder(receiver)))
            })
    }

    fn rule_allows(
        &self,
        policy: &NetworkPolicy,
        rule: &PolicyRule,
        packet: &Packet,
        receiver: Option<&PodOnNetwork>,
    ) -> bool {
        let peer = |peer: &PolicyPeer| match peer {
            PolicyPeer::IpBlock { cidr, except } => {
                cidr.contains(packet.peer) && !except.iter().any(|range| range.contains(packet.peer))
            }
            PolicyPeer::Pods { namespaces, pods } => self.holder(packet.peer).is_some_and(|one| {
                let meta = &one.pod.meta;
                let mut labels = self.namespaces.get(&meta.namespace).cloned().unwrap_or_default();
                labels.insert(
                    "kubernetes.io/metadata.name".to_owned(),
                    meta.namespace.to_string(),
                );
                let is_meant = match namespaces {
                    None => meta.namespace == policy.meta.namespace,
                    Some(selector) => selector.matches(&labels),
                };
                is_meant && pods.matches(&meta.labels)
            }),
        };
        let port = |port: &PolicyPort| {
            port.protocol == packet.protocol
                && match &port.port {
                    None => true,
                    Some(PolicyPortNumber::Range(range)) => range.contains(&packet.port),
                    Some(PolicyPortNumber::Name(name)) => receiver.is_some_and(|one| {
                        let mut ports = one
                            .pod
                            .spec
                            .containers
                            .iter()
                            .flat_map(|container| &container.ports);
                        ports.any(|given| {
                            given.name.as_deref() == Some(name)
                                && given.protocol == packet.protocol
                                && given.container_port == packet.port
                        })
                    }),
                }
        };
        (rule.peers.is_empty() || rule.peers.iter().any(peer))
            && (rule.ports.is_empty() || rule.ports.iter().any(port))
    }
}

fn assert_apart(table: &PolicyTable) {
    let all: Vec<&Allowed> = table.allowed.iter().collect();
    for (index, one) in all.iter().enumerate() {
        assert!(
            one.peer_first <= one.peer_last && one.port_first <= one.port_last,
            "{one:?}"
        );
        for other in &all[index + 1..] {
            let same = (one.direction, one.pod, one.protocol) == (other.direction, other.pod, other.protocol);
            let peers = one.peer_first <= other.peer_last && other.peer_first <= one.peer_last;
            let ports = one.port_first <= other.port_last && other.port_first <= one.port_last;
            assert!(!(same && peers && ports), "{one:?} and {other:?} overlap");
        }
    }
}

/// Six pods of two namespaces, of both families; one is in the host's network.
fn pods() -> Vec<PodOnNetwork> {
    let named = |number: u16| with_ports(&json!([{"name": "http", "containerPort": number}]));
    vec![
        pod("shop/web", "web", &["10.0.0.1", "fd00::1"], named(8080)),
        pod("shop/db", "db", &["10.0.0.2", "fd00::2"], named(80)),
        pod("shop/job", "job", &["10.0.0.3"], json!({})),
        pod("team/web", "web", &["10.0.0.4", "fd00::4"], named(8080)),
        pod("team/db", "db", &["10.0.0.9"], named(81)),
        pod("team/agent", "web", &["192.0.2.1"], json!({"hostNetwork": true})),
    ]
}

fn labels() -> NamespaceLabels {
    let team = namespace("team", &json!({"trust": "full"}));
    NamespaceLabels::from([(team.name.clone(), team.labels())])
}

fn table(specs: &[(&str, Value)]) -> PolicyTable {
    let policies: Vec<_> = specs
        .iter()
        .enumerate()
        .map(|(number, (namespace, spec))| network_policy(namespace, &format!("p{number}"), spec))
        .collect();
    let table = policy_table(&policies, &pods(), &labels());
    assert_apart(&table);
    table
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn incoming(pod: &str, peer: &str, port: u16) -> Packet {
    Packet {
        direction: Direction::Ingress,
        pod: ip(pod),
        peer: ip(peer),
        protocol: Protocol::Tcp,
        port,
    }
}

fn outgoing(pod: &str, peer: &str, port: u16) -> Packet {
    Packet {
        direction: Direction::Egress,
        ..incoming(pod, peer, port)
    }
}

#[test]
fn without_policies_nobody_is_isolated() {
    assert_eq!(table(&[]), PolicyTable::default());
}

#[test]
fn denying_all_leaves_a_pod_only_itself() {
    let table = table(&[(
        "shop",
        json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
    )]);
    assert_eq!(
        table.ingress_isolated.len(),
        5,
        "each address of the namespace's three pods"
    );
    assert_eq!(table.ingress_isolated, table.egress_isolated);
    assert_eq!(table.allowed.len(), 10);
    assert!(passes(&table, &incoming("10.0.0.1", "10.0.0.1", 80)));
    assert!(!passes(&table, &incoming("10.0.0.1", "10.0.0.2", 80)));
    assert!(
        passes(&table, &incoming("10.0.0.4", "10.0.0.2", 80)),
        "another namespace's pod"
    );
}

#[test]
fn a_policy_of_one_direction_leaves_the_other_alone() {
    let table = table(&[("shop", json!({"podSelector": {"matchLabels": {"app": "web"}}}))]);
    assert!(!passes(&table, &incoming("10.0.0.1", "10.0.0.2", 80)));
    assert!(passes(&table, &outgoing("10.0.0.1", "10.0.0.2", 80)));
    assert!(!passes(&table, &incoming("fd00::1", "fd00::2", 80)));
}

#[test]
fn peers_are_chosen_by_their_labels_and_their_namespaces() {
    let from = |from: Value| {
        let spec = json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": from}]});
        table(&[("shop", spec)])
    };
    let allowed = |table: &PolicyTable| {
        let peers = ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.9", "192.0.2.1"];
        let passing = peers
            .into_iter()
            .filter(|peer| passes(table, &incoming("10.0.0.2", peer, 80)));
        passing.collect::<Vec<_>>()
    };
    let web = json!({"matchLabels": {"app": "web"}});
    let team = json!({"matchLabels": {"trust": "full"}});
    let by_name = json!({"matchLabels": {"kubernetes.io/metadata.name": "team"}});
    assert_eq!(allowed(&from(json!([{"podSelector": web}]))), ["10.0.0.1"]);
    assert_eq!(
        allowed(&from(json!([{"podSelector": web, "namespaceSelector": team}]))),
        ["10.0.0.4"]
    );
    assert_eq!(
        allowed(&from(json!([{"namespaceSelector": by_name}]))),
        ["10.0.0.4", "10.0.0.9"]
    );
    assert_eq!(
        allowed(&from(json!([{"podSelector": web}, {"namespaceSelector": team}]))),
        ["10.0.0.1", "10.0.0.4", "10.0.0.9"]
    );
    assert_eq!(
        allowed(&from(json!([{"podSelector": {}, "namespaceSelector": {}}]))).len(),
        4
    );
    assert_eq!(
        allowed(&from(json!([]))).len(),
        5,
        "everybody, the node's own pods too"
    );
}

#[test]
fn blocks_have_their_exceptions() {
    let block = json!({"ipBlock": {"cidr": "10.0.0.0/29", "except": ["10.0.0.2/31", "10.0.0.0/32"]}});
    let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [block]}]});
    let table = table(&[("team", spec)]);
    let reached = (0..10).filter(|last| passes(&table, &outgoing("10.0.0.4", &format!("10.0.0.{last}"), 80)));
    assert_eq!(reached.collect::<Vec<u8>>(), [1, 4, 5, 6, 7]);
    assert!(
        !passes(&table, &outgoing("fd00::4", "fd00::1", 80)),
        "nothing of the other family"
    );
}

#[test]
fn a_named_port_is_the_receivers_own() {
    let ports = json!([{"port": "http"}]);
    let spec = json!({"podSelector": {}, "ingress": [{"ports": ports}], "egress": [{"ports": ports}]});
    let table = table(&[("shop", spec)]);
    assert!(passes(&table, &incoming("10.0.0.1", "10.9.9.9", 8080)));
    assert!(!passes(&table, &incoming("10.0.0.2", "10.9.9.9", 8080)));
    assert!(passes(&table, &incoming("10.0.0.2", "10.9.9.9", 80)));
    assert!(
        passes(&table, &outgoing("10.0.0.1", "10.0.0.9", 81)),
        "as the receiver names it"
    );
    assert!(!passes(&table, &outgoing("10.0.0.1", "10.0.0.9", 8080)));
    assert!(
        !passes(&table, &outgoing("10.0.0.1", "10.9.9.9", 8080)),
        "no pod, no names"
    );
}

#[test]
fn policies_add_up_and_their_boxes_lie_apart() {
    let ports = |first: u16, last: u16| json!({"port": first, "endPort": last});
    let block = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    let spec = |block: Value, ports: Value| json!({"podSelector": {}, "ingress": [{"from": [block], "ports": [ports]}]});
    let table = table(&[
        ("shop", spec(block("10.0.0.0/24"), ports(80, 90))),
        ("shop", spec(block("10.0.0.128/25"), ports(85, 100))),
        ("shop", spec(block("10.0.0.192/26"), json!({"protocol": "TCP"}))),
    ]);
    let own: Vec<_> = table
        .allowed
        .iter()
        .filter(|one| one.pod == ip("10.0.0.3") && one.protocol.is_some())
        .map(|one| (one.peer_first.to_string(), one.peer_last.to_string(), one.ports()))
        .collect();
    let expected = [
        ("10.0.0.0", "10.0.0.127", 80..=90),
        ("10.0.0.128", "10.0.0.191", 80..=100),
        ("10.0.0.192", "10.0.0.255", 0..=65_535),
    ];
    let expected = expected.map(|(first, last, ports)| (first.to_owned(), last.to_owned(), ports));
    assert_eq!(own, expected);
}

#[test]
fn neighbouring_peers_are_one_range() {
    let pods: Vec<_> = (1..=100)
        .map(|last| {
            pod(
                &format!("shop/p{last}"),
                "a",
                &[&format!("10.0.1.{last}")],
                json!({}),
            )
        })
        .collect();
    let policy = network_policy(
        "shop",
        "same",
        &json!({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}),
    );
    let table = policy_table([&policy], &pods, &NamespaceLabels::new());
    assert_eq!(table.allowed.len(), 100, "one for each pod");
}

#[test]
fn a_hundred_policies_over_a_thousand_pods_are_a_matter_of_milliseconds() {
    let pods: Vec<_> = (0..1000)
        .map(|number| {
            let place = format!("n{}/p{number}", number % 10);
            let address = format!("10.0.{}.{}", number / 250, number % 250);
            pod(&place, &format!("a{}", number % 20), &[&address], json!({}))
        })
        .collect();
    let policies: Vec<_> = (0..100)
        .map(|number| {
            let labels = |app: usize| json!({"matchLabels": {"app": format!("a{}", app % 20)}});
            let peers: Vec<Value> =
                (0..10).map(|more| json!({"podSelector": labels(number + more), "namespaceSelector": {}})).collect();
            let spec = json!({
                "podSelector": labels(number), "ingress": [{"from": peers, "ports": [{"port": 80}, {"port": 443}]}],
            });
            network_policy(&format!("n{}", number % 10), &format!("p{number}"), &spec)
        })
        .collect();
    let before = std::time::Instant::now();
    let table = policy_table(&policies, &pods, &NamespaceLabels::new());
    let took = before.elapsed();
    assert!(table.allowed.len() > 1000);
    // Unoptimised, and on a busy machine.
    assert!(took.as_secs() < 5, "{took:?}");
}

fn any_selector() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({})),
        prop::sample::select(vec!["web", "db", "job"]).prop_map(|app| json!({"matchLabels": {"app": app}})),
        Just(json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]})),
    ]
}

fn any_peer() -> impl Strategy<Value = Value> {
    let namespaces = prop_oneof![
        Just(json!({})),
        Just(json!({"matchLabels": {"trust": "full"}})),
        Just(json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}})),
    ];
    prop_oneof![
        any_selector().prop_map(|pods| json!({"podSelector": pods})),
        namespaces
            .clone()
            .prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        (any_selector(), namespaces)
            .prop_map(|(pods, namespaces)| json!({"podSelector": pods, "namespaceSelector": namespaces})),
        (0_u8..12, 28_u8..=30, 31_u8..=32, 0_u8..12).prop_map(|(first, prefix, except, at)| {
            let cidr: pinnace_api::Cidr = format!("10.0.0.{first}/{prefix}").parse().unwrap();
            let inner: pinnace_api::Cidr = format!("10.0.0.{at}/{except}").parse().unwrap();
            let except = if cidr.contains(inner.first()) {
                vec![inner.to_string()]
            } else {
                vec![]
            };
            json!({"ipBlock": {"cidr": cidr.to_string(), "except": except}})
        }),
        Just(json!({"ipBlock": {"cidr": "0.0.0.0/0"}})),
        Just(json!({"ipBlock": {"cidr": "fd00::/126", "except": ["fd00::2/128"]}})),
        Just(json!({"ipBlock": {"cidr": "::/0"}})),
    ]
}

fn any_port() -> impl Strategy<Value = Value> {
    let protocol = prop::sample::select(vec!["TCP", "UDP", "SCTP"]);
    let port = prop_oneof![
        Just(json!({})),
        Just(json!({"port": "http"})),
        (78_u16..84, 0_u16..4).prop_map(|(first, more)| json!({"port": first, "endPort": first + more})),
        Just(json!({"port": 8080})),
        Just(json!({"port": 1, "endPort": 65_535})),
    ];
    (protocol, port).prop_map(|(protocol, mut port)| {
        port["protocol"] = json!(protocol);
        port
    })
}

fn any_policy() -> impl Strategy<Value = (String, Value)> {
    let rules = |side: &'static str| {
        let rule = (
            prop::collection::vec(any_peer(), 0..3),
            prop::collection::vec(any_port(), 0..3),
        )
            .prop_map(move |(peers, ports)| json!({side: peers, "ports": ports}));
        prop::collection::vec(rule, 0..3)
    };
    let types = prop::sample::select(vec![
        json!([]),
        json!(["Ingress"]),
        json!(["Egress"]),
        json!(["Ingress", "Egress"]),
    ]);
    let namespace = prop::sample::select(vec!["shop", "team"]);
    (namespace, any_selector(), rules("from"), rules("to"), types).prop_map(
        |(namespace, selector, ingress, egress, types)| {
            let spec =
                json!({"podSelector": selector, "ingress": ingress, "egress": egress, "policyTypes": types});
            (namespace.to_owned(), spec)
        },
    )
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let v4 = || (0_u8..12).prop_map(|last| ip(&format!("10.0.0.{last}")));
    let v6 = || (0_u8..6).prop_map(|last| ip(&format!("fd00::{last}")));
    let sides = prop_oneof![3 => (v4(), v4()), 1 => (v6(), v6())];
    let directions = prop::sample::select(vec![Direction::Ingress, Direction::Egress]);
    let protocols = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    let ports = prop_oneof![4 => 76_u16..90, 1 => Just(8080), 1 => any::<u16>()];
    (directions, sides, protocols, ports).prop_map(|(direction, (pod, peer), protocol, port)| Packet {
        direction,
        pod,
        peer,
        protocol,
        // Port 0 is in no range of a policy, and on no wire.
        port: port.max(1),
    })
}

proptest! {
    #[test]
    fn the_table_says_what_the_policies_say(
        policies in prop::collection::vec(any_policy(), 0..5),
        packets in prop::collection::vec(any_packet(), 100),
    ) {
        let policies: Vec<NetworkPolicy> = policies
            .iter()
            .enumerate()
            .map(|(number, (namespace, spec))| network_policy(namespace, &format!("p{number}"), spec))
            .collect();
        let (pods, namespaces) = (pods(), labels());
        let table = policy_table(&policies, &pods, &namespaces);
        assert_apart(&table);
        let naive = Naive { policies: &policies, pods: &pods, namespaces: &namespaces };
        for packet in packets {
            prop_assert_eq!(passes(&table, &packet), naive.passes(&packet), "{:?}", packet);
        }
    }
}

fn blocks(count: usize) -> Vec<Value> {
    let cidr = |number: usize| format!("192.{}.{}.0/25", 64 + number / 256, number % 256);
    (0..count)
        .map(|number| json!({"ipBlock": {"cidr": cidr(number)}}))
        .collect()
}

fn at(name: &str, address: &str, app: &str) -> PodOnNetwork {
    pod(&format!("shop/{name}"), app, &[address], json!({}))
}

fn limited(policies: &[NetworkPolicy], pods: &[PodOnNetwork], of_pod: usize, of_node: usize) -> PolicyTable {
    table_within(policies, pods, &labels(), Limits { of_pod, of_node })
}

fn refusals(table: &PolicyTable) -> Vec<(String, String)> {
    let refused = table.refused.iter();
    refused
        .map(|((_, name), why)| (name.to_string(), why.to_string()))
        .collect()
}

#[test]
fn a_policy_of_more_ranges_than_a_pod_may_have_allows_nothing_and_is_named() {
    let pods = [
        at("a", "10.0.0.1", "web"),
        at("b", "10.0.0.2", "web"),
        at("c", "10.0.0.3", "db"),
    ];
    let large = |peers: usize| {
        let ports = [json!({"port": 80}), json!({"port": 90})];
        let rule = json!({"from": blocks(peers), "ports": ports});
        network_policy(
            "shop",
            "large",
            &json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [rule]}),
        )
    };
    let closed = network_policy(
        "shop",
        "closed",
        &json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
    );
    let fitting = limited(&[large(5), closed.clone()], &pods, 10, 1000);
    assert_eq!(refusals(&fitting), []);
    assert_eq!(fitting.allowed.len(), 2 * (10 + 1) + 1);
    let table = limited(&[large(6), closed], &pods, 10, 1000);
    let why = "too many ranges: it allows, with the policies beside it, more than 10 of peers and ports to one address; \
               nothing is allowed to pod shop/a and 1 more";
    assert_eq!(refusals(&table), [("large".to_owned(), why.to_owned())]);
    assert_eq!(table.ingress_isolated.len(), 3);
    let itself = |one: &Allowed| one.peer_first == one.pod && one.peer_last == one.pod;
    assert!(table.allowed.iter().all(itself), "{:?}", table.allowed);
    assert_eq!(table.allowed.len(), 3, "each still reaches itself");
}

#[test]
fn where_all_together_are_too_many_those_with_the_most_go_without() {
    let pods = [
        at("a", "10.0.0.1", "web"),
        at("b", "10.0.0.2", "db"),
        at("c", "10.0.0.3", "db"),
    ];
    let of = |name: &str, app: &str, peers: usize| {
        let spec =
            json!({"podSelector": {"matchLabels": {"app": app}}, "ingress": [{"from": blocks(peers)}]});
        network_policy("shop", name, &spec)
    };
    let table = limited(&[of("large", "web", 8), of("small", "db", 3)], &pods, 100, 10);
    let why = "too many ranges: the node's policies allow more than 10 of peers and ports, and those of this one's pods \
               are the most; nothing is allowed to pod shop/a";
    assert_eq!(refusals(&table), [("large".to_owned(), why.to_owned())]);
    assert_eq!(table.allowed.len(), 1 + 2 * (3 + 1));
}

#[test]
fn a_policy_that_nobody_could_reckon_is_given_up_in_time() {
    let pods = [at("a", "10.0.0.1", "web")];
    let rule = |number: usize| {
        let block = json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": [format!("192.168.{}.{}/32", number / 128, number % 128 * 2)]}});
        json!({"from": [block], "ports": [{"port": 1 + number}]})
    };
    let rules: Vec<Value> = (0..3000).map(rule).collect();
    let policy = network_policy("shop", "deep", &json!({"podSelector": {}, "ingress": rules}));
    let table = policy_table(&[policy], &pods, &labels());
    assert_eq!(refusals(&table).len(), 1);
    let ports: Vec<Value> = (0..20_000_u16)
        .map(|port| json!({"port": 1 + 2 * port}))
        .collect();
    let wide = json!({"podSelector": {}, "ingress": [{"from": blocks(20_000), "ports": ports}]});
    let table = policy_table(&[network_policy("shop", "wide", &wide)], &pods, &labels());
    assert_eq!(refusals(&table).len(), 1);
}
