//! What the host shows of itself, read once at start.

use std::net::IpAddr;
use std::path::Path;

use pinnace_api::Bytes;
use pinnace_core::node::HostFacts;
use pinnace_sys::Layout;

/// Reads the facts; what cannot be read is empty, and capacity that cannot be read admits nothing.
pub fn read(layout: &Layout, boot_id: &str) -> HostFacts {
    let uname = rustix::system::uname();
    let text = |field: &std::ffi::CStr| field.to_string_lossy().into_owned();
    HostFacts {
        hostname: text(uname.nodename()),
        machine: text(uname.machine()),
        kernel_release: text(uname.release()),
        os_image: os_image(),
        machine_id: first_line("/etc/machine-id"),
        system_uuid: first_line("/sys/class/dmi/id/product_uuid"),
        boot_id: boot_id.to_owned(),
        cpus: std::thread::available_parallelism()
            .map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        memory: Bytes(memory_bytes()),
        ephemeral_storage: Bytes(file_system_bytes(&layout.state())),
        addresses: addresses(),
    }
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn os_image() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_default()
}

fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn file_system_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize))
}

/// The addresses that this host would send from, one of each family; no packet is sent.
fn addresses() -> Vec<IpAddr> {
    let toward = |bind: &str, peer: &str| -> Option<IpAddr> {
        let socket = std::net::UdpSocket::bind(bind).ok()?;
        socket.connect(peer).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    };
    // Addresses kept for documentation: a route to them is the default route.
    let all = [
        toward("0.0.0.0:0", "192.0.2.1:9"),
        toward("[::]:0", "[2001:db8::1]:9"),
    ];
    all.into_iter().flatten().collect()
}
