//! Addresses and ranges of them.

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::report::Report;
use crate::tree::Path;

/// An address.
pub(super) fn ip(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    match text.parse() {
        Err(_) => {
            report.invalid(
                path,
                text,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            );
            None
        }
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            report.invalid(path, text, "must not be an IPv4-mapped IPv6 address");
            None
        }
        Ok(address) => Some(address),
    }
}

/// An address that packets may be sent to from elsewhere.
pub(super) fn reachable_ip(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    let address = ip(text, path, report)?;
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let link_multicast = match address {
        IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
    };
    let why = if address.is_unspecified() {
        format!("may not be unspecified ({text})")
    } else if address.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
    } else if link_local {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
    } else if link_multicast {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
    } else {
        return Some(address);
    };
    report.invalid(path, text, why);
    None
}

/// A range; one whose address is not its first is taken with a warning, as Kubernetes does.
pub(super) fn cidr(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<Cidr> {
    let invalid = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let address = text.split('/').next().and_then(|address| address.parse().ok());
    let (Ok(range), Some(address)) = (text.parse::<Cidr>(), address) else {
        report.invalid(path, text, invalid);
        return None;
    };
    if range.first() != address {
        let host = Cidr::host(address);
        let message = format!(
            "CIDR value {text:?} is ambiguous in this context (should be \"{range}\" or \"{host}\"?)"
        );
        report.warn(path, message);
    }
    Some(range)
}
