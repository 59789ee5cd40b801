//! Defaults, strictness, checks and reloads.

use serde_json::json;

use super::*;

fn read(json: serde_json::Value) -> Result<NodeConfig, serde_json::Error> {
    serde_json::from_value(json)
}

#[test]
fn an_empty_configuration_is_the_default_and_right() {
    let config = read(json!({})).unwrap();
    assert_eq!(config, NodeConfig::default());
    assert_eq!(config.problems(), []);
    assert_eq!(config.max_pods, 110);
    assert_eq!(config.metrics_listen[0].to_string(), "0.0.0.0:9100");
    assert_eq!(config.log_limits().max_size_bytes, 10_485_760);
    assert_eq!(config.cgroup_policy(), CgroupPolicy::default());
    assert_eq!(config.policy(), Policy::default());
}

#[test]
fn the_longest_restart_period_bounds_the_first_one_too() {
    let config = read(json!({"crashLoopBackOff": {"maxContainerRestartPeriod": "4s"}})).unwrap();
    let restart = config.policy().restart;
    assert_eq!((restart.delay_millis(1), restart.delay_millis(9)), (4_000, 4_000));
}

#[test]
fn what_is_shown_is_read_again_as_the_same() {
    let config = read(json!({
        "apiVersion": "pinnace/v1", "kind": "NodeConfiguration", "nodeName": "edge",
        "nodeLabels": {"example.org/tier": "hot"},
        "registerWithTaints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}],
        "systemReserved": {"cpu": "250m", "memory": "1Gi"}, "kubeReserved": {"ephemeral-storage": 1000},
        "maxPods": 20, "podPidsLimit": 1024, "cpuCFSQuota": false, "cpuCFSQuotaPeriod": "10ms",
        "containerLogMaxSize": "1Mi", "containerLogMaxFiles": 2,
        "crashLoopBackOff": {"maxContainerRestartPeriod": "30s"},
        "staticPodPath": "/srv/manifests", "podLogsDir": "/var/log/edge", "staticPodURL": "https://fleet.example.org/pods",
        "staticPodURLHeader": {"Authorization": ["Bearer x"]},
        "fileCheckFrequency": "1m30s", "httpCheckFrequency": "5s",
        "metricsListen": ["127.0.0.1:9101", "[::1]:9101"], "ociRuntimes": ["/usr/bin/runc"],
        "shimPath": "/usr/libexec/pinnace-shim", "podsPerCore": 4,
        "podNetwork": "none", "podCIDR": "10.1.0.0/24,fd00:1::/64", "serviceCIDR": "10.2.0.0/16",
        "serviceNodePortRange": "31000-31999", "clusterDNS": ["10.2.0.53"], "clusterDomain": "edge.example",
        "resolvConf": "", "cniConfDir": "/srv/cni", "cniBinDir": ["/srv/bin"], "hostPortsOnLoopback": true,
        "podsMayReachAgent": true,
    }))
    .unwrap();
    assert_eq!(config.problems(), []);
    assert_eq!(config.cgroup_policy().pod_pids_limit, Some(1024));
    let shown = serde_json::to_value(&config).unwrap();
    assert_eq!(read(shown).unwrap(), config);
}

