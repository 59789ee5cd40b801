//! What the published table says, through the whole server.

use super::*;
use crate::dns::reply::Transport;
use crate::dns::server::Now;

const WEB: &str = "web.default.svc.cluster.local";
const DB: &str = "db.default.svc.cluster.local";
const SOA: &str = "SOA ns.dns.cluster.local. hostmaster.cluster.local.";

fn knowing() -> Dns {
    let dns = Dns::new(DnsConfig::new(
        vec![ip("10.96.0.10"), ip("fd00:96::a")],
        "cluster.local",
        None,
    ));
    dns.publish(sample());
    dns
}

fn say(dns: &Dns, bytes: &[u8], transport: Transport) -> Got {
    match dns.server().now(bytes, transport) {
        Now::Reply(reply) => Got::read(&reply),
        other => panic!("{other:?}"),
    }
}

fn ask(name: &str, rtype: Rtype) -> Got {
    say(&knowing(), &asked(name, rtype).bytes(), Transport::Udp)
}

#[test]
fn a_service_has_its_addresses() {
    let got = ask("WEB.default.svc.Cluster.Local", Rtype::A);
    assert_eq!(got.code(), Rcode::NOERROR);
    assert_eq!(got.flags, BTreeSet::from(["aa", "rd", "ra"]));
    assert_eq!(
        (got.question.as_str(), got.id),
        ("WEB.default.svc.Cluster.Local", 4242)
    );
    assert_eq!(got.answer, ["WEB.default.svc.Cluster.Local A 10.96.0.7"]);
    assert_eq!(got.ttls, [5]);
    assert!(!got.edns);
    assert_eq!(ask(WEB, Rtype::AAAA).answer, [format!("{WEB} AAAA fd00:96::7")]);
}

#[test]
fn what_does_not_exist_and_what_has_no_such_record_differ() {
    for name in [
        "nothing.default.svc.cluster.local",
        "cluster.local.cluster.local",
        "web.other.svc.cluster.local",
        "1.0.96.10.in-addr.arpa",
        "10-244-0-6.team.pod.cluster.local",
        r"web\.default.svc.cluster.local",
    ] {
        let got = ask(name, Rtype::A);
        assert_eq!((got.code(), got.answer.len()), (Rcode::NXDOMAIN, 0), "{name}");
        assert!(
            got.authority[0].contains(SOA) && got.authority[0].ends_with(" 5"),
            "{got:?}"
        );
    }
    for (name, rtype) in [
        (WEB, Rtype::TXT),
        (WEB, Rtype::ANY),
        (DB, Rtype::AAAA),
        ("default.svc.cluster.local", Rtype::A),
        ("svc.cluster.local", Rtype::A),
        ("cluster.local", Rtype::A),
        ("dns.cluster.local", Rtype::A),
        (&format!("_tcp.{WEB}"), Rtype::SRV),
        ("0.96.10.in-addr.arpa", Rtype::PTR),
    ] {
        let got = ask(name, rtype);
        assert_eq!((got.code(), got.answer.len()), (Rcode::NOERROR, 0), "{name}");
        assert!(got.authority[0].contains(SOA), "{name} {got:?}");
    }
}

#[test]
fn a_zone_tells_of_itself() {
    assert!(ask("cluster.local", Rtype::SOA).answer[0].starts_with(&format!("cluster.local {SOA}")));
    let got = ask("cluster.local", Rtype::NS);
    assert_eq!(got.answer, ["cluster.local NS ns.dns.cluster.local."]);
    assert_eq!(
        got.additional,
        [
            "ns.dns.cluster.local A 10.96.0.10",
            "ns.dns.cluster.local AAAA fd00:96::a"
        ]
    );
    assert_eq!(
        ask("ns.dns.cluster.local", Rtype::A).answer,
        ["ns.dns.cluster.local A 10.96.0.10"]
    );
    let got = ask("dns-version.cluster.local", Rtype::TXT);
    assert_eq!(
        (got.answer[0].as_str(), got.ttls[0]),
        ("dns-version.cluster.local TXT \"1.1.0\"", 28_800)
    );
    assert!(ask("96.10.in-addr.arpa", Rtype::SOA).answer[0].starts_with("96.10.in-addr.arpa SOA"));
}

#[test]
fn ports_lead_to_names_with_their_addresses() {
    let got = ask(&format!("_http._tcp.{WEB}"), Rtype::SRV);
    assert_eq!(got.answer, [format!("_http._tcp.{WEB} SRV 0 100 80 {WEB}")]);
    let mut additional = got.additional;
    additional.sort();
    assert_eq!(
        additional,
        [format!("{WEB} A 10.96.0.7"), format!("{WEB} AAAA fd00:96::7")]
    );
    let got = ask(&format!("_sql._tcp.{DB}"), Rtype::SRV);
    assert_eq!(got.answer.len(), 3);
    assert!(
        got.sorted()[0].ends_with(&format!("SRV 0 33 5432 10-244-0-7.{DB}")),
        "{got:?}"
    );
    assert_eq!(ask(WEB, Rtype::SRV).answer, [format!("{WEB} SRV 0 100 80 {WEB}")]);
}

