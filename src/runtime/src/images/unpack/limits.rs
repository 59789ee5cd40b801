//! What a layer may cost.

use std::io::{self, Read};

/// Bounds of one layer. The defaults let through every image that people run, and stop what was made to
/// fill the disk or the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Sum of the files' lengths (holes counted), and bytes of the uncompressed archive.
    pub total_bytes: u64,
    /// Entries of all kinds, and directories that are made because entries lie in them.
    pub entries: u64,
    /// Directories above one another.
    pub path_depth: usize,
    /// Memory of the directories' names and times, which are remembered until the end.
    pub directory_name_bytes: usize,
    /// Uncompressed bytes for each compressed one, past [`UnpackLimits::ratio_free_bytes`].
    pub compression_ratio: u64,
    /// Uncompressed bytes that may come at any ratio.
    pub ratio_free_bytes: u64,
    /// Extended attributes of one entry.
    pub xattrs_per_entry: usize,
    /// Length of one extended attribute's value.
    pub xattr_bytes: usize,
    /// Whether character and block devices are made as the image says. They are harmless there: the
    /// container's device cgroup decides which devices it may open, whatever nodes lie in its root.
    pub devices: bool,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            total_bytes: 128 << 30,
            entries: 4_000_000,
            path_depth: 256,
            directory_name_bytes: 64 << 20,
            // gzip cannot do better than 1032 to 1, so only other formats' bombs are stopped by this.
            compression_ratio: 1100,
            ratio_free_bytes: 256 << 20,
            xattrs_per_entry: 64,
            xattr_bytes: 64 << 10,
            devices: true,
        }
    }
}

/// A limit that a layer exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// [`UnpackLimits::total_bytes`].
    #[error("the layer is larger than {0} bytes")]
    TotalBytes(u64),
    /// [`UnpackLimits::entries`].
    #[error("the layer has more than {0} entries")]
    Entries(u64),
    /// [`UnpackLimits::path_depth`].
    #[error("the path is deeper than {0} directories")]
    PathDepth(usize),
    /// [`UnpackLimits::directory_name_bytes`].
    #[error("the names of all directories together are longer than {0} bytes")]
    DirectoryNames(usize),
    /// [`UnpackLimits::compression_ratio`].
    #[error("the content is more than {0} times its compressed size")]
    CompressionRatio(u64),
    /// [`UnpackLimits::xattrs_per_entry`].
    #[error("the entry has more than {0} extended attributes")]
    XattrCount(usize),
    /// [`UnpackLimits::xattr_bytes`].
    #[error("an extended attribute is longer than {0} bytes")]
    XattrBytes(usize),
}

/// Passes uncompressed bytes on until a limit is reached, which it then reports as the error's source.
pub(in crate::images) struct BoundedReader<R> {
    inner: R,
    count: u64,
    compressed_bytes: u64,
    limits: UnpackLimits,
}

impl<R> BoundedReader<R> {
    /// `compressed_bytes`: length of the whole compressed input.
    pub fn new(inner: R, compressed_bytes: u64, limits: UnpackLimits) -> Self {
        Self {
            inner,
            count: 0,
            compressed_bytes,
            limits,
        }
    }

    fn check(&self) -> Result<(), LimitExceeded> {
        let limits = &self.limits;
        let by_ratio = self.compressed_bytes.saturating_mul(limits.compression_ratio);
        // Headers and padding come on top of the files' own bytes: at most three blocks for each entry.
        if self.count
            > limits
                .total_bytes
                .saturating_add(limits.entries.saturating_mul(1536))
        {
            Err(LimitExceeded::TotalBytes(limits.total_bytes))
        } else if self.count > by_ratio.max(limits.ratio_free_bytes) {
            Err(LimitExceeded::CompressionRatio(limits.compression_ratio))
        } else {
            Ok(())
        }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        self.check().map_err(io::Error::other)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: u64, compressed_bytes: u64, limits: UnpackLimits) -> Option<LimitExceeded> {
        let mut reader = BoundedReader::new(io::repeat(0).take(bytes), compressed_bytes, limits);
        let error = io::copy(&mut reader, &mut io::sink()).err()?;
        error
            .into_inner()?
            .downcast::<LimitExceeded>()
            .ok()
            .map(|limit| *limit)
    }

    #[test]
    fn stops_at_the_compression_ratio_only_past_the_free_bytes() {
        let limits = UnpackLimits {
            compression_ratio: 10,
            ratio_free_bytes: 10_000,
            ..UnpackLimits::default()
        };
        assert_eq!(read_all(10_000, 1, limits), None);
        assert_eq!(read_all(20_000, 2_000, limits), None);
        assert_eq!(
            read_all(20_001, 2_000, limits),
            Some(LimitExceeded::CompressionRatio(10))
        );
    }

    #[test]
    fn stops_at_the_total_size() {
        let limits = UnpackLimits {
            total_bytes: 1000,
            entries: 0,
            ..UnpackLimits::default()
        };
        assert_eq!(read_all(1000, 1000, limits), None);
        assert_eq!(
            read_all(1001, 1000, limits),
            Some(LimitExceeded::TotalBytes(1000))
        );
    }
}
