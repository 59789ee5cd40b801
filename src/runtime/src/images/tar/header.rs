//! One header block: fields at fixed places, numbers in octal or base 256.

use super::TarError;

pub(super) const BLOCK: usize = 512;
pub(super) type Block = [u8; BLOCK];

/// What an entry makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::images) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// A type flag that no image uses.
    Other(u8),
}

/// The fields of a header block.
pub(super) struct RawHeader {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub type_flag: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub mtime: i64,
    pub device: (u32, u32),
}

impl RawHeader {
    /// Reads the block that began at `offset`.
    pub fn parse(block: &Block, offset: u64) -> Result<Self, TarError> {
        if !checksum_fits(block) {
            return Err(TarError::Checksum { offset });
        }
        let type_flag = block[156];
        let mut path = text(&block[..100]).to_vec();
        // GNU's variant keeps other fields where POSIX's has the prefix.
        let prefix = text(&block[345..500]);
        if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
        let is_device = matches!(type_flag, b'3' | b'4');
        let device = |field: &[u8]| {
            if is_device {
                unsigned(field, "device number")
            } else {
                Ok(0)
            }
        };
        let narrow = |value: u64, field| u32::try_from(value).map_err(|_| TarError::Number { field });
        Ok(Self {
            path,
            link: text(&block[157..257]).to_vec(),
            type_flag,
            // Some writers fill the mode's upper bits with the kind of file.
            mode: narrow(unsigned(&block[100..108], "mode")? & 0o7777, "mode")?,
            uid: unsigned(&block[108..116], "uid")?,
            gid: unsigned(&block[116..124], "gid")?,
            size: unsigned(&block[124..136], "size")?,
            mtime: i64::try_from(number(&block[136..148], "mtime")?)
                .map_err(|_| TarError::Number { field: "mtime" })?,
            device: (
                narrow(device(&block[329..337])?, "device number")?,
                narrow(device(&block[337..345])?, "device number")?,
            ),
        })
    }

    /// What the entry makes, by its whole name: the field here may hold a part of it, cut off at a slash.
    pub fn kind(&self, whole_path: &[u8]) -> Kind {
        match self.type_flag {
            // In the oldest form, a directory is told by its name alone.
            b'0' | 0 if whole_path.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => Kind::Other(other),
        }
    }
}

/// The field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Old writers summed signed bytes.
fn checksum_fits(block: &Block) -> bool {
    let Ok(stated) = number(&block[148..156], "checksum") else {
        return false;
    };
    let counted = |index: usize, byte: u8| if (148..156).contains(&index) { b' ' } else { byte };
    let (mut unsigned, mut signed) = (0_i128, 0_i128);
    for (index, byte) in block.iter().enumerate() {
        let byte = counted(index, *byte);
        unsigned += i128::from(byte);
        signed += i128::from(byte.cast_signed());
    }
    stated == unsigned || stated == signed
}

pub(super) fn unsigned(field: &[u8], name: &'static str) -> Result<u64, TarError> {
    u64::try_from(number(field, name)?).map_err(|_| TarError::Number { field: name })
}

/// Octal digits amid blanks, or base 256 where the first bit is set. Fields have at most 12 bytes, so the
/// sum fits.
fn number(field: &[u8], name: &'static str) -> Result<i128, TarError> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let sign = if first & 0x40 != 0 { -1 } else { 0 };
        let start = sign << 6 | i128::from(first & 0x3f);
        return Ok(rest
            .iter()
            .fold(start, |value, byte| value << 8 | i128::from(*byte)));
    }
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let digits = field
        .iter()
        .skip_while(|byte| blank(byte))
        .take_while(|byte| !blank(byte));
    digits.into_iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'7' => Ok(value << 3 | i128::from(byte - b'0')),
        _ => Err(TarError::Number { field: name }),
    })
}
