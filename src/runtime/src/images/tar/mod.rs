//! A tar reader for input that nobody vouches for.
//!
//! It reads forward only and holds no more than one entry's extended headers, which are bounded; the data of
//! an entry streams. It knows the ustar, GNU (long names, base-256 numbers, sparse files) and PAX (with
//! GNU's three sparse forms) formats. Names are bytes: whether they are safe is for the one who makes files
//! of them.

mod header;
mod pax;
mod sparse;

use std::io::{self, Read};

pub(super) use header::Kind;
pub(super) use sparse::Fragment;

use header::{BLOCK, Block, RawHeader};
use pax::Extended;

/// Largest extended header, which holds a path, a link and extended attributes.
const MAX_EXTENDED_BYTES: u64 = 1 << 20;
/// Extended headers in front of one entry.
const MAX_EXTENDED_HEADERS: u32 = 8;
/// Longest name or link target.
const MAX_NAME_BYTES: usize = 4096;

/// An archive that cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The source cannot be read, or its compression is broken.
    #[error("read at byte {offset}")]
    Read {
        /// Where, in the uncompressed archive.
        offset: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The archive ends within an entry, or without its end mark.
    #[error("the archive is cut off at byte {offset}")]
    Truncated {
        /// Where, in the uncompressed archive.
        offset: u64,
    },
    /// The header's checksum does not fit: no tar archive, or a damaged one.
    #[error("no tar header at byte {offset}")]
    Checksum {
        /// Where, in the uncompressed archive.
        offset: u64,
    },
    /// A number in a header cannot be read or meant.
    #[error("the header's {field} is not a usable number")]
    Number {
        /// Which.
        field: &'static str,
    },
    /// An extended header is larger than allowed, or too many follow one another.
    #[error("extended headers of {bytes} bytes are too large")]
    ExtendedTooLarge {
        /// The size that the header states.
        bytes: u64,
    },
    /// An extended header cannot be read.
    #[error("malformed extended header")]
    Extended,
    /// A name is longer than a path may be.
    #[error("a name of {bytes} bytes is too long")]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The map of a sparse file contradicts itself.
    #[error("malformed sparse map")]
    Sparse,
}

/// An entry's header, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    pub kind: Kind,
    /// Permission bits, set-id and sticky bits.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds and nanoseconds since the epoch.
    pub mtime: (i64, u32),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Length of the file that it makes.
    pub size: u64,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored data goes, if the file has holes.
    pub sparse: Option<Vec<Fragment>>,
}

