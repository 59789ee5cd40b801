use std::os::unix::fs::PermissionsExt;

use pinnace_api::testing::uid;

use super::*;

/// Plugins that are scripts and note each call: `<verb> <plugin> <input>`.
struct World {
    directory: tempfile::TempDir,
}

const NOTE: &str = r#"input=$(cat); echo "$CNI_COMMAND ${0##*/} $CNI_NETNS $input" >>"${0%/*}/calls""#;

impl World {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }
    fn plugin(self, name: &str, text: &str) -> Self {
        let path = self.directory.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{NOTE}\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self
    }
    fn caller(&self) -> Caller {
        Caller::new(vec!["/nowhere".into(), self.directory.path().to_owned()])
    }
    fn lock(&self) -> PodLock {
        PodLock::take(&self.directory.path().join("locks"), &uid(1), LIMIT).unwrap()
    }
    /// (verb, plugin, namespace, input) of each call since the last time.
    fn calls(&self) -> Vec<(String, String, String, Value)> {
        let path = self.directory.path().join("calls");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        let call = |line: &str| {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            (word(), word(), word(), serde_json::from_str(&word()).unwrap())
        };
        text.lines().map(call).collect()
    }
    fn order(&self) -> Vec<String> {
        let calls = self.calls().into_iter();
        calls
            .map(|(verb, plugin, _, _)| format!("{verb} {plugin}"))
            .collect()
    }
}

fn network(version: &str) -> Network {
    Network::from_list(&json!({"cniVersion": version, "name": "net", "plugins": [
        {"type": "first", "capabilities": {"portMappings": true}, "own": 1},
        {"type": "second", "capabilities": {"bandwidth": true, "portMappings": false}},
    ]}))
    .unwrap()
}

fn capabilities() -> Map<String, Value> {
    let all = json!({"portMappings": [{"hostPort": 80}], "bandwidth": {"ingressRate": 1000}});
    all.as_object().unwrap().clone()
}

fn attachment<'a>(
    lock: &'a PodLock,
    uid: &'a PodUid,
    capabilities: &'a Map<String, Value>,
) -> Attachment<'a> {
    Attachment {
        uid,
        namespace: Some(Path::new("/run/net")),
        args: "IgnoreUnknown=1",
        capabilities,
        lock,
    }
}

const ANSWERS: &str = r#"echo '{"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]}'"#;
const PASSES_ON: &str = r#"echo "{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"10.0.0.3/24\"}]}""#;

#[test]
fn results_go_from_plugin_to_plugin_and_each_gets_its_own_arguments() {
    let world = World::new().plugin("first", ANSWERS).plugin("second", PASSES_ON);
    let (lock, uid, capabilities) = (world.lock(), uid(1), capabilities());
    let attachment = attachment(&lock, &uid, &capabilities);
    let result = world
        .caller()
        .add(&network("1.0.0"), &attachment)
        .unwrap()
        .unwrap();
    assert_eq!(
        result.pod_addresses().unwrap().v4.unwrap().to_string(),
        "10.0.0.3"
    );
    let calls = world.calls();
    let inputs: Vec<Value> = calls.into_iter().map(|(_, _, _, input)| input).collect();
    assert_eq!(
        inputs[0],
        json!({"name": "net", "cniVersion": "1.0.0", "type": "first", "own": 1,
            "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings": [{"hostPort": 80}]}})
    );
    assert_eq!(
        inputs[1]["runtimeConfig"],
        json!({"bandwidth": {"ingressRate": 1000}})
    );
    assert_eq!(inputs[1]["prevResult"]["ips"][0]["address"], "10.0.0.2/24");
    world
        .caller()
        .check(&network("1.0.0"), &attachment, &result.value)
        .unwrap();
    world
        .caller()
        .delete(&network("1.0.0"), &attachment, Some(&result.value))
        .unwrap();
    let calls = world.calls();
    let order: Vec<String> = calls
        .iter()
        .map(|(verb, plugin, _, _)| format!("{verb} {plugin}"))
        .collect();
    assert_eq!(order, ["CHECK first", "CHECK second", "DEL second", "DEL first"]);
    for (_, _, namespace, input) in &calls {
        assert_eq!(namespace, "/run/net");
        assert_eq!(input["prevResult"], result.value);
    }
}

