//! Compressed input, told by its first bytes: media types and file names lie.

use std::io::{self, BufRead, BufReader, Read};

/// Largest window that a zstd frame may ask for (128 MiB), which is what bounds the memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
const BUFFER_BYTES: usize = 64 << 10;

/// Reads gzip, zstd or plain input; other compressions are refused by name.
pub(in crate::images) fn decompress<'a>(reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = [0; 6];
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let mut have = 0;
    // A pipe may hand over less than asked for.
    while have < head.len() {
        match reader.read(&mut head[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = BufReader::with_capacity(
        BUFFER_BYTES,
        io::Cursor::new(head).take(have as u64).chain(reader),
    );
    match head {
        [0x1f, 0x8b, ..] => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => zstd(whole),
        [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2 compression is not supported")),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Err(unsupported("xz compression is not supported")),
        _ => Ok(Box::new(whole)),
    }
}

fn zstd<'a>(reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(Box::new(decoder))
}

fn unsupported(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decompress(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn tells_formats_by_their_first_bytes() {
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(b"abc").unwrap(), b"abc");
        assert_eq!(read(&gzip(b"hello")).unwrap(), b"hello");
        assert_eq!(
            read(&[gzip(b"two "), gzip(b"members")].concat()).unwrap(),
            b"two members"
        );
        assert_eq!(
            read(&zstd::encode_all(&b"hello"[..], 1).unwrap()).unwrap(),
            b"hello"
        );
        let skippable = [
            &[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..],
            &zstd::encode_all(&b"x"[..], 1).unwrap(),
        ];
        assert_eq!(read(&skippable.concat()).unwrap(), b"x");
        assert_eq!(read(b"BZh91AY").unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn cut_off_input_is_an_error() {
        for whole in [gzip(&[7; 5000]), zstd::encode_all(&[7; 5000][..], 1).unwrap()] {
            for cut in 7..whole.len() {
                assert!(read(&whole[..cut]).is_err(), "{cut} of {}", whole.len());
            }
        }
    }

    #[test]
    fn a_zstd_frame_with_a_giant_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(30).unwrap();
        encoder.write_all(b"x").unwrap();
        assert!(read(&encoder.finish().unwrap()).is_err());
    }
}
