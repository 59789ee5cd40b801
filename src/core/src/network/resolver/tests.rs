//! The four policies, what `dnsConfig` adds, and the limits.

use serde_json::{Value, json};

use super::*;
use crate::network::testing::pod;

fn dns() -> ClusterDns {
    ClusterDns {
        servers: vec!["10.96.0.10".parse().unwrap(), "fd00:96::a".parse().unwrap()],
        domain: "cluster.local".to_owned(),
    }
}

fn host() -> ResolvConf {
    ResolvConf::read("nameserver 192.0.2.53\nsearch corp.example cluster.local\noptions ndots:1 rotate\n")
}

fn resolver(spec: Value) -> PodResolver {
    pod_resolver(&pod("shop/web", "a", &[], spec).pod, &dns(), Some(&host()))
}

const OF_CLUSTER: &str = "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\n\
    nameserver 10.96.0.10\nnameserver fd00:96::a\noptions ndots:5\n";
const OF_HOST: &str = "search corp.example cluster.local\nnameserver 192.0.2.53\noptions ndots:1 rotate\n";

#[test]
fn each_policy_has_its_servers() {
    for (spec, expected) in [
        (json!({}), OF_CLUSTER),
        (json!({"dnsPolicy": "ClusterFirst"}), OF_CLUSTER),
        (json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), OF_HOST),
        (
            json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}),
            OF_CLUSTER,
        ),
        (json!({"dnsPolicy": "ClusterFirstWithHostNet"}), OF_CLUSTER),
        (json!({"dnsPolicy": "Default"}), OF_HOST),
        (
            json!({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}}),
            "nameserver 192.0.2.1\n",
        ),
    ] {
        let resolver = resolver(spec.clone());
        assert_eq!(resolver.conf.text(), expected, "{spec}");
        assert_eq!(resolver.warnings, [], "{spec}");
    }
}

#[test]
fn what_the_pod_asks_for_is_added_and_takes_options_over() {
    let config = json!({
        "nameservers": ["192.0.2.1", "10.96.0.10"],
        "searches": ["ns1.svc.cluster.local", "cluster.local"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    });
    assert_eq!(
        resolver(json!({"dnsConfig": config})).conf.text(),
        "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example ns1.svc.cluster.local\n\
         nameserver 10.96.0.10\nnameserver fd00:96::a\nnameserver 192.0.2.1\noptions ndots:2 edns0\n"
    );
}

#[test]
fn without_a_dns_server_the_hosts_is_asked_and_that_is_said() {
    let none = ClusterDns {
        servers: Vec::new(),
        ..dns()
    };
    let resolver = pod_resolver(&pod("shop/web", "a", &[], json!({})).pod, &none, Some(&host()));
    assert_eq!(resolver.conf.text(), OF_HOST);
    let [warning] = resolver.warnings.as_slice() else {
        panic!("{:?}", resolver.warnings);
    };
    assert_eq!(warning.reason(), "MissingClusterDNS");
    assert!(
        warning
            .to_string()
            .ends_with("Falling back to \"Default\" policy.")
    );
}

#[test]
fn without_a_host_file_a_pod_asks_itself() {
    let of = |spec: Value| {
        pod_resolver(&pod("shop/web", "a", &[], spec).pod, &dns(), None)
            .conf
            .text()
    };
    assert_eq!(
        of(json!({"dnsPolicy": "Default"})),
        "search .\nnameserver 127.0.0.1\n"
    );
    assert_eq!(
        of(json!({})),
        "search shop.svc.cluster.local svc.cluster.local cluster.local\n\
         nameserver 10.96.0.10\nnameserver fd00:96::a\noptions ndots:5\n"
    );
}

#[test]
fn the_hosts_settings_are_read_as_the_kubelet_reads_them() {
    let text = "# nameserver 1\n; comment\n nameserver 192.0.2.1 \nnameserver\nnameserver fe80::1%eth0\n\
                search old.example\nsearch new.example. b .\noptions rotate\noptions ndots:2 edns0\ndomain x\n";
    let words = |all: &[&str]| all.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let expected = ResolvConf {
        nameservers: words(&["192.0.2.1", "fe80::1%eth0"]),
        searches: words(&["new.example", "b", "."]),
        options: words(&["ndots:2", "edns0"]),
    };
    assert_eq!(ResolvConf::read(text), expected);
    assert_eq!(ResolvConf::read(&expected.text()), expected);
}

#[test]
fn what_no_resolver_takes_is_left_out_and_said() {
    let of_host = |nameservers: Vec<String>, searches: Vec<String>| {
        let host = ResolvConf {
            nameservers,
            searches,
            options: Vec::new(),
        };
        let pod = pod("shop/web", "a", &[], json!({"dnsPolicy": "Default"})).pod;
        pod_resolver(&pod, &dns(), Some(&host))
    };
    let searches = |count: usize, length: usize| -> Vec<String> {
        (0..count).map(|number| format!("{number:0>length$}")).collect()
    };
    let many = of_host(Vec::new(), searches(40, 3));
    assert_eq!(many.conf.searches.len(), 32);
    assert_eq!(many.warnings[0].reason(), "DNSConfigForming");
    assert!(many.warnings[0].to_string().ends_with(
        "is: 000 001 002 003 004 005 006 007 008 009 010 011 012 013 \
        014 015 016 017 018 019 020 021 022 023 024 025 026 027 028 029 030 031"
    ));
    let long = of_host(Vec::new(), searches(40, 200));
    assert_eq!(
        long.conf.searches.len(),
        10,
        "2009 characters; one more would be 2210"
    );
    let longest = of_host(Vec::new(), [searches(1, 254), searches(1, 253)].concat());
    assert_eq!((longest.conf.searches.len(), longest.warnings.len()), (1, 1));
    let fitting = of_host(Vec::new(), searches(32, 63));
    assert_eq!((fitting.conf.searches.len(), fitting.warnings.len()), (32, 0));
    let servers = (1..=4).map(|last| format!("192.0.2.{last}")).collect();
    let servers = of_host(servers, Vec::new());
    assert_eq!(servers.conf.nameservers.len(), 3);
    assert!(
        servers.warnings[0]
            .to_string()
            .starts_with("Nameserver limits were exceeded")
    );
}
