//! ConfigMaps as variables and files, as containers see them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::time::Duration;

use nix::sys::signal::Signal;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn config_map(name: &str, data: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).to_string()
}

/// A pod of one container with these volumes under `/v`, and more fields of the container.
fn with_volumes(name: &str, volumes: &Value, more: Value) -> String {
    let mounts: Vec<Value> = volumes
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| json!({"name": volume["name"], "mountPath": format!("/v/{}", volume["name"].as_str().unwrap())}))
        .collect();
    let container = with(with(shell("one", GO_ON), json!({"volumeMounts": mounts})), more);
    let spec = json!({"terminationGracePeriodSeconds": 0, "volumes": volumes, "containers": [container]});
    pod(name, spec)
}

#[test]
fn keys_are_variables_and_files() {
    let mut node = Node::started();
    let mut map: Value = serde_json::from_str(&config_map(
        "settings",
        &json!({"level": "info", "conf": "a=1\nb=2\n"}),
    ))
    .unwrap();
    map["binaryData"] = json!({"raw": "AP8="});
    node.lay("settings.json", &map.to_string());
    let volumes = json!([
        {"name": "all", "configMap": {"name": "settings", "defaultMode": 0o440}},
        {"name": "some", "configMap": {"name": "settings", "items": [
            {"key": "conf", "path": "etc/app/conf", "mode": 0o600}, {"key": "level", "path": "level"}]}},
        {"name": "none", "configMap": {"name": "absent", "optional": true}},
    ]);
    let more = json!({
        "envFrom": [{"prefix": "S_", "configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "absent", "optional": true}}],
        "env": [
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
            {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "no", "optional": true}}},
            {"name": "TEXT", "value": "level $(LEVEL)"},
        ],
    });
    node.lay("web.json", &with_volumes("web", &volumes, more));
    node.wait_running("web");
    let script = "cd /v; echo $S_level/$LEVEL/${ABSENT-unset}/$TEXT; cat some/etc/app/conf; od -An -tx1 all/raw; \
        for f in all/level some/etc/app/conf some/level; do stat -L -c '%a %U' $f; done; ls none | wc -l; readlink all/level";
    let told = node.shell("web", script);
    let told: Vec<&str> = told.lines().map(str::trim).collect();
    assert_eq!(
        told,
        [
            "info/info/unset/level info",
            "a=1",
            "b=2",
            "00 ff",
            "440 root",
            "600 root",
            "644 root",
            "0",
            "..data/level"
        ]
    );
    let refused = node.shell("web", "echo x > /v/all/new 2>&1 || echo refused");
    assert!(refused.ends_with("refused"), "{refused}");
    node.drain_and_find_nothing();
}

#[test]
fn who_names_a_missing_one_waits_with_the_kubelets_reason_and_goes_on_when_it_comes() {
    let mut node = Node::started();
    let env = json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}]});
    node.lay("variable.json", &with_volumes("variable", &json!([]), env));
    let volumes = json!([{"name": "v", "configMap": {"name": "settings"}}]);
    node.lay("file.json", &with_volumes("file", &volumes, json!({})));
    let waiting = |name: &str, reason: &str| {
        node.wait_pod(name, reason, |pod| {
            let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            (state["reason"] == reason).then(|| state["message"].as_str().unwrap_or_default().to_owned())
        })
    };
    assert_eq!(
        waiting("variable", "CreateContainerConfigError"),
        "configmap \"settings\" not found"
    );
    waiting("file", "ContainerCreating");
    wait_for("the events", || {
        let events = node.events();
        let mount = "MountVolume.SetUp failed for volume \"v\" : configmap \"settings\" not found";
        let told = events.contains(mount) && events.contains("Error: configmap \"settings\" not found");
        told.then_some(())
    });
    node.lay("settings.json", &config_map("settings", &json!({"other": "x"})));
    node.wait_running("file");
    wait_for("the missing key", || {
        let message = waiting("variable", "CreateContainerConfigError");
        (message == "couldn't find key level in ConfigMap default/settings").then_some(())
    });
    node.lay(
        "settings.json",
        &config_map("settings", &json!({"level": "info"})),
    );
    node.wait_running("variable");
    assert_eq!(node.shell("variable", "echo $A"), "info");
    node.drain_and_find_nothing();
}

