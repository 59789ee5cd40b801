//! `pinnace image`: works on the store itself, with or without the agent; writers lock it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pinnace_runtime::images::{ImageError, ImageStore, ImportProgress};
use pinnace_server::{Client, ClientError};
use pinnace_sys::Layout;

use super::get::items;
use super::row::{age, text};
use super::table::Table;
use crate::cli::ImageVerb;

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ImageCommandError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] ImageError),
    /// The agent runs and does not say which images its pods use.
    #[error("ask the agent which images are in use")]
    Agent(#[source] ClientError),
    /// Standard input could not be kept in a file.
    #[error("keep standard input in a file below {path}")]
    Stdin {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output is closed or full.
    #[error("write to standard output")]
    Write(#[from] io::Error),
}

/// Carries the verb out.
pub async fn run(
    layout: &Layout,
    client: &Client,
    verb: &ImageVerb,
    out: &mut impl Write,
) -> Result<(), ImageCommandError> {
    let store = ImageStore::open(layout)?;
    match verb {
        ImageVerb::Ls => list(&store, out),
        ImageVerb::Import { files } => files
            .iter()
            .try_for_each(|file| import(layout, &store, file, out)),
        ImageVerb::Rm { images } => {
            let used = used_images(client).await?;
            images
                .iter()
                .try_for_each(|image| remove(&store, image, &used, out))
        }
    }
}

fn list(store: &ImageStore, out: &mut impl Write) -> Result<(), ImageCommandError> {
    let mut table = Table::new(&["IMAGE", "IMAGE ID", "CREATED", "SIZE"]);
    for image in store.list()? {
        let id: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        let created = image
            .created
            .map(|created| age(&created))
            .filter(|age| !age.is_empty());
        let created = image
            .problem
            .map(|problem| format!("broken: {problem}"))
            .or(created)
            .unwrap_or_default();
        let size = format!("{:.1}MB", image.size_bytes as f64 / 1e6);
        let names = if image.names.is_empty() {
            vec![String::new()]
        } else {
            image.names
        };
        for name in names {
            table.row([name, id.clone(), created.clone(), size.clone()]);
        }
    }
    Ok(table.print(out)?)
}

fn import(
    layout: &Layout,
    store: &ImageStore,
    file: &Path,
    out: &mut impl Write,
) -> Result<(), ImageCommandError> {
    let mut kept = None;
    let path = if file == Path::new("-") {
        kept.insert(keep_stdin(layout)?).path()
    } else {
        file
    };
    let shows = io::IsTerminal::is_terminal(&io::stderr());
    let mut progress = |step: ImportProgress<'_>| {
        if shows {
            eprint!("\r\x1b[K{}", described(&step));
        }
    };
    let imported = store.import(path, &mut progress);
    if shows {
        eprint!("\r\x1b[K");
    }
    for image in imported? {
        let names = if image.names.is_empty() {
            image.id.clone()
        } else {
            image.names.join(", ")
        };
        writeln!(out, "imported {names}")?;
    }
    Ok(())
}

fn described(step: &ImportProgress<'_>) -> String {
    match step {
        ImportProgress::Waiting => "waiting for another import".to_owned(),
        ImportProgress::Reading { entry, bytes } => {
            format!("reading {entry} ({:.1} MB)", *bytes as f64 / 1e6)
        }
        ImportProgress::Unpacking { layer, layers } => format!("unpacking layer {layer} of {layers}"),
        ImportProgress::Committing => "putting in place".to_owned(),
    }
}

/// An archive is read more than once, so that of a pipe is kept beside the store while it is imported.
fn keep_stdin(layout: &Layout) -> Result<tempfile::NamedTempFile, ImageCommandError> {
    let path = layout.state();
    let fail = |source| ImageCommandError::Stdin {
        path: path.clone(),
        source,
    };
    let mut file = tempfile::NamedTempFile::new_in(&path).map_err(fail)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(fail)?;
    Ok(file)
}

/// `namespace/pod` and image ID of every container; none where no agent runs.
async fn used_images(client: &Client) -> Result<Vec<(String, String)>, ImageCommandError> {
    let pods = match client.get("/v1/pods").await {
        Ok(pods) => pods,
        Err(ClientError::NotRunning { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(ImageCommandError::Agent(error)),
    };
    let mut used = Vec::new();
    for pod in items(&pods) {
        let name = format!(
            "{}/{}",
            text(&pod, "/metadata/namespace"),
            text(&pod, "/metadata/name")
        );
        let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"];
        let statuses = statuses
            .into_iter()
            .filter_map(|path| pod.pointer(path)?.as_array());
        for status in statuses.flatten() {
            used.push((name.clone(), text(status, "/imageID")));
        }
    }
    Ok(used)
}

fn remove(
    store: &ImageStore,
    image: &str,
    used: &[(String, String)],
    out: &mut impl Write,
) -> Result<(), ImageCommandError> {
    let removed = store.remove(image, |handle| {
        let runs = |id: &str| id.contains(&handle.id) || id.contains(&handle.manifest_digest);
        used.iter()
            .filter(|(_, id)| !id.is_empty() && runs(id))
            .map(|(pod, _)| pod.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    })?;
    for name in removed.untagged {
        writeln!(out, "untagged {name}")?;
    }
    if let Some(id) = removed.deleted {
        writeln!(out, "deleted {id}")?;
    }
    Ok(())
}
