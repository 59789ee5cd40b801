//! Tar archives by hand, good ones and bad ones.

/// A header's fields.
#[derive(Clone)]
pub(in crate::images) struct Header {
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub mtime: i64,
    pub device: (u32, u32),
}

impl Header {
    pub fn new(kind: u8, name: &str) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            link: Vec::new(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 1_000_000_000,
            device: (0, 0),
        }
    }

    pub fn link(mut self, target: &str) -> Self {
        self.link = target.as_bytes().to_vec();
        self
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub fn mtime(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        self
    }

    pub fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }

    pub fn size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    pub fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        block[..self.name.len()].copy_from_slice(&self.name);
        block[157..157 + self.link.len()].copy_from_slice(&self.link);
        number(&mut block[100..108], self.mode.into());
        number(&mut block[108..116], self.uid.into());
        number(&mut block[116..124], self.gid.into());
        number(&mut block[124..136], self.size.into());
        number(&mut block[136..148], self.mtime.into());
        number(&mut block[329..337], self.device.0.into());
        number(&mut block[337..345], self.device.1.into());
        block[156] = self.kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        seal(&mut block);
        block
    }
}

/// Octal where it fits, else base 256.
pub(in crate::images) fn number(field: &mut [u8], value: i128) {
    let digits = format!("{value:o}");
    if value >= 0 && digits.len() < field.len() {
        let padded = format!("{digits:0>width$}", width = field.len() - 1);
        field[..padded.len()].copy_from_slice(padded.as_bytes());
        return;
    }
    let bytes = value.to_be_bytes();
    let start = bytes.len() - field.len();
    field.copy_from_slice(&bytes[start..]);
    field[0] |= 0x80;
}

/// Sets the checksum.
pub(in crate::images) fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// An archive that is being written.
#[derive(Default)]
pub(in crate::images) struct Tarball(Vec<u8>);

impl Tarball {
    pub fn new() -> Self {
        Self::default()
    }

    /// A header with these bytes as its data; the size is theirs unless the header states one.
    pub fn add(&mut self, mut header: Header, data: &[u8]) -> &mut Self {
        if header.size == 0 {
            header.size = data.len() as u64;
        }
        if header.name.len() > 100 {
            let name = std::mem::take(&mut header.name);
            self.add(Header::new(b'L', "././@LongLink"), &[&name[..], b"\0"].concat());
            header.name = name[..100].to_vec();
        }
        if header.link.len() > 100 {
            let link = std::mem::take(&mut header.link);
            self.add(Header::new(b'K', "././@LongLink"), &[&link[..], b"\0"].concat());
        }
        self.raw(&header.block()).raw(data)
    }

    /// Bytes, padded to a block.
    pub fn raw(&mut self, data: &[u8]) -> &mut Self {
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(&mut self, name: &str, data: &[u8]) -> &mut Self {
        self.add(Header::new(b'0', name), data)
    }

    pub fn dir(&mut self, name: &str) -> &mut Self {
        self.add(Header::new(b'5', name).mode(0o755), b"")
    }

    pub fn symlink(&mut self, name: &str, target: &str) -> &mut Self {
        self.add(Header::new(b'2', name).link(target), b"")
    }

    pub fn hardlink(&mut self, name: &str, target: &str) -> &mut Self {
        self.add(Header::new(b'1', name).link(target), b"")
    }

    pub fn pax(&mut self, records: &[(&str, &[u8])]) -> &mut Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let length = (1..20)
                .map(|digits| body + digits)
                .find(|l| l.to_string().len() + body == *l);
            data.extend(format!("{} {key}=", length.unwrap()).as_bytes());
            data.extend(*value);
            data.push(b'\n');
        }
        self.add(Header::new(b'x', "PaxHeaders/x"), &data)
    }

    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.extend([0; 1024]);
        bytes
    }

    /// Without the end mark.
    pub fn unfinished(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}
