//! Projected, downwardAPI and image volumes, groups of volumes, and mounts that are read-only with all beneath.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::process::Command;

use pinnace_tests::images::BUSYBOX;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn lay_objects(node: &Node) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "one", "b": "two"}});
    node.lay("settings.json", &map.to_string());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"token": "hidden"}});
    node.lay("secret.json", &secret.to_string());
}

fn container(mounts: &Value, more: Value) -> Value {
    with(with(shell("one", GO_ON), json!({"volumeMounts": mounts})), more)
}

fn spec(volumes: &Value, container: &Value) -> Value {
    json!({"terminationGracePeriodSeconds": 0, "volumes": volumes, "containers": [container]})
}

#[test]
fn a_projected_volume_holds_all_its_sources_and_the_later_of_two_files_at_one_path() {
    let mut node = Node::started();
    lay_objects(&node);
    let volumes = json!([{"name": "v", "projected": {"defaultMode": 0o440, "sources": [
        {"configMap": {"name": "settings", "items": [{"key": "a", "path": "a"}, {"key": "b", "path": "deep/b"}]}},
        {"secret": {"name": "key", "items": [{"key": "token", "path": "token", "mode": 0o400}]}},
        {"secret": {"name": "absent", "optional": true}},
        {"serviceAccountToken": {"path": "sa-token"}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]}}]);
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    node.lay(
        "web.json",
        &pod("web", spec(&volumes, &container(&mounts, json!({})))),
    );
    node.wait_running("web");
    let script = "cd /v; for f in a deep/b token name; do echo $f $(cat $f) $(stat -L -c %a $f); done; ls; stat -f -c %T .";
    assert_eq!(
        node.shell("web", script),
        "a one 440\ndeep/b two 440\ntoken hidden 400\nname web 440\na\ndeep\nname\ntoken\ntmpfs"
    );
    node.drain_and_find_nothing();
}

#[test]
fn the_downward_api_writes_fields_and_amounts_into_files() {
    let mut node = Node::started();
    let items = json!([
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "annotation", "fieldRef": {"fieldPath": "metadata.annotations['note']"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "one", "resource": "requests.cpu", "divisor": "1m"}},
        {"path": "memory", "mode": 0o600, "resourceFieldRef": {"containerName": "one", "resource": "limits.memory", "divisor": "1Mi"}},
    ]);
    let more = json!({"resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "64Mi"}}});
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let volumes = json!([{"name": "v", "downwardAPI": {"defaultMode": 0o440, "items": items}}]);
    let mut object: Value =
        serde_json::from_str(&pod("web", spec(&volumes, &container(&mounts, more)))).unwrap();
    object["metadata"]["labels"] = json!({"app": "web", "tier": "front"});
    object["metadata"]["annotations"] = json!({"note": "said \"so\""});
    node.lay("web.json", &object.to_string());
    node.wait_running("web");
    let told = node.shell(
        "web",
        "cd /v; for f in labels annotation cpu memory; do cat $f; echo; done; stat -L -c %a memory cpu",
    );
    assert_eq!(
        told,
        "app=\"web\"\ntier=\"front\"\nsaid \"so\"\n250\n64\n600\n440"
    );
    node.drain_and_find_nothing();
}

#[test]
fn the_pods_group_reads_what_the_node_writes_and_writes_its_own_directories() {
    let mut node = Node::started();
    lay_objects(&node);
    let volumes = json!([
        {"name": "secret", "secret": {"secretName": "key", "defaultMode": 0o400}},
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
    ]);
    let mounts = json!([
        {"name": "secret", "mountPath": "/v/secret"},
        {"name": "disk", "mountPath": "/v/disk"},
        {"name": "memory", "mountPath": "/v/memory"},
    ]);
    let mut spec = spec(&volumes, &container(&mounts, json!({})));
    spec["securityContext"] = json!({"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000});
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    let script = "cd /v; cat secret/token; stat -L -c ' %a %g' secret/token; touch disk/new memory/new; \
        stat -c '%a %g' disk memory; stat -c '%u %g' disk/new memory/new; id -G | tr ' ' '\\n' | grep -c '^2000$'";
    assert_eq!(
        node.shell("web", script),
        "hidden 440 2000\n2777 2000\n2777 2000\n1000 2000\n1000 2000\n1"
    );
    node.drain_and_find_nothing();
}

#[test]
fn an_image_is_a_volume_that_is_read_only_and_runs_nothing() {
    let mut node = Node::started();
    let mounts = json!([
        {"name": "v", "mountPath": "/v"},
        {"name": "v", "mountPath": "/part", "subPath": "bin"},
    ]);
    let volumes = json!([{"name": "v", "image": {"reference": BUSYBOX, "pullPolicy": "Never"}}]);
    node.lay(
        "web.json",
        &pod("web", spec(&volumes, &container(&mounts, json!({})))),
    );
    node.wait_running("web");
    let script = "cmp /bin/busybox /v/bin/busybox && cmp /bin/busybox /part/busybox && echo same; \
        touch /v/new 2>/dev/null || echo read-only; /v/bin/busybox true 2>/dev/null || echo no program";
    assert_eq!(node.shell("web", script), "same\nread-only\nno program");
    node.drain_and_find_nothing();
}

#[test]
fn a_container_waits_for_the_image_of_its_volume() {
    let mut node = Node::started();
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let volumes =
        json!([{"name": "v", "image": {"reference": "example.com/absent:1", "pullPolicy": "Never"}}]);
    node.lay(
        "web.json",
        &pod("web", spec(&volumes, &container(&mounts, json!({})))),
    );
    node.wait_pod("web", "ErrImageNeverPull", |pod| {
        let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        (state["reason"] == "ErrImageNeverPull").then_some(())
    });
    node.drain_and_find_nothing();
}

#[test]
fn a_sub_path_is_made_of_variables_and_never_leads_out() {
    let mut node = Node::started();
    let env = json!({"env": [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "UP", "value": "../.."},
    ]});
    let volumes = json!([{"name": "v", "emptyDir": {}}]);
    let at = |expression: &str| json!([{"name": "v", "mountPath": "/part", "subPathExpr": expression}, {"name": "v", "mountPath": "/v"}]);
    node.lay(
        "web.json",
        &pod("web", spec(&volumes, &container(&at("logs/$(POD)"), env.clone()))),
    );
    node.wait_running("web");
    assert_eq!(
        node.shell("web", "touch /part/here; find /v -name here"),
        "/v/logs/web/here"
    );
    for (name, expression, told) in [
        ("up", "a/$(UP)", "must not contain '..'"),
        ("unknown", "$(NO)", "missing value for \"NO\""),
    ] {
        node.lay(
            &format!("{name}.json"),
            &pod(name, spec(&volumes, &container(&at(expression), env.clone()))),
        );
        node.wait_pod(name, told, |pod| {
            let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            let is = state["reason"] == "CreateContainerConfigError"
                && state["message"]
                    .as_str()
                    .is_some_and(|message| message.contains(told));
            is.then_some(())
        });
    }
    node.drain_and_find_nothing();
}

#[test]
fn read_only_with_all_beneath_holds_for_mounts_of_the_host() {
    let mut node = Node::started();
    let host = tempfile::tempdir().unwrap();
    let inner = host.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "inner"])
        .arg(&inner)
        .status()
        .unwrap();
    assert!(
        mounted.success(),
        "the test mounts a tmpfs and needs CAP_SYS_ADMIN"
    );
    let volumes = json!([{"name": "v", "hostPath": {"path": host.path(), "type": "Directory"}}]);
    for (name, mode, answer) in [
        ("plain", "Disabled", "written"),
        ("possible", "IfPossible", "refused"),
        ("enabled", "Enabled", "refused"),
    ] {
        let mounts = json!([{"name": "v", "mountPath": "/v", "readOnly": true, "recursiveReadOnly": mode}]);
        node.lay(
            &format!("{name}.json"),
            &pod(name, spec(&volumes, &container(&mounts, json!({})))),
        );
        node.wait_running(name);
        let script = "touch /v/inner/new 2>/dev/null && echo written || echo refused; touch /v/new 2>/dev/null || echo refused";
        assert_eq!(node.shell(name, script), format!("{answer}\nrefused"), "{name}");
    }
    node.drain_and_find_nothing();
    let unmounted = Command::new("umount").arg(&inner).status().unwrap();
    assert!(unmounted.success());
}

#[test]
fn paths_that_lead_out_of_a_volume_are_refused() {
    let node = Node::started();
    for (name, path) in [
        ("up", "../x"),
        ("through", "a/../../x"),
        ("absolute", "/etc/x"),
        ("own", "..data"),
    ] {
        let volumes =
            json!([{"name": "v", "configMap": {"name": "settings", "items": [{"key": "a", "path": path}]}}]);
        let mounts = json!([{"name": "v", "mountPath": "/v"}]);
        node.lay(
            &format!("{name}.json"),
            &pod(name, spec(&volumes, &container(&mounts, json!({})))),
        );
        wait_for(&format!("the refusal of {path}"), || {
            let told = node.prints(&["describe", "node"]);
            told.contains(&format!(
                "Pod default/{name}: spec.volumes[0].configMap.items[0].path"
            ))
            .then_some(())
        });
        assert!(node.pod(name).is_none());
    }
}
