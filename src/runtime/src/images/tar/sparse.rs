//! Maps of sparse files: where the stored bytes go.

use std::io::Read;

use super::header::{BLOCK, Block, unsigned};
use super::pax::decimal;
use super::{TarError, TarReader};

/// Fragments of one file.
const MAX_FRAGMENTS: usize = 1 << 16;
/// The longest line of a map in the data: a 64-bit number.
const MAX_LINE_BYTES: usize = 20;

/// A run of stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::images) struct Fragment {
    pub offset: u64,
    pub length: u64,
}

pub(super) fn check_count(fragments: usize) -> Result<(), TarError> {
    if fragments > MAX_FRAGMENTS {
        Err(TarError::Sparse)
    } else {
        Ok(())
    }
}

/// The fragments ascend, do not overlap, lie within the file, and take all of the stored data.
pub(super) fn check(map: &[Fragment], stored: u64, real_size: u64) -> Result<(), TarError> {
    let mut end = 0_u64;
    let mut sum = 0_u64;
    for fragment in map {
        let next = fragment.offset.checked_add(fragment.length);
        match next {
            Some(next) if fragment.offset >= end && next <= real_size => end = next,
            _ => return Err(TarError::Sparse),
        }
        // No overflow: the fragments are disjoint parts of a file.
        sum += fragment.length;
    }
    if sum == stored {
        Ok(())
    } else {
        Err(TarError::Sparse)
    }
}

/// Map, whether more blocks follow, and real size from a header of type `S`.
pub(super) fn old_header(block: &Block) -> Result<(Vec<Fragment>, bool, u64), TarError> {
    let mut map = Vec::new();
    old_fragments(&block[386..482], &mut map)?;
    Ok((map, block[482] != 0, unsigned(&block[483..495], "sparse size")?))
}

/// Adds the fragments of a block that follows such a header; whether yet another follows.
pub(super) fn old_extension(block: &Block, map: &mut Vec<Fragment>) -> Result<bool, TarError> {
    old_fragments(&block[..504], map)?;
    check_count(map.len())?;
    Ok(block[504] != 0)
}

fn old_fragments(fields: &[u8], map: &mut Vec<Fragment>) -> Result<(), TarError> {
    for field in fields.chunks_exact(24) {
        if field[0] == 0 {
            break;
        }
        map.push(Fragment {
            offset: unsigned(&field[..12], "sparse map")?,
            length: unsigned(&field[12..], "sparse map")?,
        });
    }
    Ok(())
}

pub(super) fn pairs(numbers: &[u64]) -> Result<Vec<Fragment>, TarError> {
    if !numbers.len().is_multiple_of(2) {
        return Err(TarError::Sparse);
    }
    let fragment = |pair: &[u64]| Fragment {
        offset: pair[0],
        length: pair[1],
    };
    Ok(numbers.chunks_exact(2).map(fragment).collect())
}

/// Version 1.0: decimal lines in front of the data, padded to a block: a count, then offsets and lengths.
pub(super) fn map_in_data<R: Read>(tar: &mut TarReader<R>) -> Result<Vec<u64>, TarError> {
    let mut lines = Lines {
        tar,
        block: [0; BLOCK],
        at: BLOCK,
    };
    let count = usize::try_from(lines.number()?).map_err(|_| TarError::Sparse)?;
    check_count(count)?;
    (0..count * 2).map(|_| lines.number()).collect()
}

struct Lines<'a, R> {
    tar: &'a mut TarReader<R>,
    block: Block,
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64, TarError> {
        let mut line = Vec::with_capacity(MAX_LINE_BYTES);
        loop {
            if self.at == BLOCK {
                let offset = self.tar.offset;
                if self.tar.left < BLOCK as u64 {
                    return Err(TarError::Sparse);
                }
                self.tar
                    .read_exact(&mut self.block)
                    .map_err(|source| super::failed(offset, source))?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return decimal(&line, "sparse map"),
                _ if line.len() == MAX_LINE_BYTES => return Err(TarError::Sparse),
                _ => line.push(byte),
            }
        }
    }
}
