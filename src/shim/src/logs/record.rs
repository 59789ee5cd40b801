//! A stream's bytes become records, each one line of the log file.
//!
//! A record is `STAMP STREAM TAG TEXT\n`. A line longer than 16 KiB becomes several with the tag P and a last
//! one with F; what is left without a line feed when a stream ends is written with P, as containerd does, for
//! its line was never finished. A line's `\r\n` loses both characters, again as there.

use super::stamp::RFC3339_LEN;

/// Longest text of a record.
pub const MAX_TEXT_LEN: usize = 16 << 10;
/// Length of everything before a record's text.
pub const PREFIX_LEN: usize = RFC3339_LEN + " stdout F ".len();
const TAG_AT: usize = PREFIX_LEN - 2;
/// The first letter in which `stdout` and `stderr` differ.
const STREAM_AT: usize = RFC3339_LEN + 4;

/// Which stream a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamName {
    /// Standard output, and all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    fn text(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Stream and fullness of a record, read back from its text.
pub(super) fn classify(record: &[u8]) -> Option<(StreamName, bool)> {
    let stream = match record.get(STREAM_AT)? {
        b'o' => StreamName::Stdout,
        _ => StreamName::Stderr,
    };
    Some((stream, record.get(TAG_AT)? == &b'F'))
}

/// Appends one record to `out`.
pub(super) fn put(out: &mut Vec<u8>, stamp: &str, stream: StreamName, full: bool, text: &[u8]) {
    out.extend_from_slice(stamp.as_bytes());
    out.push(b' ');
    out.extend_from_slice(stream.text().as_bytes());
    out.extend_from_slice(if full { b" F " } else { b" P " });
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Cuts one stream into records; holds no memory between whole lines.
#[derive(Debug)]
pub struct Splitter {
    stream: StreamName,
    unfinished: Vec<u8>,
}

impl Splitter {
    /// Of a stream that begins.
    pub fn new(stream: StreamName) -> Self {
        Self {
            stream,
            unfinished: Vec::new(),
        }
    }

    /// The stream.
    pub fn stream(&self) -> StreamName {
        self.stream
    }

    /// Takes the next bytes and appends the records that they complete to `out`.
    pub fn feed(&mut self, bytes: &[u8], stamp: &str, out: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.split_last() {
                Some((b'\n', text)) if self.unfinished.is_empty() => self.line(text, stamp, out),
                Some((b'\n', text)) => {
                    let mut line = std::mem::take(&mut self.unfinished);
                    line.extend_from_slice(text);
                    self.line(&line, stamp, out);
                }
                _ => self.hold(piece, stamp, out),
            }
        }
    }

    /// The stream has ended: what is left of its last line is written with the tag P.
    pub fn finish(&mut self, stamp: &str, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.unfinished);
        for text in rest.chunks(MAX_TEXT_LEN) {
            put(out, stamp, self.stream, false, text);
        }
    }

    fn line(&self, text: &[u8], stamp: &str, out: &mut Vec<u8>) {
        let mut rest = text.strip_suffix(b"\r").unwrap_or(text);
        while let Some((head, tail)) = rest.split_at_checked(MAX_TEXT_LEN)
            && !tail.is_empty()
        {
            put(out, stamp, self.stream, false, head);
            rest = tail;
        }
        put(out, stamp, self.stream, true, rest);
    }

    fn hold(&mut self, piece: &[u8], stamp: &str, out: &mut Vec<u8>) {
        self.unfinished.extend_from_slice(piece);
        // One byte more is held, since a `\r` at the limit may belong to the line's end.
        let mut written = 0;
        while self.unfinished.len() - written > MAX_TEXT_LEN + 1 {
            let text = &self.unfinished[written..written + MAX_TEXT_LEN];
            put(out, stamp, self.stream, false, text);
            written += MAX_TEXT_LEN;
        }
        if written > 0 {
            self.unfinished = self.unfinished[written..].to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-01-02T03:04:05.123456789Z";

    fn split(parts: &[&[u8]], finish: bool) -> Vec<(bool, Vec<u8>)> {
        let mut splitter = Splitter::new(StreamName::Stdout);
        let mut out = Vec::new();
        for part in parts {
            splitter.feed(part, STAMP, &mut out);
        }
        if finish {
            splitter.finish(STAMP, &mut out);
        }
        out.split_inclusive(|b| *b == b'\n')
            .map(|record| {
                let (stream, full) = classify(record).unwrap();
                assert_eq!(stream, StreamName::Stdout);
                (full, record[PREFIX_LEN..record.len() - 1].to_vec())
            })
            .collect()
    }

    #[test]
    fn a_record_looks_as_the_cri_wants_it() {
        let mut out = Vec::new();
        Splitter::new(StreamName::Stdout).feed(b"text\n", STAMP, &mut out);
        Splitter::new(StreamName::Stderr).feed(b"\n", STAMP, &mut out);
        let expected = "2026-01-02T03:04:05.123456789Z stdout F text\n\
                        2026-01-02T03:04:05.123456789Z stderr F \n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_line_comes_out_the_same_however_it_is_cut() {
        let text = b"one\n\ntwo words\r\n\xff\xfe\0\nlast\r".as_slice();
        let whole = split(&[text], true);
        assert_eq!(
            whole,
            [
                (true, b"one".to_vec()),
                (true, Vec::new()),
                (true, b"two words".to_vec()),
                (true, b"\xff\xfe\0".to_vec()),
                (false, b"last\r".to_vec()),
            ]
        );
        for size in 1..text.len() {
            let parts: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(split(&parts, true), whole, "cut into {size}");
        }
    }

    #[test]
    fn lines_over_the_limit_are_tagged_p_until_their_end() {
        for (length, ending, texts) in [
            (MAX_TEXT_LEN, "\n", vec![MAX_TEXT_LEN]),
            (MAX_TEXT_LEN, "\r\n", vec![MAX_TEXT_LEN]),
            (MAX_TEXT_LEN + 1, "\n", vec![MAX_TEXT_LEN, 1]),
            (
                3 * MAX_TEXT_LEN + 5,
                "\n",
                vec![MAX_TEXT_LEN, MAX_TEXT_LEN, MAX_TEXT_LEN, 5],
            ),
        ] {
            let line = [vec![b'x'; length], ending.into()].concat();
            for size in [1, 1000, MAX_TEXT_LEN, MAX_TEXT_LEN + 1, 70_000] {
                let parts: Vec<&[u8]> = line.chunks(size).collect();
                let records = split(&parts, true);
                let lengths: Vec<usize> = records.iter().map(|r| r.1.len()).collect();
                assert_eq!(lengths, texts, "{length} bytes cut into {size}");
                let full: Vec<bool> = records.iter().map(|r| r.0).collect();
                assert!(full.iter().rev().skip(1).all(|f| !f) && full.last() == Some(&true));
            }
        }
    }

    #[test]
    fn nothing_is_held_between_lines() {
        let mut splitter = Splitter::new(StreamName::Stdout);
        let mut out = Vec::new();
        splitter.feed(b"half", STAMP, &mut out);
        assert!(out.is_empty());
        splitter.feed(b" line\n", STAMP, &mut out);
        assert_eq!(splitter.unfinished.capacity(), 0);
        splitter.finish(STAMP, &mut out);
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
    }
}
