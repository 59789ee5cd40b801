//! `netclass`: what the network interfaces are (`/sys/class/net`).
//!
//! An interface has some twenty files there, and a node one interface for each pod. So they are read only after
//! the kernel has told of a change, or a minute later: of a speed that changes without the carrier, and of little
//! else, it does not tell. Where another network's `/sys` is read, which it tells nothing of, they are read anew
//! each time.

use std::path::Path;
use std::time::{Duration, Instant};

use pinnace_sys::mount::sysfs_shows_own_network;
use pinnace_sys::netlink::LinkWatch;

use super::Collector;
use crate::encode::{Encoder, Kind, Labels};
use crate::host::CollectError;
use crate::reader::{Attributes, Reader};

/// Interfaces that are read at most; a node has one per pod and a few of its own.
const MOST_INTERFACES: usize = 4096;
/// What was read is read again after so long, whether or not the kernel told of a change.
const LONGEST_KEPT: Duration = Duration::from_secs(60);

pub(super) struct Netclass {
    /// Where the kernel tells of changes to what is read.
    watch: Option<LinkWatch>,
    /// What was read, and when; nothing where the last reading failed.
    known: Option<(Instant, Vec<Interface>)>,
}

impl Netclass {
    /// Must be called in the network namespace that is to be read.
    pub(super) fn new(host: &Reader) -> Self {
        Self {
            watch: watch(&host.sys("")),
            known: None,
        }
    }

    /// The interfaces as they are.
    fn look(&mut self, class: &Path) -> Result<&[Interface], CollectError> {
        let changed = self.watch.as_ref().is_none_or(LinkWatch::changed);
        let known = self.known.take();
        let still = known.filter(|(read, _)| !changed && read.elapsed() < LONGEST_KEPT);
        let known = match still {
            Some(known) => known,
            None => (Instant::now(), read(class)?),
        };
        Ok(&self.known.insert(known).1)
    }
}

fn watch(sys: &Path) -> Option<LinkWatch> {
    match sysfs_shows_own_network(sys) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => {
            tracing::debug!(%error, "interfaces are read at each scrape");
            return None;
        }
    }
    let opened = LinkWatch::open();
    opened
        .inspect_err(|error| tracing::debug!(%error, "interfaces are read at each scrape"))
        .ok()
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
        let interfaces = self.look(&host.sys("class/net"))?;
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

fn read(class: &Path) -> Result<Vec<Interface>, CollectError> {
    let read = |name: &String| Some(Interface::read(&Attributes::open(&class.join(name))?, name));
    Ok(names(class)?.iter().filter_map(read).collect())
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

    fn mtu(netclass: &mut Netclass, class: &Path) -> Vec<Option<i64>> {
        let mtu = FAMILIES.iter().position(|family| family.2 == "mtu").unwrap();
        let found = netclass.look(class).unwrap();
        found.iter().map(|one| one.numbers[mtu]).collect()
    }

    #[test]
    fn interfaces_are_read_at_each_scrape_where_nothing_tells_of_changes() {
        let root = tempfile::tempdir().unwrap();
        let mut netclass = Netclass::new(&Reader::new(crate::Host::beneath(root.path())));
        assert!(netclass.watch.is_none());
        assert!(netclass.look(root.path()).unwrap().is_empty());
        let dir = root.path().join("eth0");
        std::fs::create_dir(&dir).unwrap();
        for value in [1500, 9000] {
            std::fs::write(dir.join("mtu"), format!("{value}\n")).unwrap();
            assert_eq!(mtu(&mut netclass, root.path()), [Some(value)]);
        }
    }

    #[test]
    fn interfaces_are_read_again_after_a_change_that_was_told_of_or_a_minute() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("eth0");
        std::fs::create_dir(&dir).unwrap();
        let write = |mtu: u32| std::fs::write(dir.join("mtu"), mtu.to_string()).unwrap();
        let (class, own) = (
            root.path().to_owned(),
            std::thread::scope(|scope| {
                // A network of its own, in which nothing changes but what this test changes.
                let thread = scope.spawn(|| {
                    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                    let mut netclass = Netclass {
                        watch: Some(LinkWatch::open().unwrap()),
                        known: None,
                    };
                    write(1500);
                    assert_eq!(mtu(&mut netclass, root.path()), [Some(1500)]);
                    write(1400);
                    assert_eq!(
                        mtu(&mut netclass, root.path()),
                        [Some(1500)],
                        "read though nothing changed"
                    );
                    let done = std::process::Command::new("ip")
                        .args(["link", "set", "lo", "up"])
                        .status();
                    assert!(done.unwrap().success());
                    assert_eq!(mtu(&mut netclass, root.path()), [Some(1400)]);
                    netclass
                });
                thread.join().unwrap()
            }),
        );
        let mut netclass = own;
        while netclass.watch.as_ref().unwrap().changed() {}
        write(1300);
        let (read, _) = netclass.known.as_mut().unwrap();
        *read = read.checked_sub(LONGEST_KEPT).unwrap();
        assert_eq!(mtu(&mut netclass, &class), [Some(1300)]);
        // What cannot be read is not told from what was known.
        std::fs::remove_dir_all(&class).unwrap();
        netclass.known = None;
        assert!(netclass.look(&class).is_err());
    }
}
