//! Names elsewhere, over real sockets.

use std::time::Instant;

use super::upstream::{FakeUpstream, addresses, nothing, own_address};
use super::*;
use crate::dns::reply::Transport;

#[tokio::test]
async fn a_name_elsewhere_is_asked_once_and_kept_while_it_may_be() {
    let upstream = FakeUpstream::saying(|question, _| vec![addresses(question, 300, 2)]).await;
    let node = Node::knowing(&[upstream.address]);
    let got = node.ask("www.Example.com", Rtype::A).await;
    assert_eq!(got.flags, BTreeSet::from(["rd", "ra"]));
    assert_eq!(
        (got.id, got.question.as_str(), got.edns),
        (4242, "www.Example.com", false)
    );
    assert_eq!(
        got.answer,
        ["www.Example.com A 192.0.0.0", "www.Example.com A 192.0.0.1"]
    );
    let mut again = asked("WWW.example.com", Rtype::A);
    (again.id, again.edns) = (1, Some(1232));
    let got = node.send(&again.bytes()).await;
    assert_eq!((got.id, got.edns), (1, true));
    assert_eq!(got.answer[0], "WWW.example.com A 192.0.0.0");
    assert!(got.ttls.iter().all(|ttl| (290..=300).contains(ttl)), "{got:?}");
    assert_eq!(node.ask_by_tcp("www.example.com", Rtype::A).await.answer.len(), 2);
    assert_eq!(*upstream.heard.lock().unwrap(), ["www.example.com"]);
    // Another type is another question.
    node.ask("www.example.com", Rtype::AAAA).await;
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn the_lack_of_a_name_is_kept_as_the_zone_says() {
    let upstream =
        FakeUpstream::saying(|question, _| vec![nothing(question, Rcode::NXDOMAIN, Some(60))]).await;
    let node = Node::knowing(&[upstream.address]);
    for _ in 0..3 {
        let got = node.ask("no.example.com", Rtype::A).await;
        assert_eq!((got.code(), got.authority.len()), (Rcode::NXDOMAIN, 1));
    }
    assert_eq!(upstream.count(), 1);
    let silent = FakeUpstream::saying(|question, _| vec![nothing(question, Rcode::NOERROR, None)]).await;
    let node = Node::knowing(&[silent.address]);
    for _ in 0..2 {
        assert_eq!(
            node.ask("empty.example.com", Rtype::A).await.code(),
            Rcode::NOERROR
        );
    }
    assert_eq!(silent.count(), 2, "without an SOA it is not kept");
}

#[tokio::test]
async fn a_cut_answer_is_fetched_whole_by_a_connection() {
    let upstream = FakeUpstream::saying(|question, transport| match transport {
        Transport::Udp => {
            let mut cut = nothing(question, Rcode::NOERROR, None);
            cut[2] |= 2;
            vec![cut]
        }
        Transport::Tcp => vec![addresses(question, 60, 400)],
    })
    .await;
    let node = Node::knowing(&[upstream.address]);
    assert_eq!(
        node.ask_by_tcp("large.example.com", Rtype::A).await.answer.len(),
        400
    );
    let got = node.ask("large.example.com", Rtype::A).await;
    assert!(
        got.flags.contains("tc") && got.bytes <= 512 && got.answer.len() > 20,
        "{got:?}"
    );
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn where_one_server_fails_the_next_is_asked() {
    let broken = FakeUpstream::saying(|question, _| vec![nothing(question, Rcode::SERVFAIL, None)]).await;
    let silent = FakeUpstream::saying(|_, _| vec![]).await;
    let good = FakeUpstream::saying(|question, _| vec![addresses(question, 60, 1)]).await;
    // Nobody listens there: the kernel says so.
    let node = Node::knowing(&[own_address(), broken.address, silent.address, good.address]);
    assert_eq!(node.ask("a.example.com", Rtype::A).await.answer.len(), 1);
    let started = Instant::now();
    assert_eq!(node.ask("b.example.com", Rtype::A).await.answer.len(), 1);
    assert!(
        started.elapsed() < Duration::from_millis(1500),
        "servers that failed are asked last"
    );
    assert_eq!((broken.count(), silent.count(), good.count()), (1, 1, 2));
}

#[tokio::test]
async fn without_any_server_that_answers_it_is_a_failure_in_time() {
    let silent = FakeUpstream::saying(|_, _| vec![]).await;
    for upstreams in [vec![], vec![own_address()], vec![silent.address; 1]] {
        let node = Node::knowing(&upstreams);
        let started = Instant::now();
        assert_eq!(
            node.ask("www.example.com", Rtype::A).await.code(),
            Rcode::SERVFAIL
        );
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    let refusing = FakeUpstream::saying(|question, _| vec![nothing(question, Rcode::REFUSED, None)]).await;
    let node = Node::knowing(&[refusing.address]);
    assert_eq!(
        node.ask("www.example.com", Rtype::A).await.code(),
        Rcode::SERVFAIL
    );
}

#[tokio::test]
async fn datagrams_that_do_not_answer_the_question_are_passed_over() {
    let upstream = FakeUpstream::saying(|question, _| {
        let mut other_id = addresses(question, 60, 9);
        other_id[0] ^= 0xff;
        let mut no_answer = addresses(question, 60, 9);
        no_answer[2] &= 0x7f;
        let other_name = asked("other.example.com", Rtype::A).bytes();
        let mut other_name = addresses(&other_name, 60, 9);
        other_name[..2].copy_from_slice(&question[..2]);
        let mut other_type = addresses(question, 60, 9);
        other_type[12 + 17 + 1] = 28;
        vec![
            vec![1, 2, 3],
            other_id,
            no_answer,
            other_name,
            other_type,
            addresses(question, 60, 1),
        ]
    })
    .await;
    let node = Node::knowing(&[upstream.address]);
    assert_eq!(node.ask("www.example.com", Rtype::A).await.answer.len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_know_edns_is_asked_without() {
    let upstream = FakeUpstream::saying(|question, _| {
        let knows = Message::from_octets(question).unwrap().opt().is_none();
        vec![if knows {
            addresses(question, 60, 1)
        } else {
            nothing(question, Rcode::FORMERR, None)
        }]
    })
    .await;
    let node = Node::knowing(&[upstream.address]);
    assert_eq!(node.ask("www.example.com", Rtype::A).await.answer.len(), 1);
    assert_eq!(upstream.count(), 2);
}

#[tokio::test]
async fn the_same_question_of_many_is_asked_once_at_a_time() {
    let upstream = FakeUpstream::saying(|_, _| vec![]).await;
    let node = Node::knowing(&[upstream.address]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for id in 0..100 {
        let question = Asked {
            id,
            ..asked("busy.example.com", Rtype::A)
        };
        socket.send_to(&question.bytes(), node.udp).await.unwrap();
    }
    // The one exchange ends unanswered, and the failure is everybody's.
    let mut ids = BTreeSet::new();
    for _ in 0..100 {
        let got = receive(&socket).await;
        assert_eq!(got.code(), Rcode::SERVFAIL);
        ids.insert(got.id);
    }
    assert_eq!((ids.len(), upstream.count()), (100, 1));
}

#[tokio::test]
async fn a_client_waits_for_so_many_answers_and_is_refused_more() {
    let silent = FakeUpstream::saying(|_, _| vec![]).await;
    let node = Node::knowing(&[silent.address]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut refused = 0;
    for id in 0..300_u16 {
        let question = Asked {
            id,
            ..asked(&format!("n{id}.example.com"), Rtype::A)
        };
        socket.send_to(&question.bytes(), node.udp).await.unwrap();
        if id >= 256 {
            let got = receive(&socket).await;
            assert_eq!((got.code(), got.id), (Rcode::REFUSED, id));
            refused += 1;
        }
    }
    assert_eq!(refused, 44);
    // The cluster's own names are answered all the same.
    assert_eq!(
        node.ask("web.default.svc.cluster.local", Rtype::A)
            .await
            .answer
            .len(),
        1
    );
}

#[tokio::test]
async fn an_external_name_comes_with_what_others_say_of_it() {
    let upstream = FakeUpstream::saying(|question, _| match super::upstream::name_of(question).as_str() {
        "www.example.com" => vec![addresses(question, 300, 2)],
        _ => vec![nothing(question, Rcode::NXDOMAIN, Some(60))],
    })
    .await;
    let node = Node::knowing(&[upstream.address]);
    let alias = "out.default.svc.cluster.local";
    let got = node.ask(alias, Rtype::A).await;
    assert_eq!(
        got.answer,
        [
            format!("{alias} CNAME www.example.com."),
            "www.example.com A 192.0.0.0".to_owned(),
            "www.example.com A 192.0.0.1".to_owned()
        ]
    );
    assert_eq!(got.ttls[0], 5);
    assert!(got.flags.contains("aa"), "the alias is of this server: {got:?}");
    let got = node.ask("gone.default.svc.cluster.local", Rtype::A).await;
    assert_eq!((got.code(), got.answer.len()), (Rcode::NXDOMAIN, 1));
    let got = node.ask(alias, Rtype::CNAME).await;
    assert_eq!(got.answer, [format!("{alias} CNAME www.example.com.")]);
    let alone = Node::knowing(&[]);
    assert_eq!(alone.ask(alias, Rtype::A).await.code(), Rcode::SERVFAIL);
}

#[tokio::test]
async fn other_servers_in_the_file_are_asked_and_older_answers_forgotten() {
    let first = FakeUpstream::saying(|question, _| vec![addresses(question, 300, 1)]).await;
    let second = FakeUpstream::saying(|question, _| vec![addresses(question, 300, 2)]).await;
    let node = Node::knowing(&[first.address]);
    assert_eq!(node.ask("www.example.com", Rtype::A).await.answer.len(), 1);
    node.upstreams(&[second.address]);
    let started = Instant::now();
    while node.ask("www.example.com", Rtype::A).await.answer.len() != 2 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "the file is not followed"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn reverse_names_of_others_are_asked_of_others() {
    let upstream =
        FakeUpstream::saying(|question, _| vec![nothing(question, Rcode::NXDOMAIN, Some(60))]).await;
    let node = Node::knowing(&[upstream.address]);
    node.ask("1.2.0.192.in-addr.arpa", Rtype::PTR).await;
    node.ask("9.9.244.10.in-addr.arpa", Rtype::PTR).await;
    assert_eq!(*upstream.heard.lock().unwrap(), ["1.2.0.192.in-addr.arpa"]);
}