#[test]
fn a_running_container_sees_an_update_but_not_by_a_sub_path() {
    let mut node = Node::started();
    node.lay(
        "settings.json",
        &config_map("settings", &json!({"a": "old", "gone": "x"})),
    );
    let container = with(
        shell("one", GO_ON),
        json!({"volumeMounts": [
            {"name": "v", "mountPath": "/v"},
            {"name": "v", "mountPath": "/pinned", "subPath": "a"},
        ]}),
    );
    let spec = json!({
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "v", "configMap": {"name": "settings"}}],
        "containers": [container],
    });
    node.lay("web.json", &pod("web", spec));
    let uid = node.wait_running("web")["metadata"]["uid"].clone();
    node.lay(
        "settings.json",
        &config_map("settings", &json!({"a": "new", "b": "more"})),
    );
    wait_for("the update", || {
        (node.shell("web", "cat /v/a") == "new").then_some(())
    });
    assert_eq!(node.shell("web", "ls /v; cat /v/b /pinned"), "a\nb\nmoreold");
    assert_eq!(node.pod("web").unwrap()["metadata"]["uid"], uid);
    // The object goes: the files stay.
    node.take_away("settings.json");
    wait_for("the event", || {
        node.events()
            .contains("configmap \"settings\" not found")
            .then_some(())
    });
    assert_eq!(node.shell("web", "cat /v/a"), "new");
    node.drain_and_find_nothing();
}

#[test]
fn an_agent_that_is_killed_while_it_updates_leaves_the_old_files_or_the_new() {
    let mut node = Node::started();
    let of = |number: usize| {
        let text = number.to_string().repeat(100_000);
        config_map("settings", &json!({"a": text, "b": text, "c": text, "d": text}))
    };
    node.lay("settings.json", &of(1));
    let volumes = json!([{"name": "v", "configMap": {"name": "settings"}}]);
    node.lay("web.json", &with_volumes("web", &volumes, json!({})));
    let uid = node.wait_running("web")["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let volume = node.path(&format!("var/lib/pinnace/volumes/{uid}/v"));
    let read = |key: &str| std::fs::read_to_string(volume.join(key)).unwrap();
    for number in 2..8 {
        node.lay("settings.json", &of(number));
        // Some kills come before the update, some in it, some after.
        std::thread::park_timeout(Duration::from_millis(u64::try_from(number).unwrap() * 7));
        node.end_agent(Signal::SIGKILL);
        let whole = read("a");
        assert!(whole.len() >= 100_000 && ["b", "c", "d"].iter().all(|key| read(key) == whole));
        node.start();
        let new = number.to_string();
        wait_for("the newest files", || read("a").starts_with(&new).then_some(()));
        assert_eq!(node.shell("web", "head -c 1 /v/v/d"), new);
        wait_for("nothing left over", || {
            (std::fs::read_dir(&volume).unwrap().count() == 6).then_some(())
        });
    }
    node.drain_and_find_nothing();
}

#[test]
fn what_is_immutable_stays_and_that_is_told() {
    let mut node = Node::started();
    let fixed = |text: &str| {
        let mut map: Value = serde_json::from_str(&config_map("settings", &json!({"a": text}))).unwrap();
        map["immutable"] = json!(true);
        map.to_string()
    };
    node.lay("settings.json", &fixed("old"));
    node.lay(
        "web.json",
        &with_volumes(
            "web",
            &json!([{"name": "v", "configMap": {"name": "settings"}}]),
            json!({}),
        ),
    );
    node.wait_running("web");
    node.lay("settings.json", &fixed("new"));
    wait_for("the problem", || {
        let told = node.prints(&["describe", "node"]);
        told.contains("field is immutable when `immutable` is set")
            .then_some(())
    });
    assert_eq!(node.shell("web", "cat /v/v/a"), "old");
    node.drain_and_find_nothing();
}

#[test]
fn they_are_listed_and_described_as_kubectl_does() {
    let node = Node::started();
    node.lay(
        "settings.json",
        &config_map("settings", &json!({"a": "one\ntwo", "b": "x"})),
    );
    wait_for("the list", || {
        let table = node.prints(&["get", "cm"]);
        let row: Vec<&str> = table.lines().nth(1)?.split_whitespace().collect();
        (row[..3] == ["default", "settings", "2"]).then_some(())
    });
    let described = node.prints(&["describe", "configmap", "settings"]);
    let section = "Data\n====\na:\n----\none\ntwo\n\nb:\n----\nx\n\n\nBinaryData\n====\n\nEvents:  <none>\n";
    assert!(described.ends_with(section), "{described}");
    let object: Value =
        serde_json::from_str(&node.prints(&["get", "configmaps", "settings", "-o", "json"])).unwrap();
    assert_eq!(object["data"], json!({"a": "one\ntwo", "b": "x"}));
    assert_eq!(node.prints(&["get", "cm", "-o", "name"]), "configmap/settings\n");
}
