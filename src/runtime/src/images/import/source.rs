//! Where images come from: an archive that was scanned, or a layout directory, behind one face.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use pinnace_sys::file::read_limited;
use pinnace_sys::path::{Mode, OFlags, Resolve, open_beneath, open_dir};

use crate::images::blobs::{StagedBlob, has_blob, read_document, receive};
use crate::images::digest::Digest;
use crate::images::error::ImageError;
use crate::images::spec::BlobRef;
use crate::images::writer::Writer;

use super::error::ImportError;
use super::scan::{Files, scan};
use super::{ImportProgress, Plan, docker, oci};

/// Where blobs came from, by digest.
#[derive(Debug)]
pub(super) struct Origin(HashMap<Digest, String>);

impl Origin {
    pub fn name_of(&self, digest: &Digest) -> String {
        self.0.get(digest).cloned().unwrap_or_else(|| digest.to_string())
    }
}

/// What is being imported.
pub(super) struct Source<'w, 'p> {
    pub writer: &'w mut Writer<'p>,
    files: Files,
    /// A layout directory, whose blobs are fetched when they are asked for.
    directory: Option<OwnedFd>,
    progress: &'w mut dyn FnMut(ImportProgress<'_>),
}

impl<'w, 'p> Source<'w, 'p> {
    /// Opens a directory, or reads an archive whole.
    pub fn open(
        writer: &'w mut Writer<'p>,
        path: &Path,
        progress: &'w mut dyn FnMut(ImportProgress<'_>),
    ) -> Result<Self, ImportError> {
        let mut files = Files::default();
        let mut directory = None;
        let found = std::fs::metadata(path).map_err(ImportError::Open)?;
        if found.is_dir() {
            directory = Some(open_dir(path).map_err(|error| ImportError::Open(error.source))?);
        } else {
            let bytes = found.is_file().then_some(found.len());
            files = scan(
                writer,
                File::open(path).map_err(ImportError::Open)?,
                bytes,
                progress,
            )?;
        }
        Ok(Self {
            writer,
            files,
            directory,
            progress,
        })
    }

    /// Reads the documents and makes sure that all blobs of the images are there.
    pub fn plans(&mut self) -> Result<Vec<Plan>, ImportError> {
        let plans = if self.has("index.json") {
            oci::plans(self)?
        } else if self.has("manifest.json") {
            docker::plans(self)?
        } else {
            return Err(ImportError::NotAnImage);
        };
        if plans.is_empty() {
            Err(ImportError::Empty)
        } else {
            Ok(plans)
        }
    }

    /// Everything that was staged, and where it came from.
    pub fn finish(self) -> (Vec<StagedBlob>, Origin) {
        (self.files.staged, Origin(self.files.names))
    }

    pub fn has(&self, name: &str) -> bool {
        match &self.directory {
            None => self.files.get(name).is_some(),
            Some(directory) => open_file(directory, name).is_ok(),
        }
    }

    /// Finds a file of an archive by its name.
    pub fn file(&self, name: &str, wanted_by: &str) -> Result<BlobRef, ImportError> {
        self.files.get(name).ok_or_else(|| ImportError::Missing {
            missing: name.to_owned(),
            wanted_by: wanted_by.to_owned(),
        })
    }

    /// Reads a document by its name.
    pub fn document(&mut self, name: &str, max: u64) -> Result<Vec<u8>, ImportError> {
        if let Some(directory) = &self.directory {
            let file = open_file(directory, name).map_err(ImportError::Open)?;
            let size = file.metadata().map_err(ImportError::Open)?.len();
            check_size(name, size, max)?;
            let mut content = Vec::new();
            file.take(max)
                .read_to_end(&mut content)
                .map_err(ImportError::Open)?;
            return Ok(content);
        }
        let blob = self.file(name, "the archive")?;
        self.read(&blob, name, max)
    }

    /// Reads a document by its digest, which must be staged or in the store.
    pub fn read(&self, blob: &BlobRef, name: &str, max: u64) -> Result<Vec<u8>, ImportError> {
        check_size(name, blob.size, max)?;
        let staged = self
            .files
            .staged(&blob.digest)
            .and_then(|staged| staged.path.as_ref());
        let content = match staged {
            Some(path) => read_limited(path, max).map_err(ImageError::from),
            None => read_document(self.writer.paths, &blob.digest, max),
        };
        content.map_err(|error| ImportError::Store(Box::new(error)))
    }

    /// Makes sure that a blob of a layout is staged or in the store, with the size that `wanted_by` states.
    pub fn fetch(&mut self, blob: &BlobRef, wanted_by: &str) -> Result<(), ImportError> {
        let name = format!("blobs/sha256/{}", blob.digest.hex());
        let staged = self.files.staged(&blob.digest).map(|staged| staged.blob);
        if let Some(found) = staged.or_else(|| self.files.get(&name)) {
            return check_stated(&name, blob, found.size, wanted_by);
        }
        let missing = || ImportError::Missing {
            missing: name.clone(),
            wanted_by: wanted_by.to_owned(),
        };
        let Some(directory) = &self.directory else {
            // An archive may leave out what the store has.
            return if has_blob(self.writer.paths, blob) {
                Ok(())
            } else {
                Err(missing())
            };
        };
        let file = match open_file(directory, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !has_blob(self.writer.paths, blob) => {
                return Err(missing());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(ImportError::Open)?,
        };
        let size = file.metadata().map_err(ImportError::Open)?.len();
        check_stated(&name, blob, size, wanted_by)?;
        (self.progress)(ImportProgress::Reading {
            entry: &name,
            bytes: size,
        });
        let path = self.writer.staging_path();
        let received = receive(
            self.writer.paths,
            file.take(size),
            size,
            Some(&blob.digest),
            &path,
        )
        .map_err(|source| ImportError::Entry {
            entry: name.clone(),
            source,
        })?;
        self.files.add(&name, &received);
        Ok(())
    }

    /// Adds a document of our own making.
    pub fn add_document(&mut self, name: &str, content: &[u8]) -> Result<BlobRef, ImportError> {
        let path = self.writer.staging_path();
        let digest = Digest::of(content);
        let blob = receive(
            self.writer.paths,
            content,
            content.len() as u64,
            Some(&digest),
            &path,
        )
        .map_err(|source| ImportError::Entry {
            entry: name.to_owned(),
            source,
        })?;
        self.files.add(name, &blob);
        Ok(blob.blob)
    }

    /// The first bytes of a blob that is staged or in the store.
    pub fn head(&self, blob: &BlobRef) -> Result<[u8; 4], ImportError> {
        let staged = self
            .files
            .staged(&blob.digest)
            .and_then(|staged| staged.path.clone());
        let path = staged.unwrap_or_else(|| self.writer.paths.blob(&blob.digest));
        let mut head = [0; 4];
        let file = File::open(path).map_err(ImportError::Open)?;
        let mut bytes = Vec::new();
        file.take(4).read_to_end(&mut bytes).map_err(ImportError::Open)?;
        head[..bytes.len()].copy_from_slice(&bytes);
        Ok(head)
    }
}

fn check_size(name: &str, size: u64, max: u64) -> Result<(), ImportError> {
    if size > max {
        return Err(ImportError::DocumentTooLarge {
            entry: name.to_owned(),
            size,
            max,
        });
    }
    Ok(())
}

fn check_stated(name: &str, blob: &BlobRef, found: u64, wanted_by: &str) -> Result<(), ImportError> {
    if found != blob.size {
        return Err(ImportError::Size {
            entry: name.to_owned(),
            expected: blob.size,
            found,
            wanted_by: wanted_by.to_owned(),
        });
    }
    Ok(())
}

/// Opens a regular file beneath a layout directory; a fifo there does not block.
fn open_file(directory: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open_beneath(directory, Path::new(name), Resolve::Beneath, flags, Mode::empty())
        .map(File::from)
        .map_err(|error| error.source)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}
