//! Names as `dig` sees them, from the host and from a pod, by IPv4 and IPv6, UDP and TCP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::IpAddr;

use pinnace_tests::dig::Dug;
use pinnace_tests::dns::{ANYWHERE, World};
use pinnace_tests::images::{self, GLIBC};
use pinnace_tests::named::{Named, Setup, external, headless, member};
use pinnace_tests::network::FAR;
use pinnace_tests::sample::{FOREVER, pod, service};
use pinnace_tests::wait_for;
use serde_json::json;

const HEADLESS: &str = "postgres-headless.default.svc.cluster.local";
/// Of an answer of the cluster's own zone.
const OWN: &str = "qr aa rd ra";
/// Of another's answer.
const PASSED_ON: &str = "qr rd ra";
/// The largest datagram that the server says it takes and sends.
const LARGEST_BYTES: usize = 1232;

/// A node with names of all kinds, and a pod `dig` that has the program.
struct Digger {
    named: Named,
    servers: [IpAddr; 2],
}

/// Where it is asked from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Host,
    Pod,
}

impl Digger {
    #[track_caller]
    fn new() -> Self {
        let servers: [IpAddr; 2] = ["10.77.0.10", "fd00:10:77::a"].map(|text| text.parse().unwrap());
        let named = Named::with(&Setup {
            cluster_dns: servers.to_vec(),
            images: vec![images::glibc()],
            ..Setup::default()
        });
        let mut digging = pod("dig", FOREVER);
        digging["spec"]["containers"][0]["image"] = json!(GLIBC);
        named.lay(&digging);
        named.node.wait_running("dig");
        Self { named, servers }
    }

    /// What `dig` prints, which must end well. A question without an answer ends it, and is not one that is asked again
    /// and passes for slow.
    #[track_caller]
    fn prints(&self, from: From, arguments: &str) -> String {
        let command = format!("/usr/bin/dig +tries=1 +timeout=30 {arguments}");
        match from {
            From::Host => self.named.host.place.run(&command),
            From::Pod => {
                let words = ["exec", "dig", "--"].into_iter().chain(command.split(' '));
                self.named.node.prints(&words.collect::<Vec<_>>())
            }
        }
    }

    #[track_caller]
    fn dig(&self, from: From, arguments: &str) -> Dug {
        let mut dug = Dug::read(&self.prints(from, arguments));
        assert_eq!(dug.len(), 1, "{arguments}: {dug:?}");
        dug.remove(0)
    }

    /// Asks until there are answers.
    #[track_caller]
    fn wait(&self, name: &str, kind: &str, answers: usize) -> Dug {
        wait_for(&format!("{answers} answers for {name}"), || {
            let dug = self.dig(From::Host, &format!("@{} {name} {kind}", self.servers[0]));
            (dug.answers().len() == answers).then_some(dug)
        })
    }

    /// Asks from everywhere in each way; each question with what it finds is checked.
    #[track_caller]
    fn everywhere(&self, questions: &[&str], check: impl Fn(&str, &Dug)) {
        for from in [From::Host, From::Pod] {
            for server in self.servers {
                for (transport, option) in [("UDP", "+notcp"), ("TCP", "+tcp")] {
                    let asked = format!("@{server} {option} {}", questions.join(" "));
                    let found = Dug::read(&self.prints(from, &asked));
                    assert_eq!(found.len(), questions.len(), "{found:?}");
                    for (question, dug) in questions.iter().zip(&found) {
                        let told = (dug.server.parse(), dug.transport.as_str());
                        assert_eq!(told, (Ok(server), transport), "{from:?} {question}");
                        let edns = Some("version: 0, flags:; udp: 1232");
                        assert_eq!(dug.edns.as_deref(), edns, "{from:?} {question}");
                        check(question, dug);
                    }
                }
            }
        }
    }

