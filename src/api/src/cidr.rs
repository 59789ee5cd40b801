//! A range of addresses as `ADDRESS/PREFIX`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses; host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid CIDR: {why}")]
pub struct CidrError {
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl Cidr {
    /// The range that holds `address`, its host bits cleared; `None` where the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let width = width(address);
        if prefix > width {
            return None;
        }
        let first = from_bits(address, to_bits(address) & mask(width, prefix));
        Some(Self { first, prefix })
    }

    /// The range of one address.
    pub fn host(address: IpAddr) -> Self {
        Self {
            first: address,
            prefix: width(address),
        }
    }

    /// Its first address.
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// Its last address.
    pub fn last(self) -> IpAddr {
        let width = width(self.first);
        from_bits(
            self.first,
            to_bits(self.first) | (ones(width) & !mask(width, self.prefix)),
        )
    }

    /// Length of the prefix in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// IPv4 and not IPv6.
    pub fn is_ipv4(self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether the address lies in it; one of the other family never does.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.prefix).is_some_and(|range| range == self)
    }

    /// The address `index` places after the first; `None` past the last.
    pub fn nth(self, index: u128) -> Option<IpAddr> {
        let address = to_bits(self.first).checked_add(index)?;
        (address <= to_bits(self.last())).then(|| from_bits(self.first, address))
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn ones(width: u8) -> u128 {
    u128::MAX >> (128 - u32::from(width))
}

/// The bits of the prefix, of an address of `width` bits.
fn mask(width: u8, prefix: u8) -> u128 {
    let host = u32::from(width - prefix);
    ones(width) & u128::MAX.checked_shl(host).unwrap_or(0)
}

fn to_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address of the same family as `like`.
fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        // Only 32 bits are ever set here.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = |why| CidrError {
            text: text.chars().take(80).collect(),
            why,
        };
        let (address, prefix) = text
            .split_once('/')
            .ok_or_else(|| error("must be ADDRESS/PREFIX, such as 10.244.0.0/24"))?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| error("the part before '/' must be an IP address"))?;
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let length = digits.then(|| prefix.parse().ok()).flatten();
        let length = length.ok_or_else(|| error("the part after '/' must be a prefix length"))?;
        Self::new(address, length).ok_or_else(|| error("the prefix is longer than the address"))
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn host_bits_are_cleared() {
        assert_eq!(cidr("10.1.2.3/24").to_string(), "10.1.2.0/24");
        assert_eq!(cidr("fd00::7/64").to_string(), "fd00::/64");
        assert_eq!(cidr("1.2.3.4/0").to_string(), "0.0.0.0/0");
        assert_eq!(cidr("::1/0").to_string(), "::/0");
    }

    #[test]
    fn first_last_and_the_addresses_between() {
        let range = cidr("10.1.2.0/30");
        assert_eq!((range.first(), range.last()), (ip("10.1.2.0"), ip("10.1.2.3")));
        assert_eq!(range.nth(2), Some(ip("10.1.2.2")));
        assert_eq!(range.nth(4), None);
        assert_eq!(cidr("0.0.0.0/0").last(), ip("255.255.255.255"));
        assert_eq!(
            cidr("::/0").nth(u128::MAX),
            Some(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
        );
        assert_eq!(cidr("fd00::/120").nth(256), None);
    }

    #[test]
    fn an_address_of_the_other_family_lies_in_no_range() {
        assert!(cidr("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(!cidr("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(!cidr("0.0.0.0/0").contains(ip("::")));
        assert!(!cidr("::/0").contains(ip("10.0.0.1")));
        assert!(Cidr::host(ip("fd00::1")).contains(ip("fd00::1")));
    }

    #[test]
    fn what_is_not_a_range_is_refused_with_the_rule() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "a/8",
            "10.0.0/8",
            "1.1.1.1/256",
        ] {
            let error = text.parse::<Cidr>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{text:?} is not a valid CIDR: "))
            );
        }
    }
}
