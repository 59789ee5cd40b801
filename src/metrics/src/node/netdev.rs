//! `netdev`: what passed through the network interfaces.

use procfs::FromBufRead;
use procfs::net::{DeviceStatus, InterfaceDeviceStatus};

use super::Collector;
use crate::encode::{Encoder, Kind, Labels};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Netdev;

type Read = fn(&DeviceStatus) -> u64;

const FAMILIES: [(&str, &str, Read); 16] = [
    ("node_network_receive_bytes_total", "Bytes received.", |d| {
        d.recv_bytes
    }),
    (
        "node_network_receive_compressed_total",
        "Compressed packets received.",
        |d| d.recv_compressed,
    ),
    (
        "node_network_receive_drop_total",
        "Packets received and dropped.",
        |d| d.recv_drop,
    ),
    (
        "node_network_receive_errs_total",
        "Packets received with errors.",
        |d| d.recv_errs,
    ),
    (
        "node_network_receive_fifo_total",
        "Overruns of the receive queue.",
        |d| d.recv_fifo,
    ),
    (
        "node_network_receive_frame_total",
        "Frames received with an error of alignment.",
        |d| d.recv_frame,
    ),
    (
        "node_network_receive_multicast_total",
        "Multicast packets received.",
        |d| d.recv_multicast,
    ),
    ("node_network_receive_packets_total", "Packets received.", |d| {
        d.recv_packets
    }),
    ("node_network_transmit_bytes_total", "Bytes sent.", |d| {
        d.sent_bytes
    }),
    (
        "node_network_transmit_carrier_total",
        "Packets lost with the link.",
        |d| d.sent_carrier,
    ),
    ("node_network_transmit_colls_total", "Collisions.", |d| {
        d.sent_colls
    }),
    (
        "node_network_transmit_compressed_total",
        "Compressed packets sent.",
        |d| d.sent_compressed,
    ),
    (
        "node_network_transmit_drop_total",
        "Packets dropped instead of sent.",
        |d| d.sent_drop,
    ),
    (
        "node_network_transmit_errs_total",
        "Packets that could not be sent.",
        |d| d.sent_errs,
    ),
    (
        "node_network_transmit_fifo_total",
        "Overruns of the send queue.",
        |d| d.sent_fifo,
    ),
    ("node_network_transmit_packets_total", "Packets sent.", |d| {
        d.sent_packets
    }),
];

impl Collector for Netdev {
    fn name(&self) -> &'static str {
        "netdev"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let text = host.proc_text("net/dev")?;
        let read =
            InterfaceDeviceStatus::from_buf_read(text.as_bytes()).map_err(|source| CollectError::Parse {
                path: host.proc("net/dev"),
                source,
            })?;
        let mut devices: Vec<DeviceStatus> = read.0.into_values().collect();
        devices.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let labels: Vec<Labels> = devices
            .iter()
            .map(|device| Labels::new(&[("device", &device.name)]))
            .collect();
        for (name, help, read) in FAMILIES {
            let found = labels.iter().zip(devices.iter().map(read));
            out.samples(name, Kind::Counter, help, found);
        }
        Ok(())
    }
}
