//! Archives of `docker save` before OCI layouts: `manifest.json` names files, and there is no manifest in
//! OCI's sense; one is made, the same for the same content.

use serde_json::json;

use crate::images::config::{ImageConfig, MAX_CONFIG_BYTES, MAX_LAYERS};
use crate::images::digest::Digest;
use crate::images::reference::Reference;
use crate::images::snapshot::check_pair;
use crate::images::spec::{
    BlobRef, DockerImage, DocumentError, MAX_MANIFEST_BYTES, MEDIA_CONFIG, MEDIA_LAYER, MEDIA_MANIFEST,
};

use super::Plan;
use super::error::ImportError;
use super::source::Source;

const MANIFEST: &str = "manifest.json";
const MAX_IMAGES: usize = 1000;

pub(super) fn plans(source: &mut Source<'_, '_>) -> Result<Vec<Plan>, ImportError> {
    let images = images(source)?;
    images.iter().map(|image| plan(source, image)).collect()
}

/// The images that `manifest.json` names.
pub(super) fn images(source: &mut Source<'_, '_>) -> Result<Vec<DockerImage>, ImportError> {
    let json = source.document(MANIFEST, MAX_MANIFEST_BYTES)?;
    let bad = |source| ImportError::Document {
        entry: MANIFEST.to_owned(),
        source,
    };
    let images: Vec<DockerImage> = serde_json::from_slice(&json).map_err(|error| bad(error.into()))?;
    let many = |what, count, max| bad(DocumentError::TooMany { what, count, max });
    if images.len() > MAX_IMAGES {
        return Err(many("images", images.len(), MAX_IMAGES));
    }
    match images
        .iter()
        .filter_map(|image| image.layers.as_ref())
        .map(Vec::len)
        .max()
    {
        Some(count) if count > MAX_LAYERS => Err(many("layers", count, MAX_LAYERS)),
        _ => Ok(images),
    }
}

/// The names of an image; `null` where it has none.
pub(super) fn names(image: &DockerImage) -> Result<Vec<Reference>, ImportError> {
    let tags = image.repo_tags.iter().flatten();
    tags.map(|name| {
        Reference::parse(name).map_err(|source| ImportError::Name {
            name: name.chars().take(300).collect(),
            source,
        })
    })
    .collect()
}

fn plan(source: &mut Source<'_, '_>, image: &DockerImage) -> Result<Plan, ImportError> {
    let config_blob = source.file(&image.config, MANIFEST)?;
    check_named_digest(&image.config, &config_blob.digest)?;
    let json = source.read(&config_blob, &image.config, MAX_CONFIG_BYTES)?;
    let config = ImageConfig::parse(&json).map_err(|source| ImportError::Config {
        entry: image.config.clone(),
        source,
    })?;
    let mut layers = Vec::new();
    for name in image.layers.iter().flatten() {
        layers.push(source.file(name, MANIFEST)?);
    }
    let json = manifest(source, &config_blob, &layers)?;
    let manifest = source.add_document("the image's manifest", &json)?;
    check_pair(&manifest.digest, layers.len(), &config)
        .map_err(|error| ImportError::Store(Box::new(error)))?;
    Ok(Plan {
        manifest,
        media_type: MEDIA_MANIFEST,
        list_digest: None,
        names: names(image)?,
        config_digest: config_blob.digest,
        config,
        layers,
    })
}

/// Docker names a configuration by its digest.
fn check_named_digest(name: &str, found: &Digest) -> Result<(), ImportError> {
    let base = name.rsplit('/').next().unwrap_or(name);
    match Digest::parse_hex(base.strip_suffix(".json").unwrap_or(base)) {
        Some(stated) if stated != *found => Err(ImportError::NameDigest {
            entry: name.to_owned(),
            found: *found,
        }),
        _ => Ok(()),
    }
}

fn manifest(source: &Source<'_, '_>, config: &BlobRef, layers: &[BlobRef]) -> Result<Vec<u8>, ImportError> {
    let mut entries = Vec::with_capacity(layers.len());
    for layer in layers {
        let suffix = match source.head(layer)? {
            [0x1f, 0x8b, ..] => "+gzip",
            [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
            _ => "",
        };
        entries.push(json!({
            "mediaType": format!("{MEDIA_LAYER}{suffix}"),
            "digest": layer.digest.to_string(),
            "size": layer.size,
        }));
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MEDIA_MANIFEST,
        "config": { "mediaType": MEDIA_CONFIG, "digest": config.digest.to_string(), "size": config.size },
        "layers": entries,
    });
    serde_json::to_vec(&manifest).map_err(|error| ImportError::Document {
        entry: MANIFEST.to_owned(),
        source: error.into(),
    })
}
