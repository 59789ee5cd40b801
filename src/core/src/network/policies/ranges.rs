//! Ranges of addresses and ports, both ends included.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pinnace_api::Cidr;
use pinnace_api::service::IpFamily;

/// First and last; an IPv4 address is its 32 bits.
pub(super) type Range = (u128, u128);

pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address of the same family as `like`.
pub(super) fn address(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        // Only 32 bits are ever set here.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

pub(super) fn of_address(address: IpAddr) -> Range {
    (bits(address), bits(address))
}

pub(super) fn of_cidr(cidr: Cidr) -> Range {
    (bits(cidr.first()), bits(cidr.last()))
}

/// Every address of a family.
pub(super) fn everybody(family: IpFamily) -> Range {
    match family {
        IpFamily::Ipv4 => (0, u128::from(u32::MAX)),
        IpFamily::Ipv6 => (0, u128::MAX),
    }
}

/// Sorted, with what overlaps or adjoins made one.
pub(super) fn merged<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if next(before.1).is_none_or(|next| first <= next) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// [`merged`] ranges of addresses.
pub(super) fn merged_peers(ranges: Vec<Range>) -> Vec<Range> {
    merged(ranges, |last| last.checked_add(1))
}

/// What is left of a range without those in `except`.
pub(super) fn without(range: Range, except: Vec<Range>) -> Vec<Range> {
    let mut left = Vec::new();
    let mut from = Some(range.0);
    for (first, last) in merged_peers(except) {
        if let Some(from) = from
            && first > from
        {
            left.push((from, first.saturating_sub(1).min(range.1)));
        }
        from = last.checked_add(1).filter(|next| *next <= range.1);
    }
    left.extend(from.map(|from| (from, range.1)));
    left
}
