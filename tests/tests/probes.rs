//! Probes on real containers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::network::Site;
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn probed(script: &str, probes: Value) -> Value {
    json!({"terminationGracePeriodSeconds": 1, "containers": [with(shell("main", script), probes)]})
}

fn every_second(action: Value) -> Value {
    with(action, json!({"periodSeconds": 1, "failureThreshold": 1}))
}

fn exec(script: &str) -> Value {
    every_second(json!({"exec": {"command": ["sh", "-c", script]}}))
}

#[track_caller]
fn wait_ready(node: &Node, name: &str, ready: bool) {
    node.wait_pod(name, "its readiness", |pod| {
        (pod["status"]["containerStatuses"][0]["ready"] == ready).then_some(())
    });
}

#[test]
fn readiness_follows_its_probe() {
    let mut node = Node::started();
    let probe = json!({"readinessProbe": exec("cat /tmp/ready")});
    node.lay("web.json", &pod("web", probed(GO_ON, probe)));
    wait_for("the event", || {
        let unready = "Readiness probe failed: cat: can't open '/tmp/ready': No such file or directory";
        node.events().contains(unready).then_some(())
    });
    wait_ready(&node, "web", false);
    node.shell("web", "touch /tmp/ready");
    wait_ready(&node, "web", true);
    // The verdict outlives the agent.
    node.end_agent(nix::sys::signal::Signal::SIGKILL);
    node.start();
    let status = node.pod("web").unwrap();
    assert_eq!(
        status["status"]["containerStatuses"][0]["ready"], true,
        "{status:#}"
    );
    node.shell("web", "rm /tmp/ready");
    wait_ready(&node, "web", false);
    node.drain_and_find_nothing();
}

#[test]
fn a_container_that_does_not_live_is_started_again() {
    let mut node = Node::started();
    let probe = json!({
        "startupProbe": exec("test -e /tmp/started"),
        "livenessProbe": exec("test ! -e /tmp/dead"),
    });
    let probe = with(
        probe,
        json!({"startupProbe": {"exec": {"command": ["test", "-e", "/tmp/started"]},
        "periodSeconds": 1, "failureThreshold": 100}}),
    );
    node.lay(
        "web.json",
        &pod("web", probed(&format!("touch /tmp/dead; {GO_ON}"), probe)),
    );
    node.wait_pod("web", "its beginning", |pod| {
        pod["status"]["containerStatuses"][0]["state"]["running"]
            .is_object()
            .then_some(())
    });
    let started = |node: &Node| node.pod("web").unwrap()["status"]["containerStatuses"][0]["started"].clone();
    assert_eq!(started(&node), false, "liveness is not asked before the start");
    node.shell("web", "touch /tmp/started");
    let again = node.wait_pod("web", "its restart", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        (status["restartCount"].as_u64() >= Some(1)).then(|| pod.clone())
    });
    drop(again);
    let events = node.events();
    assert!(
        events.contains("Container main failed liveness probe, will be restarted"),
        "{events}"
    );
    node.drain_and_find_nothing();
}

#[test]
fn a_probe_that_hangs_or_floods_fails_and_harms_nothing_else() {
    let mut node = Node::started();
    node.lay(
        "hang.json",
        &pod(
            "hang",
            probed(GO_ON, json!({"readinessProbe": exec("sleep 1000")})),
        ),
    );
    node.lay(
        "flood.json",
        &pod("flood", probed(GO_ON, json!({"readinessProbe": exec("yes")}))),
    );
    node.lay(
        "good.json",
        &pod("good", probed(GO_ON, json!({"readinessProbe": exec("true")}))),
    );
    wait_ready(&node, "good", true);
    wait_for("both events", || {
        let events = node.events();
        let hang = events.contains("command \"sh -c sleep 1000\" timed out");
        (hang && events.contains("command \"sh -c yes\" timed out")).then_some(())
    });
    wait_for("an end of what timed out", || {
        let left = node.shell("hang", "ps | grep -c '[s]leep 1000' || true");
        (left.trim().parse::<u32>().unwrap_or(0) <= 1).then_some(())
    });
    node.drain_and_find_nothing();
}

#[test]
fn probes_over_the_network_reach_the_pod_from_its_node() {
    let mut site = Site::new();
    let host = site.host();
    let mut node = Node::started_on(&host);
    let serve = "mkdir -p /www/cgi-bin; echo ok > /www/ok; \
                 printf '#!/bin/sh\\n[ \"$HTTP_X_KEY\" = right ] || exit 1\\necho; echo yes\\n' > /www/cgi-bin/key; \
                 chmod +x /www/cgi-bin/key; exec httpd -f -p 8080 -h /www";
    let http = |path: &str| {
        every_second(json!({"httpGet": {"path": path, "port": "http", "scheme": "HTTP",
            "httpHeaders": [{"name": "X-Key", "value": "right"}]}}))
    };
    let web = |probe: Value| {
        let fields = json!({"ports": [{"name": "http", "containerPort": 8080}], "readinessProbe": probe});
        probed(serve, fields)
    };
    node.lay("ok.json", &pod("ok", web(http("/ok"))));
    node.lay("missing.json", &pod("missing", web(http("/missing"))));
    node.lay(
        "tcp.json",
        &pod("tcp", web(every_second(json!({"tcpSocket": {"port": 8080}})))),
    );
    let elsewhere = every_second(json!({"tcpSocket": {"host": "127.0.0.1", "port": 9}}));
    node.lay("elsewhere.json", &pod("elsewhere", web(elsewhere)));
    wait_ready(&node, "ok", true);
    wait_ready(&node, "tcp", true);
    wait_for("the events", || {
        let events = node.events();
        let missing = events.contains("Readiness probe failed: HTTP probe failed with statuscode: 404");
        (missing && events.contains("dial tcp 127.0.0.1:9")).then_some(())
    });
    wait_ready(&node, "missing", false);
    wait_ready(&node, "elsewhere", false);
    node.drain_and_find_nothing();
}
