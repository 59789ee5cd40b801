//! Reads a table of mounts (`/proc/PID/mounts`).

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub device: String,
    pub point: String,
    pub fs_type: String,
    pub read_only: bool,
}

/// The mounts in the table's order; a line that is not whole is passed over.
pub(super) fn parse(table: &str) -> impl Iterator<Item = Mount> {
    table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, point, fs_type, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Mount {
            device: unescape(device),
            point: unescape(point),
            fs_type: fs_type.to_owned(),
            read_only: options.split(',').any(|option| option == "ro"),
        })
    })
}

/// Undoes the kernel's `\ooo` for white space and backslashes.
fn unescape(word: &str) -> String {
    if !word.contains('\\') {
        return word.to_owned();
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|digits| first == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))
            .map(|digits| {
                digits
                    .iter()
                    .fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'))
            })
            .and_then(|value| u8::try_from(value).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_broken_lines_passed_over() {
        let table =
            "/dev/sd\\040a /mnt/a\\134b\\011c ext4 ro,noatime 0 0\nbroken\n//h/\u{e9} /m\\9 cifs rw 0 0\n";
        let mounts: Vec<_> = parse(table).collect();
        assert_eq!(mounts.len(), 2);
        assert_eq!(
            (mounts[0].device.as_str(), mounts[0].point.as_str()),
            ("/dev/sd a", "/mnt/a\\b\tc")
        );
        assert!(mounts[0].read_only && !mounts[1].read_only);
        assert_eq!(
            (mounts[1].device.as_str(), mounts[1].point.as_str()),
            ("//h/\u{e9}", "/m\\9")
        );
    }
}
