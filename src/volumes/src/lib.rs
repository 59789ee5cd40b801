//! Pods' volumes, and where they appear in containers.
//!
//! ```text
//! prepare ── host_path   checks or makes what the type asks for; never removes it
//!         ── empty_dir   <state>/volumes/<uid>/<volume>, on disk or with a tmpfs mounted there
//!         ── written     configMap likewise on disk; secret, downwardAPI and projected on a tmpfs at
//!                        <run>/pods/<uid>/volumes/<volume>
//!         ── marker      <run>/pods/<uid>/volumes-ready: all of them are there, in this boot
//! update  ── written     new files take the old ones' place at once
//! mounts  ── image       an image's layers, read-only at <run>/pods/<uid>/volumes/<volume>
//!         ── sub_path    resolved beneath the volume, pinned to <run>/pods/<uid>/subpaths/<container>/<n>
//! remove  ── marker first, then mounts, then directories; goes on past an error
//! ```
//!
//! What is mounted is found again in the kernel's list of mounts, and directories by the pod's UID, so
//! nothing needs to be remembered. Removal follows no link and enters no mount, so nothing that a hostPath
//! names is ever touched.

mod empty_dir;
mod error;
mod host_path;
mod image;
mod pod;
mod sub_path;
mod volumes;
mod written;

pub use volumes::NodeVolumes;
