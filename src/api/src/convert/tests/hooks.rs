use serde_json::json;

use super::{container, faults, faults_of_container, spec};
use crate::pod::{Hook, HttpGet, PortRef, Probe, ProbeAction, StopSignal, TcpSocket};

#[test]
fn probes_have_kubernetes_defaults() {
    let container = container(json!({
        "ports": [{"containerPort": 80, "name": "http"}],
        "readinessProbe": {"httpGet": {"port": "http"}},
        "livenessProbe": {"exec": {"command": ["check", "it"]}, "periodSeconds": 0, "timeoutSeconds": 7,
            "initialDelaySeconds": 5, "failureThreshold": 1, "terminationGracePeriodSeconds": 9},
        "startupProbe": {"grpc": {"port": 90, "service": "s"}},
    }));
    let defaults = Probe {
        action: ProbeAction::HttpGet(HttpGet {
            host: None,
            port: PortRef::Name("http".to_owned()),
            path: "/".to_owned(),
            https: false,
            headers: Vec::new(),
        }),
        initial_delay_seconds: 0,
        timeout_seconds: 1,
        period_seconds: 10,
        success_threshold: 1,
        failure_threshold: 3,
        termination_grace_period_seconds: None,
    };
    assert_eq!(container.probes.readiness, Some(defaults.clone()));
    let liveness = Probe {
        action: ProbeAction::Exec(vec!["check".to_owned(), "it".to_owned()]),
        initial_delay_seconds: 5,
        timeout_seconds: 7,
        failure_threshold: 1,
        termination_grace_period_seconds: Some(9),
        ..defaults
    };
    assert_eq!(container.probes.liveness, Some(liveness));
    let startup = Probe {
        action: ProbeAction::Grpc {
            port: 90,
            service: "s".to_owned(),
        },
        ..defaults
    };
    assert_eq!(container.probes.startup, Some(startup));
}

#[test]
fn requests_are_read_with_all_their_parts() {
    let get = json!({"host": "example.com", "port": 8443, "path": "/live?full=1", "scheme": "HTTPS",
        "httpHeaders": [{"name": "X-A", "value": "1"}, {"name": "X-A", "value": ""}]});
    let container = container(json!({"livenessProbe": {"httpGet": get}}));
    let expected = HttpGet {
        host: Some("example.com".to_owned()),
        port: PortRef::Number(8443),
        path: "/live?full=1".to_owned(),
        https: true,
        headers: vec![
            ("X-A".to_owned(), "1".to_owned()),
            ("X-A".to_owned(), String::new()),
        ],
    };
    let probe = container.probes.liveness.expect("a probe");
    assert_eq!(probe.action, ProbeAction::HttpGet(expected));
}

#[test]
fn wrong_probes_are_refused_in_kubernetes_words() {
    let wrong = json!({
        "livenessProbe": {"exec": {}, "successThreshold": 2},
        "startupProbe": {"tcpSocket": {"port": 70000}, "successThreshold": 2, "periodSeconds": -1},
        "readinessProbe": {"httpGet": {"port": "No_Name", "scheme": "FTP", "httpHeaders": [{"name": "a b", "value": ""}]},
            "grpc": {"port": 1}, "terminationGracePeriodSeconds": 0, "successThreshold": 2},
    });
    let found = faults_of_container(wrong);
    let expected = [
        r#"startupProbe.tcpSocket.port: Invalid value: 70000: must be between 1 and 65535, inclusive"#,
        "startupProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        "startupProbe.successThreshold: Invalid value: 2: must be 1",
        "readinessProbe.grpc: Forbidden: may not specify more than 1 handler type",
        r#"readinessProbe.httpGet.port: Invalid value: "No_Name": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"#,
        r#"readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS""#,
        r#"readinessProbe.httpGet.httpHeaders[0].name: Invalid value: "a b": a valid HTTP header must consist"#,
        "readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
        "readinessProbe.terminationGracePeriodSeconds: Invalid value: 0: must not be set for readinessProbes",
        "livenessProbe.exec.command: Required value",
        "livenessProbe.successThreshold: Invalid value: 2: must be 1",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    assert_eq!(
        faults_of_container(json!({"livenessProbe": {"periodSeconds": 1}})),
        ["livenessProbe: Required value: must specify a handler type"]
    );
}

#[test]
fn a_probe_of_a_port_that_the_container_does_not_name_is_warned_of() {
    assert_eq!(
        faults_of_container(json!({"livenessProbe": {"tcpSocket": {"port": "http"}}})),
        [
            "warning: livenessProbe.tcpSocket.port: the container has no port named \"http\": the probe will fail"
        ]
    );
}

#[test]
fn hooks_are_read_and_a_sleep_keeps_to_the_grace_period() {
    let container = container(json!({"lifecycle": {
        "postStart": {"tcpSocket": {"port": 80, "host": "192.0.2.1"}}, "preStop": {"sleep": {"seconds": 30}},
    }}));
    let socket = TcpSocket {
        host: Some("192.0.2.1".to_owned()),
        port: PortRef::Number(80),
    };
    assert_eq!(container.lifecycle.post_start, Some(Hook::TcpSocket(socket)));
    assert_eq!(container.lifecycle.pre_stop, Some(Hook::Sleep { seconds: 30 }));
    for seconds in [-1, 31] {
        assert_eq!(
            faults_of_container(json!({"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}})),
            [format!(
                "lifecycle.preStop.sleep: Invalid value: {seconds}: must be non-negative and less than \
                 terminationGracePeriodSeconds (30)"
            )]
        );
    }
    assert_eq!(
        faults_of_container(json!({"lifecycle": {"postStart": {}}})),
        ["lifecycle.postStart: Required value: must specify a handler type"]
    );
}

#[test]
fn a_stop_signal_needs_the_pods_operating_system() {
    let stopping = |signal: &str| json!({"lifecycle": {"stopSignal": signal}});
    let linux = json!({"name": "linux"});
    let spec = spec(json!({"os": linux, "containers": [stopping("SIGRTMIN+3")]}));
    let signal = spec.containers[0].lifecycle.stop_signal;
    assert_eq!(signal, Some(StopSignal { number: 37 }));
    assert_eq!(
        faults_of_container(stopping("SIGUSR1")),
        ["lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`"]
    );
    let found = faults(json!({"os": linux, "containers": [stopping("TERM")]}));
    let expected = "spec.containers[0].lifecycle.stopSignal: Unsupported value: \"TERM\": supported values: \"SIGABRT\",";
    assert!(found[0].starts_with(expected), "{found:?}");
}
