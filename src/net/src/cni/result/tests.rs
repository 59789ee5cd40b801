use proptest::prelude::*;
use serde_json::json;

use super::*;

const WANTED: SpecVersion = SpecVersion::V1_0_0;

fn read(value: &Value) -> Result<AddResult, ResultError> {
    AddResult::read(value.to_string().as_bytes(), WANTED)
}

fn refused(value: &Value) -> String {
    read(value).unwrap_err().to_string()
}

fn bridge() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "cni0", "mac": "ee:00:00:00:00:01"},
            {"name": "veth1", "mac": "ee:00:00:00:00:02"},
            {"name": "eth0", "mac": "ee:00:00:00:00:03", "sandbox": "/run/net"}
        ],
        "ips": [
            {"interface": 2, "address": "10.22.0.5/16", "gateway": "10.22.0.1"},
            {"interface": 2, "address": "fd00::5/64", "gateway": "fd00::1"},
            {"interface": 2, "address": "10.23.0.5/16"},
            {"interface": 0, "address": "192.0.2.1/32"}
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1"}],
        "dns": {}
    })
}

#[test]
fn a_pod_s_addresses_are_the_first_of_each_family_on_its_own_interface() {
    let addresses = read(&bridge()).unwrap().pod_addresses().unwrap();
    let texts: Vec<String> = addresses.list().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.22.0.5", "fd00::5"]);
    let mut other = bridge();
    other["ips"].as_array_mut().unwrap().swap(0, 1);
    assert!(read(&other).unwrap().pod_addresses().unwrap().v6_first);
}

#[test]
fn addresses_of_no_interface_are_the_pod_s() {
    let value = json!({"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.1/32"}], "interfaces": null});
    let addresses = read(&value).unwrap().pod_addresses().unwrap();
    assert_eq!(addresses.v4.unwrap().to_string(), "10.1.0.1");
    let nothing = read(&json!({"cniVersion": "1.0.0"})).unwrap();
    assert_eq!(
        nothing.pod_addresses().unwrap_err().to_string(),
        "it has no address for eth0"
    );
}

#[test]
fn the_two_oldest_versions_have_one_address_of_each_family() {
    let value = json!({
        "ip4": {"ip": "10.1.0.9/24", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]},
        "ip6": {"ip": "fd00::9/64"},
    });
    let read = AddResult::read(value.to_string().as_bytes(), SpecVersion::V0_2_0).unwrap();
    assert_eq!(read.pod_addresses().unwrap().list().len(), 2);
    assert_eq!(read.value["cniVersion"], "0.2.0");
}

#[test]
fn what_goes_on_to_the_next_plugin_is_of_the_network_s_version() {
    let older = AddResult::read(bridge().to_string().as_bytes(), SpecVersion::V0_4_0).unwrap();
    assert_eq!(older.value["cniVersion"], "0.4.0");
    assert_eq!(older.value["ips"][0]["version"], "4");
    assert_eq!(older.value["ips"][1]["version"], "6");
    let again = AddResult::read(older.value.to_string().as_bytes(), WANTED).unwrap();
    assert_eq!(again.value, bridge());
    let error = AddResult::read(bridge().to_string().as_bytes(), SpecVersion::V0_2_0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it is of CNI version \"1.0.0\", and 0.2.0 was asked for"
    );
}

#[test]
fn what_is_no_result_is_refused_with_the_place() {
    let with = |path: &str, value: Value| {
        let mut changed = bridge();
        *changed.pointer_mut(path).unwrap() = value;
        refused(&changed)
    };
    assert_eq!(
        with("/ips/0/address", "10.22.0.5".into()),
        "address \"10.22.0.5\" is not an address and its prefix, such as 10.1.0.5/16"
    );
    assert!(with("/ips/0/address", "10.22.0.5/33".into()).starts_with("address"));
    assert!(with("/routes/0/dst", "default".into()).starts_with("route \"default\""));
    assert_eq!(
        with("/ips/0/gateway", "x".into()),
        "gateway \"x\" is not an address"
    );
    for index in [3, -1, i64::MAX] {
        let text = with("/ips/1/interface", index.into());
        assert_eq!(
            text,
            format!("an address is of interface {index}, and there are 3")
        );
    }
    assert!(with("/cniVersion", "9.9.9".into()).contains("\"9.9.9\""));
    assert_eq!(
        with("/routes", vec![json!({"dst": "10.0.0.0/8"}); 5000].into()),
        "it has 5000 routes, and at most 4096 are taken"
    );
    for text in ["", "null", "[]", "x", "{\"ips\": 1}", "{} {}"] {
        assert!(AddResult::read(text.as_bytes(), WANTED).is_err(), "{text:?}");
    }
    assert!(AddResult::read(b"{\"ips\": [], \"ips\": []}", WANTED).is_err());
    let deep = format!("{{\"dns\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert!(AddResult::read(deep.as_bytes(), WANTED).is_err());
}

fn any_version() -> impl Strategy<Value = SpecVersion> {
    let all = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
    prop::sample::select(all.to_vec()).prop_map(|text| SpecVersion::parse(text).unwrap())
}

/// JSON of words that mean something in a result, in any places.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "eth0",
        "10.0.0.1/8",
        "fd00::1/64",
        "10.0.0.1",
        "1.0.0",
        "0.2.0",
        "",
        "/0",
        "::/129",
    ];
    let keys = [
        "cniVersion",
        "interfaces",
        "ips",
        "routes",
        "ip4",
        "ip6",
        "ip",
        "address",
        "interface",
        "name",
        "dst",
        "gw",
        "sandbox",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(keys.to_vec()), inner, 0..6).prop_map(
                |fields| {
                    let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
                    Value::Object(fields.collect())
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), version in any_version()) {
        let _ = AddResult::read(&bytes, version);
    }

    #[test]
    fn any_json_is_read_or_refused_and_what_is_read_is_read_again(value in any_json(), version in any_version()) {
        if let Ok(read) = AddResult::read(value.to_string().as_bytes(), version) {
            let again = AddResult::read(read.value.to_string().as_bytes(), version).unwrap();
            prop_assert_eq!(&again, &read);
            if let Ok(addresses) = read.pod_addresses() {
                prop_assert!(!addresses.list().is_empty());
            }
        }
    }

    #[test]
    fn a_result_with_a_byte_changed_is_read_or_refused(at in 0_usize..600, byte in any::<u8>()) {
        let mut bytes = bridge().to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = AddResult::read(&bytes, WANTED) {
            let _ = read.pod_addresses();
        }
    }
}
