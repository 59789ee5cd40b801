//! PAX extended headers: records that override a header's fields.

use std::io::Read;

use super::sparse::{self, Fragment};
use super::{TarError, TarReader};

const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// What extended headers say of the entry that follows.
#[derive(Default)]
pub(super) struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: SparseRecords,
    seen: bool,
}

/// GNU's sparse records of the versions 0.0, 0.1 and 1.0.
#[derive(Default)]
struct SparseRecords {
    major: Option<u64>,
    real_size: Option<u64>,
    /// 0.1: `offset,length,…`; 0.0: the same in single records.
    numbers: Vec<u64>,
    name: Option<Vec<u8>>,
    is_sparse: bool,
}

impl Extended {
    pub fn is_empty(&self) -> bool {
        !self.seen && self.path.is_none() && self.link.is_none()
    }

    /// Takes the records of one extended header.
    pub fn read_pax(&mut self, mut data: &[u8]) -> Result<(), TarError> {
        self.seen = true;
        while !data.is_empty() {
            let (key, value, rest) = record(data).ok_or(TarError::Extended)?;
            self.take(key, value)?;
            data = rest;
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        // An empty value takes an earlier one back.
        let text = || (!value.is_empty()).then(|| value.to_vec());
        let integer = |field| -> Result<Option<u64>, TarError> {
            if value.is_empty() {
                Ok(None)
            } else {
                decimal(value, field).map(Some)
            }
        };
        let sparse = &mut self.sparse;
        match key {
            b"path" => self.path = text(),
            b"linkpath" => self.link = text(),
            b"size" => self.size = integer("size")?,
            b"uid" => self.uid = integer("uid")?,
            b"gid" => self.gid = integer("gid")?,
            b"mtime" if value.is_empty() => self.mtime = None,
            b"mtime" => self.mtime = Some(time(value)?),
            b"GNU.sparse.major" => (sparse.major, sparse.is_sparse) = (integer("sparse version")?, true),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                (sparse.real_size, sparse.is_sparse) = (integer("sparse size")?, true);
            }
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                sparse.numbers.push(decimal(value, "sparse map")?);
                sparse::check_count(sparse.numbers.len() / 2)?;
            }
            b"GNU.sparse.map" => sparse.numbers = numbers(value)?,
            b"GNU.sparse.name" => sparse.name = text(),
            _ => {}
        }
        Ok(())
    }

    /// The real size and the map, if the entry is sparse; reads the map that version 1.0 keeps in the data.
    pub fn sparse<R: Read>(
        &mut self,
        tar: &mut TarReader<R>,
    ) -> Result<Option<(u64, Vec<Fragment>)>, TarError> {
        let records = std::mem::take(&mut self.sparse);
        if !records.is_sparse {
            return Ok(None);
        }
        if records.name.is_some() {
            self.path = records.name;
        }
        let real_size = records.real_size.ok_or(TarError::Sparse)?;
        let numbers = match records.major {
            Some(1) => sparse::map_in_data(tar)?,
            _ => records.numbers,
        };
        Ok(Some((real_size, sparse::pairs(&numbers)?)))
    }
}

/// Splits `LENGTH KEY=VALUE\n` off; the length counts itself.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&data[..space], "").ok()?).ok()?;
    let (body, rest) = data.get(space + 1..length).zip(data.get(length..))?;
    let body = body.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    // A NUL would cut the text off where the kernel reads it; only attributes' values are binary.
    let binary = key.starts_with(XATTR_PREFIX);
    (!key.is_empty() && !key.contains(&0) && (binary || !value.contains(&0))).then_some((key, value, rest))
}

pub(super) fn decimal(text: &[u8], field: &'static str) -> Result<u64, TarError> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or(TarError::Number { field })
}

fn numbers(list: &[u8]) -> Result<Vec<u64>, TarError> {
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<u64> = list
        .split(|byte| *byte == b',')
        .map(|number| decimal(number, "sparse map"))
        .collect::<Result<_, _>>()?;
    sparse::check_count(numbers.len() / 2)?;
    Ok(numbers)
}

/// Seconds with a fraction, perhaps negative: `-1.5` is half a second before second -1.
fn time(text: &[u8]) -> Result<(i64, u32), TarError> {
    let bad = || TarError::Number { field: "mtime" };
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(parts.next().unwrap_or_default(), "mtime")?).map_err(|_| bad())?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    Ok(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}
