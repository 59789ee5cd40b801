//! What Prometheus gets, and that nobody who asks can hurt the pods.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pinnace_tests::Node;
use pinnace_tests::sample::{FOREVER, pod};

#[test]
fn one_scrape_has_the_nodes_the_containers_and_the_agents_families() {
    let mut node = Node::started();
    node.lay("a.json", &pod("a", FOREVER).to_string());
    node.wait_running("a");
    assert_eq!(node.get("/healthz").unwrap(), (200, "ok".to_owned()));
    let (code, body) = node.get("/metrics").unwrap();
    assert_eq!(code, 200);
    for family in [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_load1",
        "node_filesystem_size_bytes",
        "node_disk_reads_completed_total",
        "node_network_receive_bytes_total",
        "container_cpu_usage_seconds_total",
        "container_memory_working_set_bytes",
        "container_memory_usage_bytes",
        "container_oom_events_total",
        "process_resident_memory_bytes",
    ] {
        assert!(body.contains(&format!("# TYPE {family} ")), "{family} is missing");
        let sample = body.lines().any(|line| line.starts_with(family));
        assert!(sample, "{family} has no sample");
    }
    let of_pod = |line: &&str| {
        line.starts_with("container_memory_working_set_bytes{")
            && line.contains("container=\"main\"")
            && line.contains("pod=\"a\"")
            && line.contains("namespace=\"default\"")
            && line.contains("image=\"docker.io/library/busybox:test\"")
    };
    assert_eq!(body.lines().filter(of_pod).count(), 1);
    let own: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE pinnace_"))
        .collect();
    assert!(own.len() >= 6, "{own:?}");
    node.drain_and_find_nothing();
}

#[test]
fn fifty_scrapers_that_never_finish_hurt_neither_pods_nor_other_scrapers() {
    let mut node = Node::started();
    node.lay("warm.json", &pod("warm", FOREVER).to_string());
    node.wait_running("warm");
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(node.metrics).unwrap())
        .collect();
    // Half say a little, half ask and never read.
    for (index, stream) in slow.iter_mut().enumerate() {
        let text: &[u8] = if index % 2 == 0 {
            b"GET /metr"
        } else {
            b"GET /metrics HTTP/1.1\r\nhost: test\r\n\r\n"
        };
        stream.write_all(text).unwrap();
    }
    let begun = Instant::now();
    node.lay("a.json", &pod("a", FOREVER).to_string());
    node.wait_running("a");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for _ in 0..3 {
        let begun = Instant::now();
        let (code, body) = node.get("/metrics").expect("an answer beside slow scrapers");
        assert_eq!(code, 200, "{body}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(node.get("/healthz").unwrap().0, 200);
    }
    drop(slow);
    node.drain_and_find_nothing();
}
