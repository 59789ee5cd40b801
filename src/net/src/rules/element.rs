//! Elements of sets and maps, as the kernel holds them: keys and values are fields one after the other, each
//! filled up to four bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pinnace_api::pod::Protocol;

/// `IFNAMSIZ`.
const LINK_NAME: usize = 16;

/// What a field of a key or value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    V4,
    V6,
    Protocol,
    Port,
    /// A number drawn, in the machine's byte order.
    Index,
    Link,
}

impl Field {
    /// How many bytes it takes.
    pub(super) fn width(self) -> usize {
        match self {
            Field::V4 | Field::Protocol | Field::Port | Field::Index => 4,
            Field::V6 | Field::Link => 16,
        }
    }
}

/// Fields one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Concat(pub(super) Vec<u8>);

impl Concat {
    pub(super) fn of(address: IpAddr) -> Self {
        Self::default().address(address)
    }

    pub(super) fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.field(&address.octets()),
            IpAddr::V6(address) => self.field(&address.octets()),
        }
    }

    pub(super) fn protocol(self, protocol: Protocol) -> Self {
        self.field(&[number(protocol)])
    }

    pub(super) fn port(self, port: u16) -> Self {
        self.field(&port.to_be_bytes())
    }

    pub(super) fn index(self, index: u32) -> Self {
        self.field(&index.to_ne_bytes())
    }

    /// A longer name than the kernel knows is cut, and is no interface's.
    pub(super) fn link(self, name: &str) -> Self {
        let mut bytes = [0; LINK_NAME];
        for (to, from) in bytes.iter_mut().zip(name.bytes().take(LINK_NAME - 1)) {
            *to = from;
        }
        self.field(&bytes)
    }

    fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// The protocol's number on the wire.
pub(super) fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// A key, or all keys from the first to the last, field by field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) first: Concat,
    pub(super) last: Option<Concat>,
}

impl From<Concat> for Key {
    fn from(first: Concat) -> Self {
        Self { first, last: None }
    }
}

/// Chains that elements of verdict maps lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chain {
    /// Nobody is there.
    Refuse,
    /// One of so many endpoints of an address.
    Endpoints(u32),
    /// One of so many endpoints of a port of the node.
    NodeEndpoints(u32),
    /// Clients are remembered for so many seconds.
    Affinity(u32),
}

impl Chain {
    pub(super) fn name(self) -> String {
        match self {
            Chain::Refuse => "refuse".to_owned(),
            Chain::Endpoints(slots) => format!("endpoints-{slots}"),
            Chain::NodeEndpoints(slots) => format!("node-endpoints-{slots}"),
            Chain::Affinity(seconds) => format!("affinity-{seconds}"),
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        if name == "refuse" {
            return Some(Chain::Refuse);
        }
        let (kind, number) = name.rsplit_once('-')?;
        let number = number.parse().ok()?;
        match kind {
            "endpoints" => Some(Chain::Endpoints(number)),
            "node-endpoints" => Some(Chain::NodeEndpoints(number)),
            "affinity" => Some(Chain::Affinity(number)),
            _ => None,
        }
    }
}

/// What a key leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Data {
    /// It is in the set; that is all.
    Member,
    /// These fields.
    Value(Concat),
    /// This chain.
    Goto(Chain),
    /// Nothing that is made here.
    Foreign,
}

/// All of an element but its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) data: Data,
    /// UID of the pod that it belongs to, where it belongs to one.
    pub(super) owner: Option<String>,
}

impl From<Data> for Entry {
    fn from(data: Data) -> Self {
        Self { data, owner: None }
    }
}

/// The elements of one set.
pub(super) type Elements = BTreeMap<Key, Entry>;

/// Whether any of the keys that begin with `front` leads to `data`.
pub(super) fn leads_to(elements: Option<&Elements>, front: &[u8], data: &Data) -> bool {
    let first = Key::from(Concat(front.to_vec()));
    elements.is_some_and(|elements| {
        elements
            .range(first..)
            .take_while(|(key, _)| key.first.0.starts_with(front))
            .any(|(_, entry)| entry.data == *data)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_up_to_four_bytes() {
        let key = Concat::of("10.96.0.1".parse().unwrap())
            .protocol(Protocol::Tcp)
            .port(80);
        assert_eq!(key.0, [10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0]);
        let key = Concat::default().link("pn0123456789abcdef");
        assert_eq!(key.0, *b"pn0123456789abc\0");
    }

    #[test]
    fn chains_are_found_again_by_their_names() {
        for chain in [
            Chain::Refuse,
            Chain::Endpoints(3),
            Chain::NodeEndpoints(256),
            Chain::Affinity(10_800),
        ] {
            assert_eq!(Chain::parse(&chain.name()), Some(chain));
        }
        for name in ["", "refuse-1", "endpoints-", "endpoints-x", "affinity"] {
            assert_eq!(Chain::parse(name), None);
        }
    }
}
