//! One line of a log in the CRI format: `TIME STREAM TAG CONTENT`.

use std::io::{self, BufRead, Write};

/// Longest line accepted; what is longer is printed as it stands.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A parsed line, borrowed from the text.
#[derive(Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// RFC 3339 with nanoseconds, UTC: such texts compare as the instants do.
    pub time: &'a [u8],
    /// Written to stderr, not stdout.
    pub stderr: bool,
    /// The line goes on in the next one of the same stream (tag `P`).
    pub partial: bool,
    /// The content without a line's end.
    pub content: &'a [u8],
}

/// Parses a line without its end; `None` where it is not in the CRI format.
pub fn parse(line: &[u8]) -> Option<LogLine<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (time, stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
    let stderr = match stream {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let partial = match tag.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    Some(LogLine {
        time,
        stderr,
        partial,
        content: parts.next().unwrap_or_default(),
    })
}

/// Reads one line of at most [`MAX_LINE_BYTES`] into `line`, without its end. Answers whether the end was
/// seen; a line without one is still being written.
pub fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    io::Read::take(&mut *from, MAX_LINE_BYTES as u64).read_until(b'\n', line)?;
    let whole = line.last() == Some(&b'\n');
    if whole {
        line.pop();
    }
    Ok(whole || line.len() >= MAX_LINE_BYTES)
}

/// Prints lines: contents only, or with their times.
#[derive(Debug, Default)]
pub struct Printer {
    /// Print each line's time.
    pub timestamps: bool,
    within: [bool; 2],
}

impl Printer {
    /// Of lines with or without times.
    pub fn new(timestamps: bool) -> Self {
        Self {
            timestamps,
            within: [false; 2],
        }
    }

    /// Prints one line of the log.
    pub fn print(&mut self, line: &[u8], out: &mut impl Write) -> io::Result<()> {
        let Some(parsed) = parse(line) else {
            out.write_all(line)?;
            return out.write_all(b"\n");
        };
        let within = &mut self.within[usize::from(parsed.stderr)];
        if self.timestamps && !*within {
            out.write_all(parsed.time)?;
            out.write_all(b" ")?;
        }
        *within = parsed.partial;
        out.write_all(parsed.content)?;
        if parsed.partial {
            Ok(())
        } else {
            out.write_all(b"\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &[u8] = b"2026-01-02T03:04:05.123456789Z";

    #[test]
    fn lines_of_the_cri_format_are_parsed() {
        let line = [TIME, b" stderr P some  text "].concat();
        let parsed = parse(&line).unwrap();
        assert_eq!(
            parsed,
            LogLine {
                time: TIME,
                stderr: true,
                partial: true,
                content: b"some  text "
            }
        );
        assert_eq!(parse(&[TIME, b" stdout F"].concat()).unwrap().content, b"");
        for bad in [&b"hello"[..], b"", b"t stdin F x", b"t stdout X y"] {
            assert_eq!(parse(bad), None);
        }
    }

    #[test]
    fn parts_of_a_line_are_joined_and_carry_one_time() {
        let mut out = Vec::new();
        let mut printer = Printer::new(true);
        for part in [
            &b" stdout P one"[..],
            b" stdout P  two",
            b" stdout F  three",
            b" stdout F four",
        ] {
            printer.print(&[TIME, part].concat(), &mut out).unwrap();
        }
        let time = String::from_utf8_lossy(TIME);
        assert_eq!(
            String::from_utf8_lossy(&out),
            format!("{time} one two three\n{time} four\n")
        );
    }

    #[test]
    fn a_line_still_being_written_is_told_from_a_whole_one() {
        let mut text = &b"whole\nhalf"[..];
        let mut line = Vec::new();
        assert!(read_line(&mut text, &mut line).unwrap());
        assert_eq!(line, b"whole");
        line.clear();
        assert!(!read_line(&mut text, &mut line).unwrap());
        assert_eq!(line, b"half");
    }
}
