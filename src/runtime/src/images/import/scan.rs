//! Reads a whole archive once, and stages every file of it.

use std::collections::HashMap;
use std::io::Read;

use crate::images::blobs::{ReceiveError, StagedBlob, receive};
use crate::images::digest::Digest;
use crate::images::spec::BlobRef;
use crate::images::tar::{Entry, Kind, TarReader};
use crate::images::unpack::{BoundedReader, UnpackLimits, decompress};
use crate::images::writer::Writer;

use super::ImportProgress;
use super::error::ImportError;

/// Entries of one archive: layers have up to four each in archives of old tools.
const MAX_ENTRIES: usize = 50_000;
/// Bytes of all files of one archive.
const MAX_ARCHIVE_BYTES: u64 = 1 << 40;
/// Padding after the end mark.
const MAX_TAIL_BYTES: u64 = 64 << 20;
/// Links that lead to links.
const MAX_LINKS: usize = 8;

/// The files of an archive by name.
#[derive(Debug, Default)]
pub(super) struct Files {
    by_name: HashMap<String, Found>,
    /// Every blob that was staged, once.
    pub staged: Vec<StagedBlob>,
    /// Where each digest came from.
    pub names: HashMap<Digest, String>,
    staged_at: HashMap<Digest, usize>,
}

#[derive(Debug)]
enum Found {
    File(BlobRef),
    Link(String),
}

impl Files {
    /// Finds a file, by way of links within the archive.
    pub fn get(&self, name: &str) -> Option<BlobRef> {
        let mut name = normalise("", name)?;
        for _ in 0..=MAX_LINKS {
            match self.by_name.get(&name)? {
                Found::File(blob) => return Some(*blob),
                Found::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    /// Takes a blob, if it is the first of its content.
    pub fn add(&mut self, name: &str, blob: &StagedBlob) {
        self.names
            .entry(blob.blob.digest)
            .or_insert_with(|| name.to_owned());
        if !self.staged_at.contains_key(&blob.blob.digest) {
            self.staged_at.insert(blob.blob.digest, self.staged.len());
            self.staged.push(blob.clone());
        }
    }

    /// The staged blob of this digest.
    pub fn staged(&self, digest: &Digest) -> Option<&StagedBlob> {
        self.staged_at.get(digest).map(|at| &self.staged[*at])
    }
}

/// Reads the archive to its end mark. `archive_bytes` is its length as it lies there, which bounds what may
/// come out of it; unknown where it is a pipe.
pub(super) fn scan(
    writer: &mut Writer<'_>,
    archive: impl Read,
    archive_bytes: Option<u64>,
    progress: &mut dyn FnMut(ImportProgress<'_>),
) -> Result<Files, ImportError> {
    let plain = decompress(archive).map_err(ImportError::Format)?;
    let limits = UnpackLimits {
        total_bytes: MAX_ARCHIVE_BYTES,
        ..UnpackLimits::default()
    };
    let compressed_bytes = archive_bytes.unwrap_or(u64::MAX);
    let mut tar = TarReader::new(BoundedReader::new(plain, compressed_bytes, limits));
    let mut files = Files::default();
    let mut after = String::new();
    let mut bytes = 0_u64;
    let mut entries = 0;
    loop {
        let entry = match tar.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) if tar.ended() => return read_tail(tar.into_inner(), after).map(|()| files),
            Ok(None) => return Err(cut_off(after, &tar)),
            Err(source) => return Err(ImportError::Tar { after, source }),
        };
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(ImportError::TooManyEntries(MAX_ENTRIES));
        }
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        bytes = bytes.saturating_add(entry.size);
        if bytes > MAX_ARCHIVE_BYTES {
            return Err(ImportError::TooLarge {
                entry: name,
                max: MAX_ARCHIVE_BYTES,
            });
        }
        take(writer, &mut files, &entry, &name, &mut tar, progress)?;
        after = name;
    }
}

/// Reads what follows the end mark, so that the compression's own checksum is verified.
fn read_tail(rest: impl Read, after: String) -> Result<(), ImportError> {
    let read = std::io::copy(&mut rest.take(MAX_TAIL_BYTES), &mut std::io::sink());
    read.map(|_| ())
        .map_err(|source| ImportError::Tail { after, source })
}

/// Every writer of image archives ends them properly, so one without an end mark lacks something.
fn cut_off<R: Read>(after: String, tar: &TarReader<R>) -> ImportError {
    ImportError::Tar {
        after,
        source: tar.truncated(),
    }
}

fn take<R: Read>(
    writer: &mut Writer<'_>,
    files: &mut Files,
    entry: &Entry,
    name: &str,
    tar: &mut TarReader<R>,
    progress: &mut dyn FnMut(ImportProgress<'_>),
) -> Result<(), ImportError> {
    // A name that climbs is never asked for, and nothing is ever made of a name.
    let Some(key) = normalise("", name) else {
        return Ok(());
    };
    let found = match entry.kind {
        Kind::File if entry.sparse.is_none() => {
            progress(ImportProgress::Reading {
                entry: name,
                bytes: entry.size,
            });
            let blob = stage(writer, files, &key, entry.size, tar).map_err(|source| ImportError::Entry {
                entry: name.to_owned(),
                source,
            })?;
            Found::File(blob)
        }
        Kind::Symlink | Kind::HardLink => {
            let target = String::from_utf8_lossy(&entry.link);
            let base = if entry.kind == Kind::Symlink {
                parent(&key)
            } else {
                ""
            };
            match normalise(base, &target) {
                Some(target) => Found::Link(target),
                None => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    files.by_name.insert(key, found);
    Ok(())
}

fn stage<R: Read>(
    writer: &mut Writer<'_>,
    files: &mut Files,
    name: &str,
    size: u64,
    tar: &mut TarReader<R>,
) -> Result<BlobRef, ReceiveError> {
    let expected = name.strip_prefix("blobs/sha256/").and_then(Digest::parse_hex);
    let path = writer.staging_path();
    let blob = receive(writer.paths, tar, size, expected.as_ref(), &path)?;
    files.add(name, &blob);
    Ok(blob.blob)
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The name in its plainest form, seen from `base`; `None` if it climbs out of the archive.
fn normalise(base: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let base = if name.starts_with('/') { "" } else { base };
    for part in base.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_seen_from_where_they_lie() {
        assert_eq!(
            normalise("a/b", "../c/layer.tar").as_deref(),
            Some("a/c/layer.tar")
        );
        assert_eq!(normalise("", "./a//b/").as_deref(), Some("a/b"));
        assert_eq!(normalise("a", "/x").as_deref(), Some("x"));
        assert_eq!(normalise("a", "../../x"), None);
    }

    #[test]
    fn links_in_a_circle_lead_nowhere() {
        let mut files = Files::default();
        files.by_name.insert("a".to_owned(), Found::Link("b".to_owned()));
        files.by_name.insert("b".to_owned(), Found::Link("a".to_owned()));
        assert!(files.get("a").is_none());
    }
}
