//! What is needed of images: their layers and what they say about running them.

use std::future::Future;
use std::path::PathBuf;

use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{ImageHandle, PortResult};

use crate::error::{Doing, RuntimeError};
use crate::images::{ImageError, ImageStore};
use crate::spec::ImageDefaults;

const OPEN: Doing = Doing {
    operation: "open the image",
    reason: FailureReason::ImageInspectError,
};

/// An image ready to be stacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageRoot {
    /// Unpacked layers, the topmost first.
    pub layers: Vec<PathBuf>,
    /// Entry point, environment, user, working directory.
    pub defaults: ImageDefaults,
    /// The signal that asks its program to end, where it is not SIGTERM.
    pub stop_signal: Option<i32>,
}

/// Where images' layers come from.
pub trait ImageRoots: Send + Sync + 'static {
    /// The layers of an image that `Images::ensure` answered with.
    fn root(&self, image: &ImageHandle) -> impl Future<Output = PortResult<ImageRoot>> + Send;
}

impl ImageRoots for ImageStore {
    async fn root(&self, image: &ImageHandle) -> PortResult<ImageRoot> {
        let (store, wanted) = (self.clone(), image.clone());
        // A layer that is gone is unpacked again.
        let opened = tokio::task::spawn_blocking(move || open(&store, &wanted)).await;
        opened
            .map_err(RuntimeError::from)
            .and_then(|root| Ok(root?))
            .map_err(|error| OPEN.failed(image.reference.clone(), error))
    }
}

fn open(store: &ImageStore, image: &ImageHandle) -> Result<ImageRoot, ImageError> {
    let layers = store.lower_dirs(image)?;
    let config = store.config(image)?;
    Ok(ImageRoot {
        layers,
        stop_signal: config.stop_signal.as_deref().and_then(signal_number),
        defaults: ImageDefaults {
            entrypoint: config.entrypoint.clone(),
            cmd: config.cmd.clone(),
            env: config.env.clone(),
            user: config.user.clone(),
            working_dir: config.working_dir.clone(),
        },
    })
}

/// The number of a signal that an image names: `SIGQUIT`, `QUIT`, `3`, `SIGRTMIN+3`.
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let offset = if rest.is_empty() {
            0
        } else {
            rest.strip_prefix('+')?.parse::<i32>().ok()?
        };
        return (0..=30).contains(&offset).then_some(34 + offset);
    }
    format!("SIG{name}")
        .parse::<nix::sys::signal::Signal>()
        .ok()
        .map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_name_and_number() {
        assert_eq!(signal_number("SIGQUIT"), Some(3));
        assert_eq!(signal_number("quit"), Some(3));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("SIGRTMIN+3"), Some(37));
        assert_eq!(signal_number("SIGNOTHING"), None);
        assert_eq!(signal_number("65"), None);
    }
}
