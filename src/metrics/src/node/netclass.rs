//! `netclass`: what the network interfaces are (`/sys/class/net`).

use std::path::Path;

use super::Collector;
use crate::encode::{Encoder, Kind, Labels};
use crate::host::{CollectError, Host, attribute};

/// Interfaces that are read at most; a node has one per pod and a few of its own.
const MOST_INTERFACES: usize = 4096;

pub(super) struct Netclass;

/// Family, type, file and meaning; values are decimal, or hexadecimal with 0x.
const FAMILIES: [(&str, Kind, &str, &str); 17] = [
    (
        "node_network_address_assign_type",
        Kind::Gauge,
        "addr_assign_type",
        "How its address came to be.",
    ),
    (
        "node_network_carrier",
        Kind::Gauge,
        "carrier",
        "1 if there is a link.",
    ),
    (
        "node_network_carrier_changes_total",
        Kind::Counter,
        "carrier_changes",
        "Times the link came or went.",
    ),
    (
        "node_network_carrier_down_changes_total",
        Kind::Counter,
        "carrier_down_count",
        "Times the link went.",
    ),
    (
        "node_network_carrier_up_changes_total",
        Kind::Counter,
        "carrier_up_count",
        "Times the link came.",
    ),
    (
        "node_network_device_id",
        Kind::Gauge,
        "dev_id",
        "Tells interfaces of one address apart.",
    ),
    (
        "node_network_dormant",
        Kind::Gauge,
        "dormant",
        "1 if it waits for something outside.",
    ),
    (
        "node_network_flags",
        Kind::Gauge,
        "flags",
        "Its flags as the kernel has them.",
    ),
    ("node_network_iface_id", Kind::Gauge, "ifindex", "Its index."),
    (
        "node_network_iface_link",
        Kind::Gauge,
        "iflink",
        "The index of the interface that it stands on.",
    ),
    (
        "node_network_iface_link_mode",
        Kind::Gauge,
        "link_mode",
        "Its link mode.",
    ),
    (
        "node_network_mtu_bytes",
        Kind::Gauge,
        "mtu",
        "The largest packet.",
    ),
    (
        "node_network_name_assign_type",
        Kind::Gauge,
        "name_assign_type",
        "How its name came to be.",
    ),
    (
        "node_network_net_dev_group",
        Kind::Gauge,
        "netdev_group",
        "The group that it belongs to.",
    ),
    (
        "node_network_protocol_type",
        Kind::Gauge,
        "type",
        "The protocol of its link layer.",
    ),
    (
        "node_network_speed_bytes",
        Kind::Gauge,
        "speed",
        "Bytes a second; negative where it is not known.",
    ),
    (
        "node_network_transmit_queue_length",
        Kind::Gauge,
        "tx_queue_len",
        "Packets that may wait to be sent.",
    ),
];

impl Collector for Netclass {
    fn name(&self) -> &'static str {
        "netclass"
    }

    fn collect(&self, host: &Host, out: &mut Encoder) -> Result<(), CollectError> {
        let class = host.sys.join("class/net");
        let names = interfaces(&class)?;
        let labels: Vec<Labels> = names
            .iter()
            .map(|name| Labels::new(&[("device", name)]))
            .collect();
        let states: Vec<_> = names.iter().map(|name| State::read(&class.join(name))).collect();
        let mut family = out.family(
            "node_network_info",
            Kind::Gauge,
            "What an interface is, in words; always 1.",
        );
        for (name, state) in names.iter().zip(&states) {
            family.labelled(&state.labels(name), 1_u64);
        }
        let mut family = out.family(
            "node_network_up",
            Kind::Gauge,
            "1 if the interface's operstate is up.",
        );
        for (labels, state) in labels.iter().zip(&states) {
            family.labelled(labels, state.oper == "up");
        }
        for (family, kind, file, help) in FAMILIES {
            let mut family = out.family(family, kind, help);
            for (name, labels) in names.iter().zip(&labels) {
                // Many attributes cannot be read while an interface is down.
                let Some(value) = number(&class.join(name).join(file)) else {
                    continue;
                };
                // Megabits of the file; bytes of the family.
                let value = if file == "speed" {
                    value * 1_000_000 / 8
                } else {
                    value
                };
                family.labelled(labels, value);
            }
        }
        Ok(())
    }
}

fn interfaces(class: &Path) -> Result<Vec<String>, CollectError> {
    let failed = |source| CollectError::Read {
        path: class.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(class).map_err(failed)?.take(MOST_INTERFACES) {
        let entry = entry.map_err(failed)?;
        // Files such as bonding_masters lie beside the interfaces.
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What an interface says in words.
struct State {
    address: String,
    broadcast: String,
    duplex: String,
    alias: String,
    oper: String,
    admin: &'static str,
}

impl State {
    fn read(dir: &Path) -> Self {
        let get = |file| attribute(&dir.join(file)).unwrap_or_default();
        Self {
            address: get("address"),
            broadcast: get("broadcast"),
            duplex: get("duplex"),
            alias: get("ifalias"),
            oper: get("operstate"),
            admin: match number(&dir.join("flags")) {
                Some(flags) if flags & 1 == 1 => "up",
                Some(_) => "down",
                None => "unknown",
            },
        }
    }

    fn labels(&self, name: &str) -> Labels {
        Labels::new(&[
            ("address", &self.address),
            ("adminstate", self.admin),
            ("broadcast", &self.broadcast),
            ("device", name),
            ("duplex", &self.duplex),
            ("ifalias", &self.alias),
            ("operstate", &self.oper),
        ])
    }
}

fn number(path: &Path) -> Option<i64> {
    let text = attribute(path)?;
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
