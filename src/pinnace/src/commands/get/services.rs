//! Services, and what stands behind them, in `kubectl`'s columns.

use serde_json::Value;

use super::super::row::{age, text};
use super::super::table::Table;
use super::tables::pairs;

/// So many addresses are listed before the rest is counted.
const SHOWN: usize = 3;

/// Services: a port is `80/TCP`, or `80:30080/TCP` with the node's.
pub(super) fn services(items: &[Value], wide: bool) -> Table {
    let mut header = vec![
        "NAMESPACE",
        "NAME",
        "TYPE",
        "CLUSTER-IP",
        "EXTERNAL-IP",
        "PORT(S)",
        "AGE",
    ];
    if wide {
        header.push("SELECTOR");
    }
    let mut table = Table::new(&header);
    for service in items {
        let mut cells = named(service);
        cells.extend([
            text(service, "/spec/type"),
            text(service, "/spec/clusterIP"),
            external(service),
            ports(service),
            age(&text(service, "/metadata/creationTimestamp")),
        ]);
        if wide {
            cells.push(pairs(service.pointer("/spec/selector")));
        }
        table.row(cells);
    }
    table
}

/// Endpoints: those that are ready, as `address:port`.
pub(super) fn endpoints(items: &[Value]) -> Table {
    let mut table = Table::new(&["NAMESPACE", "NAME", "ENDPOINTS", "AGE"]);
    for endpoints in items {
        let mut cells = named(endpoints);
        cells.push(endpoint_list(endpoints, None));
        cells.push(age(&text(endpoints, "/metadata/creationTimestamp")));
        table.row(cells);
    }
    table
}

/// EndpointSlices.
pub(super) fn slices(items: &[Value]) -> Table {
    let header = ["NAMESPACE", "NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"];
    let mut table = Table::new(&header);
    for slice in items {
        let addresses = list(slice, "/endpoints").flat_map(|one| list(one, "/addresses"));
        let numbers = list(slice, "/ports").map(|port| port["port"].to_string());
        let mut cells = named(slice);
        cells.extend([
            text(slice, "/addressType"),
            first_of(numbers),
            first_of(addresses.map(|one| one.as_str().unwrap_or_default().to_owned())),
            age(&text(slice, "/metadata/creationTimestamp")),
        ]);
        table.row(cells);
    }
    table
}

/// The ready addresses of an Endpoints object with their ports: all, or those of one port's name.
pub fn endpoint_list(endpoints: &Value, port_name: Option<&str>) -> String {
    let mut all = Vec::new();
    for subset in list(endpoints, "/subsets") {
        let addresses = || list(subset, "/addresses").map(|one| text(one, "/ip"));
        let mut ports = list(subset, "/ports").peekable();
        if ports.peek().is_none() {
            all.extend(addresses());
        }
        let wanted = |port: &&Value| port_name.is_none_or(|name| text(port, "/name") == name);
        for port in ports.filter(wanted) {
            all.extend(addresses().map(|ip| joined(&ip, port["port"].as_u64().unwrap_or(0))));
        }
    }
    first_of(all)
}

fn joined(ip: &str, port: u64) -> String {
    match ip.contains(':') {
        true => format!("[{ip}]:{port}"),
        false => format!("{ip}:{port}"),
    }
}

fn first_of(all: impl IntoIterator<Item = String>) -> String {
    let all: Vec<String> = all.into_iter().collect();
    match all.get(..SHOWN) {
        Some(first) if all.len() > SHOWN => {
            format!("{} + {} more...", first.join(","), all.len() - SHOWN)
        }
        _ => all.join(","),
    }
}

fn named(object: &Value) -> Vec<String> {
    vec![
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    ]
}

fn external(service: &Value) -> String {
    if text(service, "/spec/type") == "ExternalName" {
        return text(service, "/spec/externalName");
    }
    let addresses = list(service, "/spec/externalIPs").filter_map(Value::as_str);
    addresses.collect::<Vec<_>>().join(",")
}

fn ports(service: &Value) -> String {
    let port = |port: &Value| {
        let (number, protocol) = (&port["port"], text(port, "/protocol"));
        match port["nodePort"].as_u64().filter(|number| *number > 0) {
            Some(node_port) => format!("{number}:{node_port}/{protocol}"),
            None => format!("{number}/{protocol}"),
        }
    };
    list(service, "/spec/ports")
        .map(port)
        .collect::<Vec<_>>()
        .join(",")
}

fn list<'v>(object: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    let items = object.pointer(path).and_then(Value::as_array);
    items.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(table: &Table) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let words = |line: &str| {
            line.split("   ")
                .map(|cell| cell.trim().to_owned())
                .filter(|c| !c.is_empty())
                .collect()
        };
        String::from_utf8(out).unwrap().lines().map(words).collect()
    }

    #[test]
    fn services_are_listed_in_kubectls_columns() {
        let items = [
            json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {
                "type": "NodePort", "clusterIP": "10.96.0.5", "selector": {"app": "web"}, "ports": [
                    {"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}}),
            json!({"metadata": {"name": "out", "namespace": "default"}, "spec": {
                "type": "ExternalName", "externalName": "db.example.org"}}),
        ];
        let table = printed(&services(&items, true));
        assert_eq!(
            table[0],
            [
                "NAMESPACE",
                "NAME",
                "TYPE",
                "CLUSTER-IP",
                "EXTERNAL-IP",
                "PORT(S)",
                "AGE",
                "SELECTOR"
            ]
        );
        assert_eq!(
            table[1],
            [
                "default",
                "web",
                "NodePort",
                "10.96.0.5",
                "<none>",
                "80:30080/TCP,53/UDP",
                "<none>",
                "app=web"
            ]
        );
        assert_eq!(
            table[2],
            [
                "default",
                "out",
                "ExternalName",
                "<none>",
                "db.example.org",
                "<none>",
                "<none>",
                "<none>"
            ]
        );
    }

    #[test]
    fn endpoints_past_the_third_are_counted() {
        let address = |last: u8| json!({"ip": format!("10.244.0.{last}")});
        let all = json!({"subsets": [{
            "addresses": (1..=5).map(address).collect::<Vec<_>>(),
            "notReadyAddresses": [address(9)],
            "ports": [{"name": "http", "port": 8080}],
        }]});
        let shown = "10.244.0.1:8080,10.244.0.2:8080,10.244.0.3:8080 + 2 more...";
        assert_eq!(endpoint_list(&all, None), shown);
        assert_eq!(endpoint_list(&all, Some("http")), shown);
        assert_eq!(endpoint_list(&all, Some("other")), "");
        let portless = json!({"subsets": [{"addresses": [{"ip": "fd00::1"}]}]});
        assert_eq!(endpoint_list(&portless, None), "fd00::1");
        let v6 = json!({"subsets": [{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 1}]}]});
        assert_eq!(endpoint_list(&v6, None), "[fd00::1]:1");
    }
}
