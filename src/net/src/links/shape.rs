//! `kubernetes.io/ingress-bandwidth` and `kubernetes.io/egress-bandwidth`: how fast a pod may receive and send.
//!
//! A token bucket (`tbf`) each: what the pod receives is held on the host's side of its link, what it sends on
//! its own side, where its sockets feel it at once and nothing needs to be dropped. A pod that may administer its
//! network could lift the second.

use std::path::Path;
use std::str::FromStr;

use pinnace_api::{Pod, Quantity};
use pinnace_sys::netlink::{self, Batch, Socket};
use pinnace_sys::{Doing, namespace};

use super::look::{Wanted, find_link};
use super::message::{link_header, socket};
use crate::error::NetError;

const INGRESS: &str = "kubernetes.io/ingress-bandwidth";
const EGRESS: &str = "kubernetes.io/egress-bandwidth";
/// Kubernetes' bounds, in bits a second.
const BITS_MIN: u64 = 1_000;
const BITS_MAX: u64 = 1_000_000_000_000_000;
/// What may pass at once: two of the largest packets that the kernel hands over whole.
const BURST_BYTES: u64 = 128 * 1024;
/// Tokens of this long may gather, at most.
const BURST_MS: u64 = 10;
/// A packet waits for this long at most.
const LATENCY_MS: u64 = 50;
/// `TC_H_ROOT`.
const ROOT: u32 = u32::MAX;
/// `1:` as a queue's handle.
const HANDLE: u32 = 0x1_0000;
/// `TCA_TBF_PARMS`, `TCA_TBF_RATE64`, `TCA_TBF_BURST`.
const PARAMETERS: u16 = 1;
const RATE64: u16 = 4;
const BURST: u16 = 6;

/// How fast, in bits a second; `None` is as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    pub ingress_bits: Option<u64>,
    pub egress_bits: Option<u64>,
}

impl Shape {
    /// What a pod's annotations ask for.
    pub(crate) fn of(pod: &Pod) -> Result<Self, NetError> {
        let read = |annotation| match pod.meta.annotations.get(annotation) {
            Some(text) => bits(text)
                .map(Some)
                .map_err(|why| NetError::Bandwidth { annotation, why }),
            None => Ok(None),
        };
        Ok(Self {
            ingress_bits: read(INGRESS)?,
            egress_bits: read(EGRESS)?,
        })
    }
}

fn bits(text: &str) -> Result<u64, String> {
    let quantity = Quantity::from_str(text).map_err(|error| error.to_string())?;
    let bits = quantity.bytes().map_err(|error| error.to_string())?.0;
    match bits {
        ..BITS_MIN => Err("resource is unreasonably small (< 1kbit)".to_owned()),
        BITS_MIN..=BITS_MAX => Ok(bits),
        _ => Err("resource is unreasonably large (> 1Pbit)".to_owned()),
    }
}

/// Holds the pod to its bandwidth; the link must be there.
pub(crate) fn shape(shape: Shape, link: &str, pod: &Path) -> Result<(), NetError> {
    if let Some(bits) = shape.ingress_bits {
        bucket(&mut socket()?, Wanted::Name(link), bits)?;
    }
    if let Some(bits) = shape.egress_bits {
        let host = find_link(&mut socket()?, Wanted::Name(link))?;
        let peer = host.map_or(0, |host| host.peer);
        bucket(&mut namespace::visit(pod, socket)??, Wanted::Index(peer), bits)?;
    }
    Ok(())
}

