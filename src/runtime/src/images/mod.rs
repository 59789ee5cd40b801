//! Images on this node: an OCI image layout that skopeo and its like can read, and unpacked layers.
//!
//! ```text
//! archive, layout ──► import ──► images/  blobs, index.json   (the one truth: what index.json names)
//!                        └─────► layers/  one directory per chain ID, lower directories of overlayfs
//! ImageStore ── find, config, lower_dirs ── the runtime        ImageStore ── ports::Images ── the engine
//! ```
//! | module | does |
//! | --- | --- |
//! | `store` | [`ImageStore`], the face of it all |
//! | `port`, `bundles` | the engine's port; archives that lie ready to be imported |
//! | `import` | archives and layouts into plans, and plans into the store |
//! | `unpack`, `tar` | layers into directories; a bounded tar reader |
//! | `writer` | lock, journal, crash safety |
//! | `snapshot`, `blobs`, `layers`, `paths` | what the store holds, and where |
//! | `reference`, `digest`, `config`, `spec`, `platform` | names and documents |
//!
//! Invariants:
//! - What a digest names in the store was verified, and synced before it got its name.
//! - One process writes at a time; readers take no lock, since `index.json` is only ever replaced.
//! - A failed or killed import leaves nothing that the next writer does not remove.
//! - Everything in an archive is outside input: bounded, and never a path outside its own directory.

mod blobs;
mod bundles;
mod config;
mod digest;
mod error;
mod import;
mod layers;
mod paths;
mod platform;
mod port;
mod reference;
mod snapshot;
mod spec;
mod store;
mod tar;
#[cfg(test)]
mod tests;
mod unpack;
mod writer;

pub use blobs::ReceiveError;
pub use bundles::{BundleOutcome, BundleReport};
pub use config::{ConfigError, ImageConfig};
pub use digest::{Digest, DigestError};
pub use error::{ImageError, ImageResult};
pub use import::{ImportError, ImportProgress, Imported};
pub use reference::{Reference, ReferenceError};
pub use spec::DocumentError;
pub use store::{ImageDetails, ImageStore, ImageSummary, LayerDetails, Removed};
pub use tar::TarError;
pub use unpack::{EntryError, LimitExceeded, UnpackError, UnpackLimits};