    /// Asks from everywhere in each way; status, flags and answers must be these.
    #[track_caller]
    fn finds(&self, expected: &[Expected<'_>]) {
        let questions: Vec<&str> = expected.iter().map(|(question, ..)| question.as_str()).collect();
        self.everywhere(&questions, |question, dug| {
            let (_, status, flags, answers) = expected.iter().find(|(asked, ..)| asked == question).unwrap();
            let found = (dug.status.as_str(), dug.flags.as_str());
            assert_eq!(found, (*status, *flags), "{question}: {dug:?}");
            assert_eq!(dug.answers(), *answers, "{question}: {dug:?}");
        });
    }
}

/// A question, and the status, flags and answers that it has.
type Expected<'a> = (String, &'static str, &'static str, Vec<(&'static str, &'a str)>);

#[test]
fn services_and_pods_are_found_by_name_port_and_address() {
    let digger = Digger::new();
    let named = &digger.named;
    named.lay(&service("web", "web"));
    named.lay(&headless("postgres-headless", "postgres"));
    named.lay(&member("postgres-0", "postgres-headless"));
    let text = |addresses: Vec<IpAddr>| -> Vec<String> { addresses.iter().map(IpAddr::to_string).collect() };
    let web = text(named.node.service_addresses("web"));
    let postgres = text(named.node.addresses("postgres-0"));
    digger.wait("web.default.svc.cluster.local", "A", 1);
    digger.wait(HEADLESS, "A", 1);
    let member = format!("postgres-0.{HEADLESS}");
    let target = format!("{member}.");
    let mut expected: Vec<Expected<'_>> = Vec::new();
    for (kind, family) in [("A", 0), ("AAAA", 1)] {
        let (web, postgres) = (web[family].as_str(), postgres[family].as_str());
        for (name, address) in [
            ("web.default.svc.cluster.local", web),
            ("web.default.svc.cluster.local.", web),
            (&member, postgres),
            (HEADLESS, postgres),
        ] {
            expected.push((format!("{name} {kind}"), "NOERROR", OWN, vec![(kind, address)]));
        }
        for (address, name) in [(web, "web.default.svc.cluster.local."), (postgres, &target)] {
            expected.push((format!("-x {address}"), "NOERROR", OWN, vec![("PTR", name)]));
        }
    }
    digger.finds(&expected);
    digger.everywhere(&[&format!("_sql._tcp.{HEADLESS} SRV")], |_, dug| {
        assert_eq!((dug.status.as_str(), dug.flags.as_str()), ("NOERROR", OWN));
        let [("SRV", said)] = dug.answers()[..] else {
            panic!("{dug:?}");
        };
        let words: Vec<&str> = said.split(' ').collect();
        assert_eq!((words[0], words[2], words[3]), ("0", "5432", target.as_str()));
        let mut beside: Vec<_> = dug.section("ADDITIONAL").iter().collect();
        beside.sort_by_key(|record| record.kind.clone());
        assert!(beside.iter().all(|record| record.owner == target), "{dug:?}");
        let addresses: Vec<&str> = beside.iter().map(|record| record.data.as_str()).collect();
        assert_eq!(addresses, postgres);
    });
    digger.named.end();
}

#[test]
fn what_is_not_there_is_told_from_what_has_no_such_record() {
    let digger = Digger::new();
    let mut four = service("four", "web");
    four["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    four["spec"]["ipFamilies"] = json!(["IPv4"]);
    digger.named.lay(&four);
    // None of its pods is there.
    digger.named.lay(&headless("postgres-headless", "postgres"));
    digger.wait("four.default.svc.cluster.local", "A", 1);
    let expected = [
        ("four.default.svc.cluster.local AAAA", "NOERROR"),
        ("four.default.svc.cluster.local TXT", "NOERROR"),
        ("_tcp.four.default.svc.cluster.local A", "NOERROR"),
        ("default.svc.cluster.local A", "NOERROR"),
        ("absent.default.svc.cluster.local A", "NXDOMAIN"),
        ("absent.default.svc.cluster.local AAAA", "NXDOMAIN"),
        ("_no._tcp.four.default.svc.cluster.local SRV", "NXDOMAIN"),
        ("www.example.net.default.svc.cluster.local A", "NXDOMAIN"),
        (&format!("{HEADLESS} A"), "NXDOMAIN"),
        (&format!("postgres-0.{HEADLESS} AAAA"), "NXDOMAIN"),
    ];
    digger.everywhere(&expected.map(|(question, _)| question), |question, dug| {
        let (_, status) = expected.iter().find(|(asked, _)| *asked == question).unwrap();
        assert!(dug.status == *status && dug.denies(), "{question}: {dug:?}");
    });
    digger.named.end();
}

#[test]
fn other_names_are_asked_elsewhere_and_an_alias_leads_there() {
    let digger = Digger::new();
    let _world = World::start(&digger.named.site.outside, FAR[0]);
    for (name, target) in [
        ("db", "db.example.net"),
        ("gone", "absent.example.net"),
        ("four", "four.example.net"),
    ] {
        digger.named.lay(&external(name, target));
        digger.wait(&format!("{name}.default.svc.cluster.local"), "CNAME", 1);
    }
    let [v4, v6] = ANYWHERE.map(|address| address.to_string());
    let db = ("CNAME", "db.example.net.");
    let expected = [
        (
            "www.example.net A",
            "NOERROR",
            PASSED_ON,
            vec![("A", v4.as_str())],
        ),
        ("www.example.net AAAA", "NOERROR", PASSED_ON, vec![("AAAA", &v6)]),
        ("four.example.net AAAA", "NOERROR", PASSED_ON, vec![]),
        ("absent.example.net A", "NXDOMAIN", PASSED_ON, vec![]),
        ("db.default.svc.cluster.local CNAME", "NOERROR", OWN, vec![db]),
        (
            "db.default.svc.cluster.local A",
            "NOERROR",
            OWN,
            vec![("A", &v4), db],
        ),
        (
            "db.default.svc.cluster.local AAAA",
            "NOERROR",
            OWN,
            vec![("AAAA", &v6), db],
        ),
        (
            "gone.default.svc.cluster.local A",
            "NXDOMAIN",
            OWN,
            vec![("CNAME", "absent.example.net.")],
        ),
        (
            "four.default.svc.cluster.local AAAA",
            "NOERROR",
            OWN,
            vec![("CNAME", "four.example.net.")],
        ),
    ];
    digger.finds(
        &expected.map(|(question, status, flags, answers)| (question.to_owned(), status, flags, answers)),
    );
    digger.named.end();
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes_and_whole_by_tcp() {
    let digger = Digger::new();
    let mut many = headless("postgres-headless", "postgres");
    let ports: Vec<_> = (0..30)
        .map(|port| json!({"name": format!("p{port}"), "port": 1000 + port}))
        .collect();
    many["spec"]["ports"] = json!(ports);
    digger.named.lay(&many);
    digger.named.lay(&member("postgres-0", "postgres-headless"));
    digger.named.node.wait_running("postgres-0");
    digger.wait(HEADLESS, "SRV", ports.len());
    let limits = [
        ("+noedns +ignore", 512),
        ("+bufsize=512 +ignore", 512),
        ("+bufsize=100 +ignore", 512),
        ("+bufsize=700 +ignore", 700),
        ("+bufsize=1232 +ignore", LARGEST_BYTES),
        ("+bufsize=4096 +ignore", LARGEST_BYTES),
    ];
    for from in [From::Host, From::Pod] {
        for server in digger.servers {
            let asked = |options: &[&str]| {
                let questions = options.iter().map(|options| format!("{HEADLESS} SRV {options}"));
                let questions: Vec<String> = questions.collect();
                let found = Dug::read(&digger.prints(from, &format!("@{server} {}", questions.join(" "))));
                assert_eq!(found.len(), options.len(), "{found:?}");
                found
            };
            for ((options, limit), dug) in limits.iter().zip(asked(&limits.map(|(options, _)| options))) {
                let found = (dug.status.as_str(), dug.flags.as_str());
                assert_eq!(found, ("NOERROR", "qr aa tc rd ra"), "{options}: {dug:?}");
                assert!(
                    dug.bytes <= *limit && !dug.answers().is_empty(),
                    "{options}: {dug:?}"
                );
                assert_eq!(dug.edns.is_none(), options.contains("+noedns"), "{dug:?}");
            }
            for dug in asked(&["+noedns", "+bufsize=512", "+bufsize=4096"]) {
                let found = (dug.transport.as_str(), dug.retried, dug.answers().len());
                assert_eq!(found, ("TCP", true, ports.len()), "{dug:?}");
                assert_eq!((dug.status.as_str(), dug.flags.as_str()), ("NOERROR", OWN));
                assert!(dug.bytes > LARGEST_BYTES, "{dug:?}");
            }
        }
    }
    digger.named.end();
}

#[test]
fn options_of_a_question_are_honoured_or_passed_over_and_a_wrong_one_is_told_so() {
    let digger = Digger::new();
    let web = "web.default.svc.cluster.local";
    digger.named.lay(&service("web", "web"));
    let address = digger.named.node.service_addresses("web")[0].to_string();
    digger.wait(web, "A", 1);
    for from in [From::Host, From::Pod] {
        for server in digger.servers {
            let asked = |question: &str| digger.dig(from, &format!("@{server} {question}"));
            for (options, flags) in [
                ("+nsid +cookie +subnet=192.0.2.0/24 +keepalive +padding=128", OWN),
                ("+norecurse", "qr aa ra"),
                ("+cdflag", "qr aa rd ra cd"),
                ("+dnssec", OWN),
            ] {
                let dug = asked(&format!("{web} A {options}"));
                assert_eq!(
                    (dug.status.as_str(), dug.flags.as_str()),
                    ("NOERROR", flags),
                    "{options}"
                );
                assert_eq!(dug.answers(), [("A", address.as_str())]);
                let signed = dug.edns.as_deref() == Some("version: 0, flags: do; udp: 1232");
                assert_eq!(signed, options == "+dnssec", "{dug:?}");
            }
            let spelled = asked("WeB.Default.svc.CLUSTER.local A");
            assert_eq!(
                spelled.section("ANSWER")[0].owner,
                "WeB.Default.svc.CLUSTER.local."
            );
            for (question, status) in [
                (format!("{web} A +edns=1 +noednsnegotiation"), "BADVERS"),
                (format!("{web} A +opcode=status"), "NOTIMP"),
                ("version.bind CH TXT".to_owned(), "REFUSED"),
            ] {
                assert_eq!(asked(&question).status, status, "{question}");
            }
            let transfer = digger.prints(from, &format!("@{server} cluster.local AXFR"));
            assert!(transfer.contains("; Transfer failed."), "{transfer}");
        }
    }
    digger.named.end();
}

#[test]
fn in_a_pod_the_server_and_the_domains_to_search_are_those_of_its_resolv_conf() {
    let digger = Digger::new();
    digger.named.lay(&service("web", "web"));
    let address = digger.named.node.service_addresses("web")[0].to_string();
    digger.wait("web.default.svc.cluster.local", "A", 1);
    for name in ["web", "web.default", "web.default.svc"] {
        let dug = digger.dig(From::Pod, &format!("+search {name} A"));
        assert_eq!(dug.answers(), [("A", address.as_str())], "{name}");
        assert_eq!(dug.section("ANSWER")[0].owner, "web.default.svc.cluster.local.");
        assert_eq!(dug.server.parse(), Ok(digger.servers[0]));
    }
    digger.named.end();
}