/// Makes a pair and limits it, in a namespace that is gone afterwards: can this kernel do it?
pub(crate) fn probe() -> Result<(), NetError> {
    const NAME: &str = "probe0";
    let mut host = socket()?;
    let mut batch = Batch::new();
    let flags = netlink::ACK | netlink::CREATE | netlink::EXCLUSIVE;
    batch
        .message(libc::RTM_NEWLINK, flags, &link_header(0, false))
        .text(libc::IFLA_IFNAME, NAME)
        .nest(libc::IFLA_LINKINFO, |info| {
            info.text(libc::IFLA_INFO_KIND, "veth");
        });
    let answers = host.execute(batch).doing("make the link", NAME)?;
    match answers.results.into_iter().collect::<std::io::Result<()>>() {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Err(NetError::NoVeth),
        made => made.doing("make the link", NAME)?,
    }
    bucket(&mut host, Wanted::Name(NAME), BITS_MIN)
}

fn bucket(socket: &mut Socket, wanted: Wanted<'_>, bits: u64) -> Result<(), NetError> {
    let gone = || std::io::Error::from_raw_os_error(libc::ENODEV);
    let link = find_link(socket, wanted)?;
    let link = link.ok_or_else(gone).doing("limit the bandwidth of", wanted)?;
    let mut header = [0; 20];
    header[4..8].copy_from_slice(&link.index.to_ne_bytes());
    header[8..12].copy_from_slice(&HANDLE.to_ne_bytes());
    header[12..16].copy_from_slice(&ROOT.to_ne_bytes());
    let flags = netlink::ACK | netlink::CREATE | netlink::REPLACE;
    let rate = (bits / 8).max(1);
    let burst = (rate / 1000 * BURST_MS).max(BURST_BYTES);
    let mut batch = Batch::new();
    batch
        .message(libc::RTM_NEWQDISC, flags, &header)
        .text(libc::TCA_KIND, "tbf")
        .nest(libc::TCA_OPTIONS, |options| {
            options
                .u64(RATE64, rate)
                .u32(BURST, u32::try_from(burst).unwrap_or(u32::MAX))
                .bytes(PARAMETERS, &parameters(rate, burst));
        });
    let answers = socket.execute(batch).doing("limit the bandwidth of", wanted)?;
    match answers.results.into_iter().collect::<std::io::Result<()>>() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Err(NetError::NoTokenBucket),
        result => Ok(result.doing("limit the bandwidth of", wanted)?),
    }
}

/// `struct tc_tbf_qopt`: the rate (`struct tc_ratespec`, its last word), no peak rate, how much may wait.
fn parameters(rate: u64, burst: u64) -> [u8; 36] {
    let mut parameters = [0; 36];
    let low = u32::try_from(rate).unwrap_or(u32::MAX);
    let limit = u32::try_from(burst + rate / 1000 * LATENCY_MS).unwrap_or(u32::MAX);
    // `TC_LINKLAYER_ETHERNET`: without it the kernel wants a table of costs.
    parameters[1] = 1;
    parameters[8..12].copy_from_slice(&low.to_ne_bytes());
    parameters[24..28].copy_from_slice(&limit.to_ne_bytes());
    parameters
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;

    fn with(annotation: &str, value: &str) -> Result<Shape, NetError> {
        let mut pod = testing::pod("p", json!({}));
        pod.meta
            .annotations
            .insert(annotation.to_owned(), value.to_owned());
        Shape::of(&pod)
    }

    #[test]
    fn annotations_are_read_with_kubernetes_bounds_and_words() {
        assert_eq!(with("other", "1").unwrap(), Shape::default());
        assert_eq!(with(INGRESS, "10M").unwrap().ingress_bits, Some(10_000_000));
        assert_eq!(with(EGRESS, "1k").unwrap().egress_bits, Some(1_000));
        assert_eq!(with(EGRESS, "1P").unwrap().egress_bits, Some(BITS_MAX));
        let why = |value| with(INGRESS, value).unwrap_err().to_string();
        assert_eq!(
            why("999"),
            "annotation kubernetes.io/ingress-bandwidth: resource is unreasonably small (< 1kbit)"
        );
        assert!(why("2P").ends_with("resource is unreasonably large (> 1Pbit)"));
        assert!(with(INGRESS, "fast").is_err());
    }
}
