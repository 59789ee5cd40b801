//! Randomness of the kernel.

use std::fmt::Write as _;
use std::io;

use crate::error::{Doing, SysResult};

/// Random bytes from the kernel's pool; blocks only before the pool is seeded at boot.
pub fn bytes<const N: usize>() -> SysResult<[u8; N]> {
    const { assert!(N <= 256, "the kernel gives up to 256 bytes without interruption") };
    let mut buffer = [0_u8; N];
    loop {
        // SAFETY: the pointer and the length are those of a live, exclusively borrowed buffer.
        let got = unsafe { libc::getrandom(buffer.as_mut_ptr().cast(), N, 0) };
        if usize::try_from(got) == Ok(N) {
            return Ok(buffer);
        }
        let error = io::Error::last_os_error();
        if got >= 0 || error.kind() == io::ErrorKind::Interrupted {
            continue;
        }
        return Err(error).doing("read", "the kernel's random pool");
    }
}

/// A random UUID (version 4) in its usual text form.
pub fn uuid() -> SysResult<String> {
    let mut raw = bytes::<16>()?;
    raw[6] = (raw[6] & 0x0f) | 0x40;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in raw.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_version_and_variant_and_differ() {
        let first = uuid().unwrap();
        assert_eq!(first.len(), 36);
        assert_eq!(first.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&first.as_bytes()[19]));
        assert!(
            first
                .bytes()
                .all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        assert_ne!(first, uuid().unwrap());
    }
}
