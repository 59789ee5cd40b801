//! Services and Endpoints as `kubectl describe` shows them.

use serde_json::Value;

use super::super::get::services::endpoint_list;
use super::super::row::text;
use super::super::tabs::Tabs;
use super::conditions;
use super::fields::{list, or_none, pairs, shown};

/// All of a Service but its events; `endpoints` are all of the node.
pub fn describe(service: &Value, endpoints: &[Value], tabs: &mut Tabs) {
    named(service, tabs);
    let selector = pairs(service.pointer("/spec/selector"), "=").replace('\n', ",");
    tabs.field(0, "Selector", &selector);
    tabs.field(0, "Type", &text(service, "/spec/type"));
    addresses(service, tabs);
    let behind = endpoints.iter().find(|one| same(one, service));
    for port in list(service, "/spec/ports") {
        self::port(port, behind, tabs);
    }
    tabs.field(0, "Session Affinity", &text(service, "/spec/sessionAffinity"));
    for (title, path) in [
        ("External Traffic Policy", "/spec/externalTrafficPolicy"),
        ("Internal Traffic Policy", "/spec/internalTrafficPolicy"),
    ] {
        let policy = text(service, path);
        if !policy.is_empty() {
            tabs.field(0, title, &policy);
        }
    }
    conditions(service, tabs);
}

fn named(object: &Value, tabs: &mut Tabs) {
    tabs.field(0, "Name", &text(object, "/metadata/name"));
    tabs.field(0, "Namespace", &text(object, "/metadata/namespace"));
    tabs.field(0, "Labels", &pairs(object.pointer("/metadata/labels"), "="));
    tabs.field(
        0,
        "Annotations",
        &pairs(object.pointer("/metadata/annotations"), ": "),
    );
}

fn same(one: &Value, other: &Value) -> bool {
    let key = |object: &Value| {
        (
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        )
    };
    key(one) == key(other)
}

fn addresses(service: &Value, tabs: &mut Tabs) {
    let policy = text(service, "/spec/ipFamilyPolicy");
    if !policy.is_empty() {
        tabs.field(0, "IP Family Policy", &policy);
    }
    tabs.field(0, "IP Families", &or_none(words(service, "/spec/ipFamilies")));
    tabs.field(0, "IP", &text(service, "/spec/clusterIP"));
    tabs.field(0, "IPs", &or_none(words(service, "/spec/clusterIPs")));
    for (title, told) in [
        ("External IPs", words(service, "/spec/externalIPs")),
        ("External Name", text(service, "/spec/externalName")),
    ] {
        if !told.is_empty() {
            tabs.field(0, title, &told);
        }
    }
}

fn words(object: &Value, path: &str) -> String {
    let words = list(object, path).filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(",")
}

fn port(port: &Value, behind: Option<&Value>, tabs: &mut Tabs) {
    let (name, protocol) = (text(port, "/name"), text(port, "/protocol"));
    let called = if name.is_empty() { "<unset>" } else { name.as_str() };
    tabs.line(0, ["Port:", called, &format!("{}/{protocol}", port["port"])]);
    let target = port.get("targetPort").unwrap_or(&port["port"]);
    tabs.field(0, "TargetPort", &format!("{}/{protocol}", shown(target)));
    if let Some(node_port) = port["nodePort"].as_u64().filter(|number| *number > 0) {
        tabs.line(0, ["NodePort:", called, &format!("{node_port}/{protocol}")]);
    }
    let listed = behind.map(|endpoints| endpoint_list(endpoints, Some(&name)));
    tabs.field(0, "Endpoints", &listed.unwrap_or_default());
}

/// All of an Endpoints object.
pub fn endpoints(object: &Value, tabs: &mut Tabs) {
    named(object, tabs);
    tabs.title(0, "Subsets");
    for subset in list(object, "/subsets") {
        for (title, path) in [
            ("Addresses", "/addresses"),
            ("NotReadyAddresses", "/notReadyAddresses"),
        ] {
            let ips = list(subset, path).map(|one| text(one, "/ip")).collect::<Vec<_>>();
            tabs.field(1, title, &or_none(ips.join(",")));
        }
        if list(subset, "/ports").next().is_none() {
            continue;
        }
        tabs.title(1, "Ports");
        tabs.line(2, ["Name", "Port", "Protocol"]);
        tabs.line(2, ["----", "----", "--------"]);
        for port in list(subset, "/ports") {
            let name = text(port, "/name");
            let name = if name.is_empty() { "<unset>" } else { name.as_str() };
            tabs.line(2, [name, &port["port"].to_string(), &text(port, "/protocol")]);
        }
    }
}

/// All of an EndpointSlice.
pub fn slice(object: &Value, tabs: &mut Tabs) {
    named(object, tabs);
    tabs.field(0, "AddressType", &text(object, "/addressType"));
    tabs.title(0, "Ports");
    for port in list(object, "/ports") {
        let number = format!("{}/{}", port["port"], text(port, "/protocol"));
        tabs.line(1, [or_none(text(port, "/name")).as_str(), &number]);
    }
    tabs.title(0, "Endpoints");
    for endpoint in list(object, "/endpoints") {
        tabs.line(1, ["- Addresses:", &words(endpoint, "/addresses")]);
        let ready = endpoint
            .pointer("/conditions/ready")
            .map(shown)
            .unwrap_or_default();
        tabs.line(1, ["  Ready:", &ready]);
        tabs.line(
            1,
            [
                "  TargetRef:",
                &format!("Pod/{}", text(endpoint, "/targetRef/name")),
            ],
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_is_described_as_kubectl_does() {
        let service = json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "selector": {"app": "web"}, "type": "NodePort", "ipFamilyPolicy": "SingleStack",
                "ipFamilies": ["IPv4"], "clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"],
                "ports": [{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080, "protocol": "TCP"}],
                "sessionAffinity": "None", "externalTrafficPolicy": "Cluster",
            },
        });
        let behind = json!({
            "metadata": {"name": "web", "namespace": "default"},
            "subsets": [{"addresses": [{"ip": "10.244.0.5"}], "ports": [{"name": "http", "port": 8080}]}],
        });
        let mut tabs = Tabs::default();
        describe(&service, &[behind], &mut tabs);
        let mut out = Vec::new();
        tabs.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for line in [
            "Selector:                 app=web",
            "IPs:                      10.96.0.5",
            "Port:                     http  80/TCP",
            "TargetPort:               web/TCP",
            "NodePort:                 http  30080/TCP",
            "Endpoints:                10.244.0.5:8080",
            "External Traffic Policy:  Cluster",
        ] {
            assert!(text.lines().any(|one| one == line), "{line:?} is not in\n{text}");
        }
    }
}
