//! OCI image layouts, in an archive or a directory, also those that newer `docker save` writes.

use std::collections::HashMap;

use crate::images::config::{ImageConfig, MAX_CONFIG_BYTES};
use crate::images::digest::Digest;
use crate::images::platform;
use crate::images::reference::Reference;
use crate::images::snapshot::{check_pair, name_of};
use crate::images::spec::{
    BlobRef, Descriptor, DocumentError, MAX_MANIFEST_BYTES, MEDIA_MANIFEST, parse_index, parse_manifest,
};

use super::error::ImportError;
use super::source::Source;
use super::{Plan, docker};

const INDEX: &str = "index.json";
/// Lists within lists.
const MAX_DEPTH: usize = 4;

/// An entry of the index that runs here, with the list that it came from.
struct Candidate {
    manifest: Descriptor,
    list_digest: Option<Digest>,
    rank: u32,
    name: Option<Reference>,
}

pub(super) fn plans(source: &mut Source<'_, '_>) -> Result<Vec<Plan>, ImportError> {
    let json = source.document(INDEX, MAX_MANIFEST_BYTES)?;
    let index = parse_index(&json).map_err(document(INDEX))?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut others = 0;
    for descriptor in &index.manifests {
        match candidate(source, descriptor)? {
            Some(candidate) => add(&mut candidates, candidate),
            None => others += 1,
        }
    }
    if candidates.is_empty() && others > 0 {
        return Err(ImportError::Platform {
            here: platform::here(),
        });
    }
    let mut plans: Vec<Plan> = Vec::new();
    for candidate in candidates {
        let Some(plan) = plan(source, &candidate)? else {
            continue;
        };
        match plans.iter_mut().find(|other| other.manifest == plan.manifest) {
            Some(same) => same.names.extend(plan.names),
            None => plans.push(plan),
        }
    }
    if source.has("manifest.json") {
        add_dockers_names(source, &mut plans)?;
    }
    Ok(plans)
}

/// Follows lists to this machine's platform.
fn candidate(source: &mut Source<'_, '_>, entry: &Descriptor) -> Result<Option<Candidate>, ImportError> {
    let name = name_of(entry);
    let mut descriptor = entry.clone();
    let mut list_digest = None;
    let mut parent = INDEX.to_owned();
    for _ in 0..MAX_DEPTH {
        if !descriptor.is_index() {
            let rank = match &descriptor.platform {
                None => Some(0),
                Some(platform) => platform::rank(platform),
            };
            let usable = rank.filter(|_| descriptor.is_manifest() && !descriptor.is_attestation());
            return Ok(usable.map(|rank| Candidate {
                manifest: descriptor,
                list_digest,
                rank,
                name,
            }));
        }
        let list = blob_ref(&descriptor, &parent)?;
        source.fetch(&list, &parent)?;
        let json = source.read(&list, &descriptor.digest, MAX_MANIFEST_BYTES)?;
        parent.clone_from(&descriptor.digest);
        let index = parse_index(&json).map_err(document(&parent))?;
        list_digest.get_or_insert(list.digest);
        match platform::choose(&index.manifests) {
            Some(chosen) => descriptor = chosen.clone(),
            None => return Ok(None),
        }
    }
    Err(document(&parent)(DocumentError::TooMany {
        what: "lists within lists",
        count: MAX_DEPTH + 1,
        max: MAX_DEPTH,
    }))
}

/// Entries of one name that state platforms are one image's variants: the best one counts.
fn add(candidates: &mut Vec<Candidate>, new: Candidate) {
    let variant = |other: &&mut Candidate| {
        other.name == new.name && other.manifest.platform.is_some() && new.manifest.platform.is_some()
    };
    match candidates.iter_mut().find(variant) {
        Some(other) if new.rank > other.rank => *other = new,
        Some(_) => {}
        None => candidates.push(new),
    }
}

/// `None` if the manifest is of something that is no container image.
fn plan(source: &mut Source<'_, '_>, candidate: &Candidate) -> Result<Option<Plan>, ImportError> {
    let entry = candidate.manifest.digest.clone();
    let manifest_blob = blob_ref(&candidate.manifest, INDEX)?;
    source.fetch(&manifest_blob, INDEX)?;
    let json = source.read(&manifest_blob, &entry, MAX_MANIFEST_BYTES)?;
    let manifest = match parse_manifest(&json) {
        Err(DocumentError::NotAnImage(kind)) => {
            tracing::debug!(manifest = %entry, kind, "passed over a manifest that is no container image");
            return Ok(None);
        }
        other => other.map_err(document(&entry))?,
    };
    source.fetch(&manifest.config, &entry)?;
    let name = manifest.config.digest.to_string();
    let json = source.read(&manifest.config, &name, MAX_CONFIG_BYTES)?;
    let config = ImageConfig::parse(&json).map_err(|source| ImportError::Config { entry: name, source })?;
    check_pair(&manifest_blob.digest, manifest.layers.len(), &config)
        .map_err(|error| ImportError::Store(Box::new(error)))?;
    for layer in &manifest.layers {
        source.fetch(layer, &entry)?;
    }
    Ok(Some(Plan {
        manifest: manifest_blob,
        // Docker's manifests differ in the types that they name; readers go by the descriptor's.
        media_type: media_type(&candidate.manifest.media_type),
        list_digest: candidate.list_digest,
        names: candidate.name.iter().cloned().collect(),
        config_digest: manifest.config.digest,
        config,
        layers: manifest.layers,
    }))
}

/// Docker writes the full names into `manifest.json`, and some versions only there.
fn add_dockers_names(source: &mut Source<'_, '_>, plans: &mut [Plan]) -> Result<(), ImportError> {
    let mut by_config: HashMap<Digest, Vec<Reference>> = HashMap::new();
    for image in docker::images(source)? {
        if let Ok(config) = source.file(&image.config, "manifest.json") {
            by_config
                .entry(config.digest)
                .or_default()
                .extend(docker::names(&image)?);
        }
    }
    for plan in plans {
        for name in by_config.remove(&plan.config_digest).into_iter().flatten() {
            if !plan.names.contains(&name) {
                plan.names.push(name);
            }
        }
    }
    Ok(())
}

fn media_type(stated: &str) -> &'static str {
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    if stated == DOCKER { DOCKER } else { MEDIA_MANIFEST }
}

fn blob_ref(descriptor: &Descriptor, wanted_by: &str) -> Result<BlobRef, ImportError> {
    BlobRef::of(descriptor).map_err(document(wanted_by))
}

fn document(entry: &str) -> impl Fn(DocumentError) -> ImportError {
    let entry = entry.chars().take(300).collect::<String>();
    move |source| ImportError::Document {
        entry: entry.clone(),
        source,
    }
}
