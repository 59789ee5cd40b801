use serde_json::json;

use super::*;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn with(self, name: &str, content: &Value) -> Self {
        self.with_text(name, &content.to_string())
    }
    fn with_text(self, name: &str, content: &str) -> Self {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }
    fn load(&self) -> Result<Network, CniError> {
        Network::load(self.0.path())
    }
    fn refused(&self) -> String {
        self.load().unwrap_err().chain()
    }
}

fn list(name: &str) -> Value {
    json!({"cniVersion": "1.0.0", "name": name, "plugins": [{"type": "bridge"}, {"type": "portmap"}]})
}

#[test]
fn the_first_file_by_name_is_the_network() {
    let directory = Directory::new()
        .with("20-second.conflist", &list("second"))
        .with("10-first.conflist", &list("first"))
        .with_text("00-README", "not a configuration")
        .with_text("05.conf.bak", "neither")
        .with("30.conf/x", &list("in a directory of that name"));
    let network = directory.load().unwrap();
    assert_eq!(network.name, "first");
    assert_eq!(network.version, SpecVersion::V1_0_0);
    let kinds: Vec<&str> = network
        .plugins
        .iter()
        .map(|plugin| plugin.kind.as_str())
        .collect();
    assert_eq!(kinds, ["bridge", "portmap"]);
}

#[test]
fn a_single_plugin_is_a_list_of_one() {
    for name in ["10-x.conf", "10-x.json"] {
        let conf =
            json!({"cniVersion": "0.3.1", "name": "x", "type": "bridge", "ipam": {"type": "host-local"}});
        let network = Directory::new().with(name, &conf).load().unwrap();
        assert_eq!(network.version, SpecVersion::V0_3_1);
        assert_eq!(network.plugins.len(), 1);
        assert_eq!(network.plugins[0].ipam(), Some("host-local"));
    }
}

#[test]
fn a_list_in_a_file_for_a_single_plugin_is_refused() {
    let refused = Directory::new().with("10-x.conf", &list("x")).refused();
    assert!(refused.ends_with("plugin 0 has no valid type: \"\""), "{refused}");
}

#[test]
fn nothing_there_is_said_in_the_words_of_container_daemons() {
    let directory = Directory::new();
    let path = directory.0.path().display().to_string();
    assert_eq!(
        directory.refused(),
        format!("no network config found in {path}: cni plugin not initialized")
    );
    let absent = Network::load(&directory.0.path().join("absent")).unwrap_err();
    assert!(matches!(absent, CniError::NotInitialized { .. }));
}

#[test]
fn a_bad_first_file_is_an_error_that_names_it_and_the_second_is_not_taken() {
    for (bad, why) in [
        ("{", "not valid JSON: EOF"),
        ("[]", "the configuration must be an object"),
        ("{}", "network name \"\" is invalid"),
        (
            r#"{"name": "../x", "plugins": [{"type": "bridge"}]}"#,
            "network name \"../x\"",
        ),
        (r#"{"name": "x", "plugins": []}"#, "no plugin configs found"),
        (r#"{"name": "x"}"#, "no plugin configs found"),
        (
            r#"{"name": "x", "plugins": [{"type": "../../bin/sh"}]}"#,
            "no valid type: \"../../bin/sh\"",
        ),
        (
            r#"{"name": "x", "plugins": {}}"#,
            "plugins must be a list of objects",
        ),
        (
            r#"{"name": "x", "cniVersion": "1.2.0", "plugins": [{"type": "a"}]}"#,
            "\"1.2.0\" is not supported",
        ),
        (
            r#"{"name": "x", "cniVersion": 1, "plugins": [{"type": "a"}]}"#,
            "cniVersion must be a string",
        ),
        (
            r#"{"name": "x", "disableCheck": 1, "plugins": [{"type": "a"}]}"#,
            "disableCheck must be",
        ),
    ] {
        let directory = Directory::new()
            .with_text("10-bad.conflist", bad)
            .with("20-good.conflist", &list("good"));
        let refused = directory.refused();
        assert!(
            refused.contains("10-bad.conflist") && refused.contains(why),
            "{bad}: {refused}"
        );
    }
}

#[test]
fn the_newest_version_that_both_know_is_spoken() {
    let mut conf = list("x");
    conf["cniVersion"] = "0.4.0".into();
    conf["cniVersions"] = json!(["0.3.1", "0.4.0", "1.1.0", "2.0.0"]);
    let network = Directory::new().with("x.conflist", &conf).load().unwrap();
    assert_eq!(network.version, SpecVersion::V1_1_0);
    conf["cniVersion"] = "9.0.0".into();
    conf["cniVersions"] = json!(["8.0.0"]);
    let refused = Directory::new().with("x.conflist", &conf).refused();
    assert!(refused.contains("\"9.0.0\" is not supported"), "{refused}");
}

#[test]
fn plugins_of_the_network_s_own_directory_come_last() {
    let conf = list("mesh");
    let more = json!({"type": "tuning"});
    let directory = Directory::new()
        .with("x.conflist", &conf)
        .with("mesh/10.conf", &more)
        .with("mesh/20.conflist", &more)
        .with("other/10.conf", &more);
    assert_eq!(directory.load().unwrap().plugins.len(), 3);
    let mut only = conf;
    only["loadOnlyInlinedPlugins"] = "True".into();
    assert_eq!(
        directory.with("x.conflist", &only).load().unwrap().plugins.len(),
        2
    );
}

#[test]
fn what_a_record_keeps_is_read_back() {
    let mut conf = list("x");
    conf["disableGC"] = true.into();
    conf["plugins"][1]["capabilities"] = json!({"portMappings": true, "bandwidth": false});
    let network = Directory::new().with("x.conflist", &conf).load().unwrap();
    assert!(network.is_capable("portMappings") && !network.is_capable("bandwidth"));
    assert_eq!(Network::from_list(&network.to_list()).unwrap(), network);
    assert!(Network::from_list(&json!({"name": "x"})).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_network_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let directory = Directory::new();
        std::fs::write(directory.0.path().join("x.conflist"), bytes).unwrap();
        let _ = directory.load();
    }

    #[test]
    fn a_network_with_a_byte_changed_is_a_network_or_an_error(at in 0_usize..200, byte in proptest::num::u8::ANY) {
        let mut bytes = list("x").to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let directory = Directory::new();
        std::fs::write(directory.0.path().join("x.conflist"), bytes).unwrap();
        if let Ok(network) = directory.load() {
            proptest::prop_assert_eq!(Network::from_list(&network.to_list()).unwrap(), network);
        }
    }
}
