//! Sockets, restarts, and how long an answer takes.

use std::time::Instant;

use tokio::net::TcpListener;

use super::*;

const WEB: &str = "web.default.svc.cluster.local";

#[tokio::test]
async fn a_connection_takes_one_question_after_the_other() {
    let node = Node::knowing(&[]);
    let mut stream = TcpStream::connect(node.tcp).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            say(&mut stream, &asked(WEB, Rtype::A).bytes()).await.answer.len(),
            1
        );
    }
    let many = say(
        &mut stream,
        &asked("many.default.svc.cluster.local", Rtype::A).bytes(),
    )
    .await;
    assert_eq!(many.answer.len(), 250);
    // Longer than any question is: the connection is closed.
    stream.write_u16(5000).await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(
        timeout(LIMIT, stream.read_to_end(&mut rest))
            .await
            .unwrap()
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn connections_of_one_client_are_bounded() {
    let node = Node::knowing(&[]);
    let mut held = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(node.tcp).await.unwrap();
        say(&mut stream, &asked(WEB, Rtype::A).bytes()).await;
        held.push(stream);
    }
    let mut further = TcpStream::connect(node.tcp).await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(LIMIT, further.read_to_end(&mut rest)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "one more is closed at once");
    held.clear();
    let started = Instant::now();
    loop {
        let mut stream = TcpStream::connect(node.tcp).await.unwrap();
        stream.write_u16(5000).await.unwrap();
        stream.write_all(&[0; 12]).await.ok();
        let mut stream = TcpStream::connect(node.tcp).await.unwrap();
        let question = asked(WEB, Rtype::A).bytes();
        stream.write_u16(question.len() as u16).await.ok();
        stream.write_all(&question).await.ok();
        if timeout(LIMIT, stream.read_u16()).await.unwrap().is_ok() {
            break;
        }
        assert!(started.elapsed() < LIMIT, "places come back");
    }
}

