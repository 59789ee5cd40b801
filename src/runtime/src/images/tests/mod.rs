//! Tests of the whole, and what they are made with.

mod archives;
mod attacks;
mod bundles;
mod crash;
mod kernel;
mod port;
mod properties;
mod scripts;
mod store;
pub(super) mod tarball;

use std::path::{Path, PathBuf};

use pinnace_sys::Layout;

use super::{Digest, ImageError, ImageResult, ImageStore, Imported};
use crate::error::chain;
use tarball::Tarball;

/// A store under a root of its own.
pub(super) struct Node {
    pub dir: tempfile::TempDir,
    pub layout: Layout,
    pub store: ImageStore,
}

impl Node {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let store = ImageStore::open(&layout).unwrap();
        Self { dir, layout, store }
    }

    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn import(&self, path: &Path) -> ImageResult<Vec<Imported>> {
        self.store.import(path, &mut |_| {})
    }

    pub fn import_bytes(&self, content: &[u8]) -> ImageResult<Vec<Imported>> {
        let path = self.write("archive.tar", content);
        self.import(&path)
    }

    /// The whole text of an import's error.
    pub fn refusal(&self, content: &[u8]) -> String {
        chain(
            &self
                .import_bytes(content)
                .expect_err("the import was to be refused"),
        )
    }

    pub fn lower_dirs(&self, reference: &str) -> Vec<PathBuf> {
        let image = self.store.find(reference).unwrap().unwrap();
        self.store.lower_dirs(&image).unwrap()
    }

    /// All that lies in the store, hidden files of its own left out.
    pub fn content(&self) -> Vec<String> {
        let mut found = Vec::new();
        for directory in [self.layout.images().join("blobs/sha256"), self.layout.layers()] {
            let names = std::fs::read_dir(&directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name());
            found.extend(
                names
                    .map(|name| name.into_string().unwrap())
                    .filter(|name| name != ".staging"),
            );
        }
        found.sort();
        found
    }

    /// Nothing is in the store, nor on its way.
    pub fn assert_empty(&self) {
        assert_eq!(self.content(), ["empty"]);
        self.assert_no_leftovers();
        assert!(self.store.list().unwrap().is_empty());
    }

    pub fn assert_no_leftovers(&self) {
        for directory in [
            self.layout.images().join(".staging"),
            self.layout.layers().join(".staging"),
        ] {
            assert_eq!(
                std::fs::read_dir(&directory).unwrap().count(),
                0,
                "{}",
                directory.display()
            );
        }
        assert!(!self.layout.images().join(".journal.json").exists());
    }
}

/// An image to be put into an archive.
#[derive(Clone)]
pub(super) struct TestImage {
    pub names: Vec<&'static str>,
    /// Uncompressed tar archives, lowest first.
    pub layers: Vec<Vec<u8>>,
    pub compress: fn(&[u8]) -> Vec<u8>,
    pub arch: &'static str,
}

impl TestImage {
    pub fn new(name: &'static str, layers: Vec<Vec<u8>>) -> Self {
        Self {
            names: vec![name],
            layers,
            compress: <[u8]>::to_vec,
            arch: if cfg!(target_arch = "aarch64") {
                "arm64"
            } else {
                "amd64"
            },
        }
    }

    pub fn config(&self) -> Vec<u8> {
        let diff_ids: Vec<_> = self
            .layers
            .iter()
            .map(|layer| Digest::of(layer).to_string())
            .collect();
        serde_json::to_vec(&serde_json::json!({
            "architecture": self.arch, "os": "linux",
            "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))
        .unwrap()
    }

    pub fn blobs(&self) -> Vec<Vec<u8>> {
        self.layers.iter().map(|layer| (self.compress)(layer)).collect()
    }

    pub fn manifest(&self) -> Vec<u8> {
        let descriptor = |kind: &str, blob: &[u8]| serde_json::json!({"mediaType": kind, "digest": Digest::of(blob).to_string(), "size": blob.len()});
        let layers: Vec<_> = self
            .blobs()
            .iter()
            .map(|blob| descriptor(super::spec::MEDIA_LAYER, blob))
            .collect();
        serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2, "mediaType": super::spec::MEDIA_MANIFEST,
            "config": descriptor(super::spec::MEDIA_CONFIG, &self.config()), "layers": layers,
        }))
        .unwrap()
    }
}

/// As `docker save` wrote them before version 25.
pub(super) fn docker_archive(images: &[TestImage]) -> Vec<u8> {
    let mut tar = Tarball::new();
    let mut list = Vec::new();
    for image in images {
        let config = image.config();
        let config_name = format!("{}.json", Digest::of(&config).hex());
        tar.file(&config_name, &config);
        let mut layers = Vec::new();
        for blob in image.blobs() {
            let name = format!("{}/layer.tar", Digest::of(&blob).hex());
            tar.file(&name, &blob);
            layers.push(name);
        }
        list.push(serde_json::json!({"Config": config_name, "RepoTags": image.names, "Layers": layers}));
    }
    tar.file("manifest.json", &serde_json::to_vec(&list).unwrap());
    tar.finish()
}

/// Files of an OCI layout.
pub(super) fn oci_files(images: &[TestImage]) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![(
        "oci-layout".to_owned(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    )];
    let mut manifests = Vec::new();
    for image in images {
        let manifest = image.manifest();
        for name in &image.names {
            manifests.push(serde_json::json!({
                "mediaType": super::spec::MEDIA_MANIFEST, "digest": Digest::of(&manifest).to_string(),
                "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": name},
            }));
        }
        for blob in image.blobs().into_iter().chain([manifest, image.config()]) {
            files.push((format!("blobs/sha256/{}", Digest::of(&blob).hex()), blob));
        }
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
    files.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
    files
}

pub(super) fn oci_archive(images: &[TestImage]) -> Vec<u8> {
    tar_of(&oci_files(images))
}

pub(super) fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Tarball::new();
    for (name, content) in files {
        tar.file(name, content);
    }
    tar.finish()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A layer with one file.
pub(super) fn layer(name: &str, content: &str) -> Vec<u8> {
    Tarball::new().file(name, content.as_bytes()).finish()
}

pub(super) fn text(error: &ImageError) -> String {
    chain(error)
}