#[test]
fn endpoints_of_a_headless_service_have_names_and_pointers() {
    let first = format!("postgres-0.{DB}");
    assert_eq!(ask(&first, Rtype::A).answer, [format!("{first} A 10.244.0.5")]);
    assert_eq!(
        ask("5.0.244.10.in-addr.arpa", Rtype::PTR).answer,
        [format!("5.0.244.10.in-addr.arpa PTR {first}.")]
    );
    assert_eq!(
        ask(DB, Rtype::A).sorted(),
        ["5", "6", "7"].map(|low| format!("{DB} A 10.244.0.{low}"))
    );
    assert_eq!(ask("10-244-0-5.team.pod.cluster.local", Rtype::A).answer.len(), 1);
}

#[test]
fn an_alias_within_the_zone_comes_with_its_target() {
    let alias = "twice.default.svc.cluster.local";
    assert_eq!(
        ask(alias, Rtype::A).answer,
        [format!("{alias} CNAME {WEB}."), format!("{WEB} A 10.96.0.7")]
    );
    assert_eq!(ask(alias, Rtype::CNAME).answer, [format!("{alias} CNAME {WEB}.")]);
    let got = ask("nowhere.default.svc.cluster.local", Rtype::A);
    assert!(got.answer.iter().all(|line| line.contains("CNAME")), "{got:?}");
    assert!(got.answer.len() < 12, "an alias of itself ends");
}

#[test]
fn every_address_comes_first_at_times() {
    let dns = knowing();
    let question = asked(DB, Rtype::A).bytes();
    let first: BTreeMap<String, u32> = (0..600).fold(BTreeMap::new(), |mut count, _| {
        *count
            .entry(say(&dns, &question, Transport::Udp).answer.remove(0))
            .or_default() += 1;
        count
    });
    assert_eq!(first.len(), 3);
    assert!(first.values().all(|count| *count > 100), "{first:?}");
}

#[test]
fn what_does_not_fit_a_datagram_is_cut_and_says_so() {
    let dns = knowing();
    let mut question = asked("many.default.svc.cluster.local", Rtype::A);
    let small = say(&dns, &question.bytes(), Transport::Udp);
    assert!(
        small.flags.contains("tc") && small.bytes <= 512 && small.answer.len() > 20,
        "{small:?}"
    );
    question.edns = Some(4096);
    let larger = say(&dns, &question.bytes(), Transport::Udp);
    assert!(larger.flags.contains("tc") && larger.bytes <= 1232 && larger.edns);
    assert!(larger.answer.len() > small.answer.len());
    question.edns = Some(0);
    assert!(say(&dns, &question.bytes(), Transport::Udp).bytes <= 512);
    let whole = say(&dns, &question.bytes(), Transport::Tcp);
    assert!(!whole.flags.contains("tc"));
    assert_eq!(whole.answer.len(), 250);
    question.rtype = Rtype::SRV;
    assert_eq!(say(&dns, &question.bytes(), Transport::Tcp).answer.len(), 250);
}

#[test]
fn what_is_no_question_is_refused_in_the_protocols_words() {
    let dns = knowing();
    let good = asked(WEB, Rtype::A).bytes();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let silent = |bytes: &[u8]| matches!(dns.server().now(bytes, Transport::Udp), Now::Nothing);
    assert!(silent(&[]) && silent(&good[..11]));
    assert!(
        silent(&with(&|bytes| bytes[2] |= 0x80)),
        "an answer is no question"
    );
    let code = |bytes: &[u8]| say(&dns, bytes, Transport::Udp).rcode;
    assert_eq!(code(&with(&|bytes| bytes[2] = 0x20)), OptRcode::NOTIMP);
    assert_eq!(code(&with(&|bytes| bytes[5] = 0)), OptRcode::FORMERR);
    assert_eq!(code(&with(&|bytes| bytes[5] = 2)), OptRcode::FORMERR);
    assert_eq!(code(&with(&|bytes| bytes.truncate(20))), OptRcode::FORMERR);
    let chaos = with(&|bytes| *bytes.last_mut().unwrap() = 3);
    assert_eq!(code(&chaos), OptRcode::REFUSED);
    assert_eq!(
        code(&asked("cluster.local", Rtype::AXFR).bytes()),
        OptRcode::REFUSED
    );
    let mut edns = asked(WEB, Rtype::A);
    edns.edns = Some(1232);
    let mut bytes = edns.bytes();
    let version = bytes.len() - 5;
    bytes[version] = 1;
    assert_eq!(code(&bytes), OptRcode::BADVERS);
    let mut twice = edns.bytes();
    let opt = twice[twice.len() - 11..].to_vec();
    twice.extend(opt);
    twice[11] = 2;
    assert_eq!(code(&twice), OptRcode::FORMERR);
    for refused in [&chaos, &bytes, &twice] {
        assert_eq!(say(&dns, refused, Transport::Udp).question, WEB, "it is repeated");
    }
    assert!(!say(&dns, &chaos, Transport::Udp).edns);
    let mut status = edns.bytes();
    status[2] = 0x10;
    for refused in [&bytes, &twice, &status] {
        assert!(
            say(&dns, refused, Transport::Udp).edns,
            "EDNS is spoken with whoever does"
        );
    }
    let not_recursive = |bytes: &mut Vec<u8>| bytes[2] = 0;
    let mut outside = asked("www.example.com", Rtype::A).bytes();
    not_recursive(&mut outside);
    assert_eq!(code(&outside), OptRcode::REFUSED);
    let mut alias = asked("out.default.svc.cluster.local", Rtype::A).bytes();
    not_recursive(&mut alias);
    assert_eq!(say(&dns, &alias, Transport::Udp).answer.len(), 1);
}