#[tokio::test]
async fn a_question_before_the_first_table_is_answered_late() {
    let node = Node::with(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(&asked(WEB, Rtype::A).bytes(), node.udp)
        .await
        .unwrap();
    let early = timeout(Duration::from_millis(200), socket.readable()).await;
    assert!(early.is_err(), "nothing is known yet");
    node.dns.publish(sample());
    assert_eq!(receive(&socket).await.answer.len(), 1);
}

#[tokio::test]
async fn without_a_table_it_is_a_failure_in_time() {
    let node = Node::with(&[]);
    let started = Instant::now();
    let got = node.ask("5.0.244.10.in-addr.arpa", Rtype::PTR).await;
    assert_eq!(got.code(), Rcode::SERVFAIL);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn sockets_outlive_the_server_and_what_was_asked_meanwhile_is_answered() {
    let mut node = Node::knowing(&[]);
    drop(node.serving.take());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(&asked(WEB, Rtype::A).bytes(), node.udp)
        .await
        .unwrap();
    let mut connected = timeout(LIMIT, TcpStream::connect(node.tcp))
        .await
        .unwrap()
        .unwrap();
    let mut kept = std::mem::take(&mut node.spare);
    // What is no socket of these addresses is closed.
    kept.push(std::fs::File::open("/dev/null").unwrap().into());
    kept.push(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into());
    let mut addresses = vec![node.udp];
    addresses.extend((node.tcp != node.udp).then_some(node.tcp));
    let (sockets, _) = DnsSockets::open(&addresses, kept);
    assert!(sockets.udp_addresses().contains(&node.udp) && sockets.tcp_addresses().contains(&node.tcp));
    let successor = Dns::new(DnsConfig::new(vec![], "cluster.local", None));
    successor.publish(sample());
    let _serving = successor.serve(sockets).unwrap();
    assert_eq!(receive(&socket).await.answer.len(), 1);
    assert_eq!(
        say(&mut connected, &asked(WEB, Rtype::A).bytes())
            .await
            .answer
            .len(),
        1
    );
}

#[tokio::test]
async fn a_server_that_ends_frees_its_addresses_though_questions_wait() {
    let mut node = Node::with(&[]);
    node.spare.clear();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(&asked(WEB, Rtype::A).bytes(), node.udp)
        .await
        .unwrap();
    let mut stream = TcpStream::connect(node.tcp).await.unwrap();
    let question = asked(WEB, Rtype::A).bytes();
    stream.write_u16(question.len() as u16).await.unwrap();
    stream.write_all(&question).await.unwrap();
    let early = timeout(Duration::from_millis(100), socket.readable()).await;
    assert!(early.is_err(), "both wait for the first table");
    drop(node.serving.take());
    let started = Instant::now();
    while std::net::UdpSocket::bind(node.udp).is_err() || TcpListener::bind(node.tcp).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(2), "an address is held");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_address_need_not_be_there_yet_and_one_that_is_taken_is_named() {
    // 192.0.2.1 is for examples; the port is whatever is free.
    let (sockets, errors) = DnsSockets::open(
        &["192.0.2.1:0".parse().unwrap(), "[2001:db8::1]:0".parse().unwrap()],
        vec![],
    );
    assert!(errors.is_empty() && !sockets.is_empty(), "{errors:?}");
    let taken = sockets.udp_addresses()[0];
    let (others, errors) = DnsSockets::open(&[taken], vec![]);
    assert!(others.udp.is_empty());
    assert_eq!(
        errors[0].to_string(),
        format!("cannot listen for DNS on {taken} (UDP)")
    );
}

#[tokio::test]
async fn a_known_name_takes_well_under_a_millisecond() {
    let node = Node::knowing(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(node.udp).await.unwrap();
    let question = asked(WEB, Rtype::A).bytes();
    let mut buffer = [0; 512];
    let mut times = Vec::new();
    for _ in 0..1000 {
        let started = Instant::now();
        socket.send(&question).await.unwrap();
        timeout(LIMIT, socket.recv(&mut buffer)).await.unwrap().unwrap();
        times.push(started.elapsed());
    }
    times.sort();
    println!("median {:?}, 99th {:?}", times[500], times[990]);
    assert!(times[500] < Duration::from_millis(2), "median {:?}", times[500]);
}

#[tokio::test]
async fn a_server_that_finishes_answers_what_it_took_and_nothing_else() {
    let mut node = Node::with(&[]);
    let question = asked(WEB, Rtype::A).bytes();
    let by_udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    by_udp.send_to(&question, node.udp).await.unwrap();
    let mut by_tcp = TcpStream::connect(node.tcp).await.unwrap();
    let mut silent = TcpStream::connect(node.tcp).await.unwrap();
    by_tcp.write_u16(question.len() as u16).await.unwrap();
    by_tcp.write_all(&question).await.unwrap();
    let early = timeout(Duration::from_millis(200), by_udp.readable()).await;
    assert!(early.is_err(), "both wait for the first table");

    let finished = tokio::spawn(node.serving.take().unwrap().finish(LIMIT));
    tokio::task::yield_now().await;
    let late = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    late.send_to(&question, node.udp).await.unwrap();
    node.dns.publish(sample());
    assert_eq!(receive(&by_udp).await.answer.len(), 1);
    let length = timeout(LIMIT, by_tcp.read_u16()).await.unwrap().unwrap();
    assert!(length > 12);
    // It was let in before.
    assert_eq!(say(&mut silent, &question).await.answer.len(), 1);
    drop((by_tcp, silent));
    timeout(LIMIT, finished).await.unwrap().unwrap();
    assert!(late.try_recv(&mut [0; 512]).is_err(), "it is for who comes next");
}

#[tokio::test]
async fn a_server_finishes_in_time_whatever_waits() {
    let mut node = Node::with(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(&asked(WEB, Rtype::A).bytes(), node.udp)
        .await
        .unwrap();
    let early = timeout(Duration::from_millis(200), socket.readable()).await;
    assert!(early.is_err(), "it waits for the first table");
    let finished = node.serving.take().unwrap().finish(Duration::from_millis(50));
    // The table would be waited for much longer.
    timeout(Duration::from_secs(2), finished).await.unwrap();
}
