//! `netclass`: what the network interfaces are (`/sys/class/net`).

use std::collections::BTreeMap;
use std::path::Path;

use super::Collector;
use crate::encode::{Encoder, Kind, Labels};
use crate::host::CollectError;
use crate::reader::{Attributes, Reader, attribute};

/// Interfaces that are read at most; a node has one per pod and a few of its own.
const MOST_INTERFACES: usize = 4096;

/// Interfaces whose attributes are held open: some 20 files each, of a page of the kernel's memory.
const MOST_HELD: usize = 16;

#[derive(Default)]
pub(super) struct Netclass {
    /// By name. An interface may be renamed, or end and leave its name to another; its index is its own.
    held: BTreeMap<String, (String, Attributes)>,
}

impl Netclass {
    fn read(&mut self, dir: &Path, name: &str) -> Option<Interface> {
        let index = attribute(&dir.join("ifindex")).unwrap_or_default();
        if let Some((_, attributes)) = self.held.get(name).filter(|(known, _)| *known == index) {
            return Some(Interface::read(attributes, name));
        }
        self.held.remove(name);
        let attributes = Attributes::open(dir)?;
        if self.held.len() >= MOST_HELD {
            return Some(Interface::read(&attributes, name));
        }
        let attributes = attributes.holding();
        let interface = Interface::read(&attributes, name);
        self.held.insert(name.to_owned(), (index, attributes));
        Some(interface)
    }
}

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

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let class = host.sys("class/net");
        let names = names(&class)?;
        self.held.retain(|name, _| names.binary_search(name).is_ok());
        let interfaces: Vec<Interface> = names
            .iter()
            .filter_map(|name| self.read(&class.join(name), name))
            .collect();
        out.samples(
            "node_network_info",
            Kind::Gauge,
            "What an interface is, in words; always 1.",
            interfaces.iter().map(|one| (&one.info, 1_u64)),
        );
        out.samples(
            "node_network_up",
            Kind::Gauge,
            "1 if the interface's operstate is up.",
            interfaces.iter().map(|one| (&one.device, one.up)),
        );
        for (index, (name, kind, _, help)) in FAMILIES.into_iter().enumerate() {
            let found = interfaces
                .iter()
                .filter_map(|one| Some((&one.device, one.numbers[index]?)));
            out.samples(name, kind, help, found);
        }
        Ok(())
    }
}

fn names(class: &Path) -> Result<Vec<String>, CollectError> {
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

/// An interface, read in one go; one that goes away meanwhile lacks the rest.
struct Interface {
    device: Labels,
    info: Labels,
    up: bool,
    /// In the order of [`FAMILIES`]. Many cannot be read while an interface is down.
    numbers: [Option<i64>; FAMILIES.len()],
}

impl Interface {
    fn read(attributes: &Attributes, name: &str) -> Self {
        let numbers = FAMILIES.map(|(_, _, file, _)| {
            let value = number(&attributes.get(file)?)?;
            // Megabits in the file, bytes in the family.
            Some(if file == "speed" {
                value * 1_000_000 / 8
            } else {
                value
            })
        });
        let flags = FAMILIES
            .iter()
            .position(|family| family.2 == "flags")
            .and_then(|index| numbers[index]);
        let admin = match flags {
            Some(flags) if flags & 1 == 1 => "up",
            Some(_) => "down",
            None => "unknown",
        };
        let get = |file| attributes.get(file).unwrap_or_default();
        let oper = get("operstate");
        let info = Labels::new(&[
            ("address", &get("address")),
            ("adminstate", admin),
            ("broadcast", &get("broadcast")),
            ("device", name),
            ("duplex", &get("duplex")),
            ("ifalias", &get("ifalias")),
            ("operstate", &oper),
        ]);
        Self {
            device: Labels::new(&[("device", name)]),
            info,
            up: oper == "up",
            numbers,
        }
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_that_takes_anothers_name_is_told_by_its_own_attributes() {
        let root = tempfile::tempdir().unwrap();
        let make = |index: &str, mtu: &str| {
            let dir = root.path().join("eth0");
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("ifindex"), index).unwrap();
            std::fs::write(dir.join("mtu"), mtu).unwrap();
            dir
        };
        let mtu = FAMILIES.iter().position(|family| family.2 == "mtu").unwrap();
        let mut netclass = Netclass::default();
        let dir = make("2\n", "1500\n");
        for value in [1500, 9000] {
            std::fs::write(dir.join("mtu"), format!("{value}\n")).unwrap();
            assert_eq!(netclass.read(&dir, "eth0").unwrap().numbers[mtu], Some(value));
        }
        std::fs::rename(&dir, root.path().join("eth1")).unwrap();
        let dir = make("3\n", "1400\n");
        assert_eq!(netclass.read(&dir, "eth0").unwrap().numbers[mtu], Some(1400));
        assert_eq!(netclass.held.len(), 1);
    }
}
