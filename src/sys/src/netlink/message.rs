//! Messages and attributes as bytes.

/// Length of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;
/// Length of `struct nlattr`.
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// `NLA_F_NESTED | NLA_F_NET_BYTEORDER`.
const KIND_FLAGS: u16 = 0xc000;

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Requests that are sent at once, in order.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    /// Where each message begins.
    pub(super) starts: Vec<usize>,
}

impl Batch {
    /// No request.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// It holds none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// How many bytes it takes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a request; `header` is the protocol's own (`struct ifinfomsg`, say). Its sequence number is given
    /// when it is sent.
    pub fn message(&mut self, kind: u16, flags: u16, header: &[u8]) -> Message<'_> {
        let start = self.bytes.len();
        self.starts.push(start);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | super::REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(header);
        pad(&mut self.bytes);
        let mut message = Message {
            bytes: &mut self.bytes,
            start,
        };
        message.close();
        message
    }

    /// Gives the requests sequence numbers from `first` on.
    pub(super) fn number(&mut self, first: u32) {
        for (place, start) in self.starts.iter().enumerate() {
            let number = first.wrapping_add(place as u32);
            self.bytes[start + 8..start + 12].copy_from_slice(&number.to_ne_bytes());
        }
    }

    /// Whether the kernel answers the request at `place` with a number.
    pub(super) fn is_acknowledged(&self, place: usize) -> bool {
        let flags = self.starts[place] + 6;
        u16::from_ne_bytes([self.bytes[flags], self.bytes[flags + 1]]) & super::ACK != 0
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(aligned(bytes.len()), 0);
}

/// A request that is being written; its length is right at any time.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl Message<'_> {
    /// An attribute of any content. What does not fit an attribute (64 KiB) is cut, and refused by the kernel.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let value = &value[..value.len().min(usize::from(u16::MAX) - ATTRIBUTE_HEADER)];
        let length = (value.len() + ATTRIBUTE_HEADER) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        pad(self.bytes);
        self.close();
        self
    }

    /// A byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// A number in the machine's byte order.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number in the machine's byte order.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number in the machine's byte order.
    pub fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number in the network's byte order.
    pub fn u16_be(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A number in the network's byte order.
    pub fn u32_be(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A number in the network's byte order.
    pub fn u64_be(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Text with the zero byte at its end.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// An attribute of attributes.
    pub fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Message<'_>)) -> &mut Self {
        self.nest_after(kind, &[], write)
    }

    /// An attribute of attributes that come after a header of their own (`VETH_INFO_PEER`).
    pub fn nest_after(
        &mut self,
        kind: u16,
        header: &[u8],
        write: impl FnOnce(&mut Message<'_>),
    ) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        self.bytes.extend_from_slice(header);
        pad(self.bytes);
        write(self);
        let length = (self.bytes.len() - start).min(usize::from(u16::MAX)) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.close();
        self
    }

    fn close(&mut self) {
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// A message from the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its kind (`RTM_NEWLINK`, say).
    pub kind: u16,
    /// All after the netlink header.
    pub payload: Vec<u8>,
}

impl Received {
    /// The protocol's own header; `None` where the message is too short for it.
    pub fn header<const N: usize>(&self) -> Option<[u8; N]> {
        self.payload.get(..N)?.try_into().ok()
    }

    /// The attributes after a header of `header` bytes.
    pub fn attributes(&self, header: usize) -> Attributes<'_> {
        Attributes::of(self.payload.get(aligned(header)..).unwrap_or_default())
    }
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its kind, without flags.
    pub kind: u16,
    /// Its content.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The content as a number in the machine's byte order.
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.value.try_into().ok()?))
    }

    /// The content as a number in the network's byte order.
    pub fn u32_be(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.value.try_into().ok()?))
    }

    /// The content as text, up to its zero byte.
    pub fn text(&self) -> Option<&'a str> {
        let end = self
            .value
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(self.value.len());
        std::str::from_utf8(&self.value[..end]).ok()
    }

    /// The attributes within.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes::of(self.value)
    }
}

/// Attributes one after the other; ends at the first that does not fit.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Those in these bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The first of this kind.
    pub fn find(self, kind: u16) -> Option<Attribute<'a>> {
        let mut all = self;
        Iterator::find(&mut all, |attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let length = usize::from(u16::from_ne_bytes(self.rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(self.rest.get(2..4)?.try_into().ok()?) & !KIND_FLAGS;
        let value = self.rest.get(ATTRIBUTE_HEADER..length)?;
        self.rest = self.rest.get(aligned(length)..).unwrap_or_default();
        Some(Attribute { kind, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut batch = Batch::new();
        batch
            .message(16, super::super::ACK, &[0; 16])
            .text(3, "eth0")
            .nest(18, |info| {
                info.text(1, "veth").nest_after(2, &[9; 16], |peer| {
                    peer.u32(28, 5);
                });
            });
        batch.message(20, 0, &[1, 2, 3]).u16_be(1, 80);
        batch.number(7);
        assert_eq!((batch.len(), batch.starts.len()), (2, 2));
        let length = u32::from_ne_bytes(batch.bytes[..4].try_into().unwrap()) as usize;
        assert_eq!(length, batch.starts[1]);
        assert_eq!(batch.bytes[length + 8..length + 12], 8_u32.to_ne_bytes());
        assert!(batch.is_acknowledged(0) && !batch.is_acknowledged(1));

        let first = Received {
            kind: 16,
            payload: batch.bytes[HEADER..length].to_vec(),
        };
        assert_eq!(first.attributes(16).find(3).unwrap().text(), Some("eth0"));
        let info = first.attributes(16).find(18).unwrap();
        assert_eq!(info.nested().find(1).unwrap().text(), Some("veth"));
        let peer = info.nested().find(2).unwrap();
        let within = Attributes::of(&peer.value[16..]);
        assert_eq!(within.find(28).unwrap().u32(), Some(5));
    }

    #[test]
    fn attributes_that_do_not_fit_end_the_list() {
        let whole = [8, 0, 1, 0, 1, 2, 3, 4];
        for length in 0..whole.len() {
            assert_eq!(Attributes::of(&whole[..length]).count(), 0, "{length}");
        }
        // A length below that of the header would never move on.
        assert_eq!(Attributes::of(&[0, 0, 1, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(Attributes::of(&[3, 0, 1, 0]).count(), 0);
        assert_eq!(Attributes::of(&[5, 0, 1, 0, 7]).count(), 1);
    }
}