#[test]
fn older_versions_have_no_check_and_no_result_in_del() {
    let world = World::new().plugin("first", "").plugin("second", "");
    let (lock, uid, capabilities) = (world.lock(), uid(1), capabilities());
    let attachment = attachment(&lock, &uid, &capabilities);
    let result = json!({"ips": []});
    world
        .caller()
        .check(&network("0.3.1"), &attachment, &result)
        .unwrap();
    assert_eq!(world.order(), [""; 0]);
    world
        .caller()
        .delete(&network("0.3.1"), &attachment, Some(&result))
        .unwrap();
    assert!(
        world
            .calls()
            .iter()
            .all(|(_, _, _, input)| input.get("prevResult").is_none())
    );
    let mut unchecked = network("1.0.0");
    unchecked.disable_check = true;
    world.caller().check(&unchecked, &attachment, &result).unwrap();
    assert_eq!(world.order(), [""; 0]);
}

#[test]
fn a_plugin_that_fails_to_delete_holds_up_no_other() {
    let fails = r#"echo '{"code": 999, "msg": "stuck"}'; exit 1"#;
    let world = World::new().plugin("first", fails).plugin("second", fails);
    let (lock, uid, capabilities) = (world.lock(), uid(1), capabilities());
    let error = world
        .caller()
        .delete(&network("1.0.0"), &attachment(&lock, &uid, &capabilities), None)
        .unwrap_err();
    assert_eq!(world.order(), ["DEL second", "DEL first"]);
    assert_eq!(
        error.chain(),
        "2 plugins failed, the first because of: plugin type=\"second\" failed (delete): stuck"
    );
}

#[test]
fn an_add_ends_at_the_first_failure_and_names_plugin_and_cause() {
    let (uid, capabilities) = (uid(1), capabilities());
    for (text, why) in [
        (
            "echo '{\"code\": 11, \"msg\": \"no leases\"}'; exit 1",
            "plugin type=\"first\" failed (add): no leases",
        ),
        (
            "",
            "plugin type=\"first\" answered no valid result: not of the form of a result",
        ),
    ] {
        let world = World::new().plugin("first", text).plugin("second", ANSWERS);
        let lock = world.lock();
        let error = world
            .caller()
            .add(&network("1.0.0"), &attachment(&lock, &uid, &capabilities));
        let error = error.unwrap_err().chain();
        assert!(error.starts_with(why), "{error}");
        assert_eq!(world.order(), ["ADD first"]);
    }
    let world = World::new().plugin("first", ANSWERS);
    let lock = world.lock();
    let error = world
        .caller()
        .add(&network("1.0.0"), &attachment(&lock, &uid, &capabilities));
    let path = world.directory.path().display();
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("failed to find plugin \"second\" in path [/nowhere:{path}]")
    );
}

#[test]
fn gc_names_what_is_valid_and_status_is_asked_from_1_1_on() {
    let world = World::new().plugin("first", "").plugin(
        "second",
        r#"[ "$CNI_COMMAND" != STATUS ] || { echo '{"code": 50, "msg": "not yet"}'; exit 1; }"#,
    );
    let valid = [Valid {
        container: "a".to_owned(),
        interface: "eth0".to_owned(),
    }];
    world.caller().collect(&network("1.0.0"), &valid).unwrap();
    world.caller().status(&network("1.0.0")).unwrap();
    assert_eq!(world.order(), [""; 0]);
    let error = world.caller().status(&network("1.1.0")).unwrap_err();
    assert_eq!(error.chain(), "plugin type=\"second\" failed (status): not yet");
    assert_eq!(world.order(), ["STATUS first", "STATUS second"]);
    world.caller().collect(&network("1.1.0"), &valid).unwrap();
    let calls = world.calls();
    assert_eq!(calls.len(), 2);
    for (verb, _, _, input) in calls {
        assert_eq!(verb, "GC");
        for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
            assert_eq!(input[key], json!([{"containerID": "a", "ifname": "eth0"}]));
        }
    }
    let mut shared = network("1.1.0");
    shared.disable_gc = true;
    world.caller().collect(&shared, &valid).unwrap();
    assert_eq!(world.order(), [""; 0]);
}

#[test]
fn versions_are_those_that_the_plugin_tells() {
    let world = World::new()
        .plugin(
            "first",
            r#"echo '{"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}'"#,
        )
        .plugin("second", "echo no");
    let network = network("1.0.0");
    let of = |index: usize| world.caller().versions(&network, &network.plugins[index]);
    assert_eq!(of(0).unwrap(), ["0.4.0", "1.0.0"]);
    assert!(of(1).unwrap_err().to_string().contains("(version)"));
    assert_eq!(world.calls()[0].3, json!({"cniVersion": "1.0.0"}));
}