#[test]
fn what_is_not_known_or_of_another_type_is_refused() {
    for (json, expected) in [
        (json!({"maxPod": 3}), "unknown field `maxPod`"),
        (
            json!({"registerWithTaints": [{"key": "k"}]}),
            "missing field `effect`",
        ),
        (
            json!({"registerWithTaints": [{"key": "k", "effect": "NoRun"}]}),
            "unknown variant `NoRun`",
        ),
        (
            json!({"registerWithTaints": [{"key": "k", "effect": "NoExecute", "x": 1}]}),
            "unknown field `x`",
        ),
        (
            json!({"systemReserved": {"cpu": "lots"}}),
            "cpu: \"lots\": quantities must match",
        ),
        (json!({"kubeReserved": {"gpu": 1}}), "unknown resource \"gpu\""),
        (
            json!({"kubeReserved": {"memory": "-1Gi"}}),
            "greater than or equal to 0",
        ),
        (json!({"containerLogMaxSize": "many"}), "quantities must match"),
        (json!({"fileCheckFrequency": "20"}), "must be a duration"),
        (json!({"metricsListen": ["localhost"]}), "invalid socket address"),
        (json!({"nodeName": "Edge_7"}), "node name"),
        (json!({"maxPods": -1}), "invalid value"),
        (json!({"crashLoopBackOff": {"max": "1s"}}), "unknown field `max`"),
    ] {
        let error = read(json.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn each_wrong_value_is_found_under_its_path() {
    let config = read(json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "nodeLabels": {"bad key": "x", "good": "not ok!", "kubernetes.io/os": "windows"},
        "registerWithTaints": [
            {"key": "k", "effect": "NoExecute"}, {"key": "k", "value": "v", "effect": "NoExecute"},
            {"key": "/", "value": "-", "effect": "NoSchedule"},
        ],
        "maxPods": 100_000, "podPidsLimit": -2, "containerLogMaxFiles": 1, "containerLogMaxSize": 0,
        "cpuCFSQuotaPeriod": "2s", "crashLoopBackOff": {"maxContainerRestartPeriod": "10m"},
        "fileCheckFrequency": "0s", "staticPodPath": "manifests", "podLogsDir": "/var/../log", "staticPodURL": "ftp://x",
        "staticPodURLHeader": {"a b": [], "ok": ["\n"]}, "ociRuntimes": ["bin/runc"], "shimPath": "/a/../b",
        "podCIDR": "10.0.0.0/7,10.9.0.0/24", "serviceCIDR": "10.9.0.0/16", "clusterDNS": ["10.10.0.10", "0.0.0.0"],
        "clusterDomain": "Not a domain", "resolvConf": "resolv.conf", "cniConfDir": "net.d", "cniBinDir": ["bin"],
    }))
    .unwrap();
    let mut fields: Vec<String> = config
        .problems()
        .into_iter()
        .map(|problem| problem.field)
        .collect();
    fields.sort();
    let mut expected = [
        "apiVersion",
        "kind",
        "nodeLabels.bad key",
        "nodeLabels.good",
        "nodeLabels.kubernetes.io/os",
        "registerWithTaints[1].key",
        "registerWithTaints[2].key",
        "registerWithTaints[2].value",
        "maxPods",
        "podPidsLimit",
        "containerLogMaxFiles",
        "containerLogMaxSize",
        "cpuCFSQuotaPeriod",
        "crashLoopBackOff.maxContainerRestartPeriod",
        "fileCheckFrequency",
        "staticPodPath",
        "podLogsDir",
        "staticPodURL",
        "staticPodURLHeader.a b",
        "staticPodURLHeader.ok",
        "ociRuntimes[0]",
        "shimPath",
        "podCIDR",
        "podCIDR",
        "serviceCIDR",
        "serviceCIDR",
        "clusterDNS",
        "clusterDNS[0]",
        "clusterDNS[0]",
        "clusterDNS[1]",
        "clusterDNS[1]",
        "clusterDomain",
        "resolvConf",
        "cniConfDir",
        "cniBinDir[0]",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert!(!read(json!({"ociRuntimes": []})).unwrap().problems().is_empty());
}

#[test]
fn a_reload_says_what_takes_effect_and_what_waits() {
    let old = NodeConfig::default();
    assert!(NodeConfig::changes(&old, &old).is_empty());
    let new = read(json!({
        "nodeLabels": {"a": "b"}, "registerWithTaints": [{"key": "k", "effect": "NoExecute"}],
        "maxPods": 5, "metricsListen": [], "nodeName": "other",
        "podNetwork": "none", "podsMayReachAgent": true,
    }))
    .unwrap();
    let changes = NodeConfig::changes(&old, &new);
    assert_eq!(changes.live, ["nodeLabels", "registerWithTaints", "maxPods"]);
    assert_eq!(
        changes.needs_restart,
        ["nodeName", "metricsListen", "podNetwork", "podsMayReachAgent"]
    );
}

#[test]
fn what_does_not_go_together_with_a_roots_own_ranges_is_found_once_the_root_is_known() {
    let found = |json: serde_json::Value, tag: &str| {
        let config = read(json).unwrap();
        assert_eq!(config.problems(), []);
        let problems = config.network_plan(tag, true).problems();
        problems
            .into_iter()
            .map(|one| (one.field, one.message))
            .collect::<Vec<_>>()
    };
    for tag in ["", "12ab34cd"] {
        assert_eq!(found(json!({}), tag), []);
    }
    let overlapping = found(json!({"podCIDR": "10.96.7.0/24"}), "");
    assert_eq!(overlapping[0].0, "serviceCIDR");
    assert_eq!(
        overlapping[0].1,
        "10.96.0.0/16 overlaps with 10.96.7.0/24 of podCIDR"
    );
    assert_eq!(found(json!({"clusterDNS": ["10.96.0.53"]}), ""), []);
    let elsewhere = found(
        json!({"podCIDR": "10.1.0.0/24", "clusterDNS": ["10.97.0.53"]}),
        "",
    );
    let message = "10.97.0.53 must lie in serviceCIDR, 10.96.0.0/16 here".to_owned();
    assert_eq!(elsewhere, [("clusterDNS[0]".to_owned(), message)]);
}
