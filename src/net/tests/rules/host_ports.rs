//! Host ports.

use std::net::SocketAddr;

use serde_json::json;

use crate::bay::{Bay, NEAR, ask, ip, refused};

#[test]
fn a_host_port_leads_from_everywhere_to_its_pod_and_goes_with_it() {
    let bay = Bay::new();
    let ports = json!([
        {"containerPort": 8080, "hostPort": 8000},
        {"containerPort": 8080, "hostPort": 8000, "protocol": "UDP"},
    ]);
    let server = bay.pod_with("a", &ports);
    bay.leads_from_everywhere_to(&server, "a", 8000);
    refused(ask(&bay.host(), "127.0.0.1:8000".parse().unwrap()));
    bay.detach(&server);
    for near in NEAR {
        refused(ask(&bay.outside, SocketAddr::new(ip(near), 8000)));
    }
    assert!(!bay.rules().contains(server.pod.uid.as_str()));
}

#[test]
fn a_host_port_of_one_address_leads_from_that_address_only() {
    let bay = Bay::new();
    bay.world.on_host("ip address add 192.0.2.3/24 dev up0");
    let ports = json!([{"containerPort": 8080, "hostPort": 8000, "hostIP": "192.0.2.3"}]);
    let _server = bay.pod_with("a", &ports);
    assert_eq!(
        ask(&bay.outside, "192.0.2.3:8000".parse().unwrap()).unwrap().0,
        "a"
    );
    refused(ask(&bay.outside, "192.0.2.1:8000".parse().unwrap()));
}

#[test]
fn the_loopback_address_leads_to_host_ports_where_it_is_configured() {
    let bay = Bay::with(|config| config.rules.host_ports_on_loopback = true);
    let _server = bay.pod_with("a", &json!([{"containerPort": 8080, "hostPort": 8000}]));
    assert_eq!(
        ask(&bay.host(), "127.0.0.1:8000".parse().unwrap()).unwrap().0,
        "a"
    );
}

#[test]
fn the_second_pod_of_a_host_port_is_told_who_holds_it() {
    let bay = Bay::new();
    let ports = json!([{"containerPort": 8080, "hostPort": 8000}]);
    let holder = bay.pod_with("a", &ports);
    let second = bay.world.pod();
    let pod = pinnace_api::testing::pod(
        "b",
        json!({"containers": [{"name": "c", "image": "i", "ports": ports}]}),
    );
    let context = pinnace_core::ports::PodContext {
        pod: std::sync::Arc::new(pod),
        ..second.context()
    };
    let refused = bay.at_host(|| {
        use pinnace_core::ports::Network;
        crate::world::run(bay.net.attach(&context, &second.namespace)).unwrap_err()
    });
    let wanted = format!("host port TCP/8000 is held by pod {}", holder.pod.uid);
    assert!(refused.chain().contains(&wanted), "{}", refused.chain());
}