/// Reads an archive entry by entry; as a reader, it yields the stored data of the current entry.
pub(super) struct TarReader<R> {
    inner: R,
    /// Bytes consumed.
    offset: u64,
    /// Stored data of the current entry that was not read yet.
    left: u64,
    /// Zeros after it.
    padding: u64,
    ended: bool,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            left: 0,
            padding: 0,
            ended: false,
        }
    }

    /// Whether the end mark was read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// The source, wherever it stands.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// Skips what is left of the current entry and reads the next header. `None` at the end mark, and where
    /// the source ends between two entries.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extended = Extended::default();
        for _ in 0..=MAX_EXTENDED_HEADERS {
            self.skip_data()?;
            let Some(block) = self.read_block()? else {
                return if extended.is_empty() {
                    Ok(None)
                } else {
                    Err(self.truncated())
                };
            };
            if block.iter().all(|byte| *byte == 0) {
                self.ended = true;
                return Ok(None);
            }
            let header = RawHeader::parse(&block, self.offset - BLOCK as u64)?;
            self.expect_data(header.size);
            match header.type_flag {
                b'L' => extended.path = Some(self.long_name(header.size)?),
                b'K' => extended.link = Some(self.long_name(header.size)?),
                b'x' | b'X' => extended.read_pax(&self.extended_data(header.size)?)?,
                // Global headers carry comments and defaults that no image builder relies on.
                b'g' => {}
                _ => return self.complete(&block, header, extended).map(Some),
            }
        }
        Err(TarError::ExtendedTooLarge {
            bytes: u64::from(MAX_EXTENDED_HEADERS) * MAX_EXTENDED_BYTES,
        })
    }

    fn complete(
        &mut self,
        block: &Block,
        header: RawHeader,
        mut extended: Extended,
    ) -> Result<Entry, TarError> {
        let kind = header.kind(extended.path.as_ref().unwrap_or(&header.path));
        let stored = extended.size.unwrap_or(header.size);
        // Entries of other kinds have no data, whatever their size field says.
        self.expect_data(if matches!(kind, Kind::File | Kind::Other(_)) {
            stored
        } else {
            0
        });
        let mut size = stored;
        let mut sparse = None;
        if header.type_flag == b'S' {
            let (map, real) = self.old_sparse(block)?;
            (size, sparse) = (real, Some(map));
        } else if kind == Kind::File
            && let Some((real, map)) = extended.sparse(self)?
        {
            (size, sparse) = (real, Some(map));
        }
        if let Some(map) = &sparse {
            sparse::check(map, self.left, size)?;
        }
        let path = extended.path.take().unwrap_or(header.path);
        let link = extended.link.take().unwrap_or(header.link);
        if let Some(long) = [&path, &link]
            .into_iter()
            .find(|name| name.len() > MAX_NAME_BYTES)
        {
            return Err(TarError::NameTooLong { bytes: long.len() });
        }
        Ok(Entry {
            path,
            link,
            kind,
            mode: header.mode & 0o7777,
            uid: extended.uid.unwrap_or(header.uid),
            gid: extended.gid.unwrap_or(header.gid),
            mtime: extended.mtime.unwrap_or((header.mtime, 0)),
            device: header.device,
            size,
            xattrs: extended.xattrs,
            sparse,
        })
    }

    /// GNU's own sparse form: the map is in the header and in the blocks after it.
    fn old_sparse(&mut self, block: &Block) -> Result<(Vec<Fragment>, u64), TarError> {
        let stored = self.left;
        let (mut map, mut more, real) = sparse::old_header(block)?;
        while more {
            let block = self.read_block()?.ok_or_else(|| self.truncated())?;
            more = sparse::old_extension(&block, &mut map)?;
        }
        self.expect_data(stored);
        Ok((map, real))
    }

    fn expect_data(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        let mut name = self.extended_data(size)?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn extended_data(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENDED_BYTES {
            return Err(TarError::ExtendedTooLarge { bytes: size });
        }
        let mut data = Vec::new();
        let offset = self.offset;
        match self.read_to_end(&mut data) {
            Ok(_) => Ok(data),
            Err(source) => Err(failed(offset, source)),
        }
    }

    fn skip_data(&mut self) -> Result<(), TarError> {
        let offset = self.offset;
        io::copy(self, &mut io::sink()).map_err(|source| failed(offset, source))?;
        let mut padding = [0; BLOCK];
        let padding = &mut padding[..usize::try_from(self.padding).unwrap_or(0)];
        self.inner
            .read_exact(padding)
            .map_err(|source| failed(self.offset, source))?;
        self.offset += self.padding;
        self.padding = 0;
        Ok(())
    }

    /// The next block, or `None` where the source ends just before it.
    fn read_block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.truncated()),
                Ok(read) => {
                    filled += read;
                    self.offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(failed(self.offset, source)),
            }
        }
        Ok(Some(block))
    }

    pub(super) fn truncated(&self) -> TarError {
        TarError::Truncated { offset: self.offset }
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..want])?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive is cut off",
            ));
        }
        self.left -= read as u64;
        self.offset += read as u64;
        Ok(read)
    }
}

fn failed(offset: u64, source: io::Error) -> TarError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => TarError::Truncated { offset },
        _ => TarError::Read { offset, source },
    }
}

#[cfg(test)]
mod tests;
