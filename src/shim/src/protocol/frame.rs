//! ttrpc's framing: a header of ten bytes, then data.
//!
//! ```text
//! u32 data length | u32 stream id | u8 kind | u8 flags | data        (big-endian)
//! ```
//!
//! The [`Decoder`] is given bytes as they come and gives frames out; it never holds more than one frame's
//! worth of bytes beyond what it was given at once, and releases its memory when it has been emptied.

/// Length of a frame's header.
pub const HEADER_LEN: usize = 10;
/// Longest data of a frame.
pub const MAX_DATA_LEN: usize = 4 << 20;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Begins a stream, client to server.
    Request,
    /// Ends a stream, server to client.
    Response,
    /// Data of a stream that is not unary.
    Data,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Request),
            2 => Some(Self::Response),
            3 => Some(Self::Data),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Response => 2,
            Self::Data => 3,
        }
    }
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Odd for streams that a client began.
    pub stream_id: u32,
    /// What it is for.
    pub kind: FrameKind,
    /// Bits whose meaning the kind gives; 0 for unary calls.
    pub flags: u8,
    /// The message, still encoded.
    pub data: Vec<u8>,
}

/// What cannot be a frame; the connection is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header announces more than [`MAX_DATA_LEN`].
    #[error("frame of {length} bytes on stream {stream_id}, the limit is {MAX_DATA_LEN}")]
    TooLong {
        /// As announced.
        length: u32,
        /// The stream.
        stream_id: u32,
    },
    /// A kind that ttrpc does not have.
    #[error("frame of unknown kind {kind} on stream {stream_id}")]
    UnknownKind {
        /// As read.
        kind: u8,
        /// The stream.
        stream_id: u32,
    },
}

/// Appends a frame to `out`; data over [`MAX_DATA_LEN`] is refused and `out` left as it was.
pub fn encode_frame(
    out: &mut Vec<u8>,
    stream_id: u32,
    kind: FrameKind,
    flags: u8,
    data: &[u8],
) -> Result<(), FrameError> {
    let length = match u32::try_from(data.len()) {
        Ok(length) if data.len() <= MAX_DATA_LEN => length,
        other => {
            return Err(FrameError::TooLong {
                length: other.unwrap_or(u32::MAX),
                stream_id,
            });
        }
    };
    out.reserve(HEADER_LEN + data.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&stream_id.to_be_bytes());
    out.push(kind.byte());
    out.push(flags);
    out.extend_from_slice(data);
    Ok(())
}

/// Puts frames together out of bytes as they come.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    consumed: usize,
}

impl Decoder {
    /// An empty one; it holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they were read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed > 0 {
            self.pending.drain(..self.consumed);
            self.consumed = 0;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame, `None` where more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.pending.get(self.consumed..).unwrap_or_default();
        let Some((header, body)) = rest.split_first_chunk::<HEADER_LEN>() else {
            self.release_if_empty();
            return Ok(None);
        };
        let [l0, l1, l2, l3, s0, s1, s2, s3, kind, flags] = *header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let stream_id = u32::from_be_bytes([s0, s1, s2, s3]);
        let data_len = length as usize;
        if data_len > MAX_DATA_LEN {
            return Err(FrameError::TooLong { length, stream_id });
        }
        let Some(kind) = FrameKind::from_byte(kind) else {
            return Err(FrameError::UnknownKind { kind, stream_id });
        };
        let Some(data) = body.get(..data_len) else {
            return Ok(None);
        };
        let frame = Frame {
            stream_id,
            kind,
            flags,
            data: data.to_vec(),
        };
        self.consumed += HEADER_LEN + data_len;
        self.release_if_empty();
        Ok(Some(frame))
    }

    /// True where no part of a frame is held.
    pub fn is_empty(&self) -> bool {
        self.consumed == self.pending.len()
    }

    fn release_if_empty(&mut self) {
        if self.is_empty() {
            self.pending = Vec::new();
            self.consumed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<Frame>) {
        let mut bytes = Vec::new();
        let mut frames = Vec::new();
        for (index, length) in [0usize, 1, 9, 10, 11, 70_000].into_iter().enumerate() {
            let data: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let stream_id = index as u32 * 2 + 1;
            encode_frame(&mut bytes, stream_id, FrameKind::Request, 0, &data).unwrap();
            frames.push(Frame {
                stream_id,
                kind: FrameKind::Request,
                flags: 0,
                data,
            });
        }
        (bytes, frames)
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let (bytes, frames) = sample();
        for chunk in [1, 2, 3, 7, 10, 11, 4096, bytes.len()] {
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            for part in bytes.chunks(chunk) {
                decoder.push(part);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames, "cut into {chunk}");
            assert!(decoder.is_empty());
            assert_eq!(decoder.pending.capacity(), 0, "an emptied decoder holds memory");
        }
    }

    #[test]
    fn the_header_is_laid_out_as_ttrpc_has_it() {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, 0x0102_0305, FrameKind::Response, 4, b"ab").unwrap();
        assert_eq!(bytes, [0, 0, 0, 2, 1, 2, 3, 5, 2, 4, b'a', b'b']);
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_its_data_is_held() {
        let mut decoder = Decoder::new();
        decoder.push(&[0, 0x40, 0, 1, 0, 0, 0, 1, 1, 0]);
        assert_eq!(
            decoder.next_frame(),
            Err(FrameError::TooLong {
                length: 0x40_0001,
                stream_id: 1
            })
        );
        let mut out = vec![7];
        let data = vec![0; MAX_DATA_LEN + 1];
        assert!(encode_frame(&mut out, 1, FrameKind::Request, 0, &data).is_err());
        assert_eq!(out, [7]);
    }

    #[test]
    fn an_unknown_kind_is_an_error() {
        let mut decoder = Decoder::new();
        decoder.push(&[0, 0, 0, 0, 0, 0, 0, 1, 9, 0]);
        assert_eq!(
            decoder.next_frame(),
            Err(FrameError::UnknownKind {
                kind: 9,
                stream_id: 1
            })
        );
    }
}
