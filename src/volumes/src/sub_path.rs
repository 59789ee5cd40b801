//! subPath: a part of a volume, in a volume that containers may change at any time.
//!
//! The path is resolved by the kernel beneath the volume's directory, in one step: a link may be followed
//! only where it stays within. What was found is held by its descriptor and bound to a place of our own, and
//! that place is what the container gets: whatever becomes of the path afterwards, nothing else can come to
//! be mounted.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use pinnace_sys::mount::{BindOptions, Propagation, bind_fd, is_mountpoint, unmount};
use pinnace_sys::path::{Resolve, check_descending, create_dirs_beneath, open_path};
use pinnace_sys::{Doing, SysResult, file};

/// The directories above the places.
const MODE: u32 = 0o750;

/// Whether a `subPath` names the volume itself.
pub(crate) fn is_whole_volume(sub_path: &str) -> bool {
    let mut components = Path::new(sub_path).components();
    components.all(|component| component == Component::CurDir)
}

/// How something is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pin {
    /// Mounts that the container makes travel back to the volume.
    pub shared: bool,
    /// Nothing can be written there, nor in any mount beneath.
    pub read_only: bool,
}

/// Resolves a path beneath a volume and pins what is there to `place`. What is absent is made as a
/// directory, with the volume's own mode, as the kubelet does.
pub(crate) fn pin(volume: &Path, sub_path: &str, place: &Path, how: Pin) -> SysResult<()> {
    let sub_path = Path::new(sub_path);
    check_descending(sub_path)?;
    let top = File::from(open_path(volume)?);
    let mode = top.metadata().doing_on("stat", volume)?.mode() & 0o7777;
    let found = File::from(create_dirs_beneath(&top, sub_path, Resolve::Beneath, mode)?);
    pin_found(&found, sub_path, place, how)
}

/// Pins a volume itself, whose path is trusted.
pub(crate) fn pin_whole(volume: &Path, place: &Path, how: Pin) -> SysResult<()> {
    pin_found(&File::from(open_path(volume)?), volume, place, how)
}

fn pin_found(found: &File, path: &Path, place: &Path, how: Pin) -> SysResult<()> {
    let metadata = found.metadata().doing_on("stat", path)?;
    // Of what is read-only with all beneath it, mounts may have come since: they are taken in anew.
    if !how.read_only && is_mountpoint(place)? && is_same(&metadata, place) {
        return Ok(());
    }
    unmount(place)?;
    make_place(place, metadata.is_dir())?;
    let options = BindOptions {
        recursive: true,
        read_only: how.read_only,
        // The place itself shall never unmount anything in the volume, and later mounts would be writable.
        propagation: match (how.read_only, how.shared) {
            (true, _) => Some(Propagation::Private),
            (false, false) => Some(Propagation::Slave),
            (false, true) => None,
        },
    };
    bind_fd(found, place, options)
}

fn is_same(metadata: &Metadata, place: &Path) -> bool {
    std::fs::metadata(place)
        .is_ok_and(|pinned| (pinned.dev(), pinned.ino()) == (metadata.dev(), metadata.ino()))
}

/// A directory is bound to a directory, anything else to a file.
fn make_place(place: &Path, is_directory: bool) -> SysResult<()> {
    if let Some(parent) = place.parent() {
        file::create_dir_all(parent, MODE)?;
    }
    match std::fs::symlink_metadata(place) {
        Ok(there) if there.is_dir() == is_directory => return Ok(()),
        // Left from when something of another kind was there.
        Ok(there) if there.is_dir() => std::fs::remove_dir(place).doing_on("remove", place)?,
        Ok(_) => file::remove_file(place)?,
        Err(_) => {}
    }
    if is_directory {
        std::fs::create_dir(place).doing_on("create directory", place)
    } else {
        File::create_new(place).map(drop).doing_on("create", place)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use pinnace_sys::mount::{mount_tmpfs, mounts_beneath, set_propagation, unmount_beneath};

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(place.volume()).unwrap();
            std::fs::create_dir(place.0.path().join("secret")).unwrap();
            std::fs::write(place.0.path().join("secret/key"), b"key").unwrap();
            place
        }
        fn volume(&self) -> PathBuf {
            self.0.path().join("volume")
        }
        fn place(&self) -> PathBuf {
            self.0.path().join("subpaths/main/0")
        }
        fn pin(&self, sub_path: &str) -> SysResult<()> {
            pin(&self.volume(), sub_path, &self.place(), Pin::default())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = unmount_beneath(self.0.path());
        }
    }

    #[test]
    fn no_link_and_no_path_leads_out_of_the_volume() {
        let place = Place::new();
        symlink("..", place.volume().join("up")).unwrap();
        symlink("../secret", place.volume().join("relative")).unwrap();
        symlink(place.0.path().join("secret"), place.volume().join("absolute")).unwrap();
        symlink("/proc/self/root", place.volume().join("magic")).unwrap();
        symlink("../secret/key", place.volume().join("file")).unwrap();
        let ways = [
            "up",
            "up/secret",
            "relative",
            "absolute",
            "absolute/new",
            "magic/etc",
            "file",
            "../secret",
            "/secret",
            "a/../../secret",
        ];
        for way in ways {
            assert!(place.pin(way).is_err(), "{way}");
            assert!(!is_mountpoint(&place.place()).unwrap(), "{way}");
        }
        assert!(!place.0.path().join("secret/new").exists());
    }

    #[test]
    fn links_that_stay_within_are_followed() {
        let place = Place::new();
        std::fs::create_dir_all(place.volume().join("real/inner")).unwrap();
        std::fs::write(place.volume().join("real/inner/file"), b"mine").unwrap();
        symlink("../real", place.volume().join("real/up-and-down")).unwrap();
        place.pin("real/up-and-down/inner").unwrap();
        assert_eq!(std::fs::read(place.place().join("file")).unwrap(), b"mine");
    }

    #[test]
    fn what_is_absent_is_made_with_the_volumes_mode() {
        let place = Place::new();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o2770);
        std::fs::set_permissions(place.volume(), permissions).unwrap();
        place.pin("a/b").unwrap();
        let mode = std::fs::metadata(place.volume().join("a/b")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o2770);
        std::fs::write(place.place().join("file"), b"").unwrap();
        assert!(place.volume().join("a/b/file").exists());
    }

    #[test]
    fn a_path_that_is_swapped_later_changes_nothing_of_what_is_pinned() {
        let place = Place::new();
        std::fs::create_dir(place.volume().join("data")).unwrap();
        std::fs::write(place.volume().join("data/file"), b"mine").unwrap();
        place.pin("data").unwrap();
        std::fs::rename(place.volume().join("data"), place.volume().join("moved")).unwrap();
        symlink("../secret", place.volume().join("data")).unwrap();
        assert_eq!(std::fs::read(place.place().join("file")).unwrap(), b"mine");
        assert!(!place.place().join("key").exists());
        assert!(place.pin("data").is_err());
    }

    /// Ends the swapping thread also where the test fails.
    struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn swapping_while_pinning_never_reaches_outside() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let place = Place::new();
        let (data, link) = (place.volume().join("data"), place.volume().join("link"));
        std::fs::create_dir(&data).unwrap();
        symlink("../secret", &link).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (mut pinned, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    renameat_with(CWD, &data, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let _stop = Stop(&stop);
            let begun = std::time::Instant::now();
            // Until both outcomes were seen often enough.
            while pinned < 100 || refused < 100 {
                assert!(
                    begun.elapsed().as_secs() < 30,
                    "{pinned} pinned, {refused} refused"
                );
                match place.pin("data") {
                    Ok(()) => pinned += 1,
                    Err(_) => refused += 1,
                }
                assert!(!place.place().join("key").exists());
                unmount(&place.place()).unwrap();
            }
        });
    }

    #[test]
    fn pinning_again_keeps_the_same_and_follows_a_change_of_kind() {
        let place = Place::new();
        std::fs::write(place.volume().join("x"), b"one").unwrap();
        place.pin("x").unwrap();
        place.pin("x").unwrap();
        assert_eq!(std::fs::read(place.place()).unwrap(), b"one");
        assert_eq!(
            pinnace_sys::mount::mounts_beneath(place.0.path()).unwrap().len(),
            1
        );
        std::fs::remove_file(place.volume().join("x")).unwrap();
        std::fs::create_dir(place.volume().join("x")).unwrap();
        place.pin("x").unwrap();
        assert!(place.place().is_dir());
    }

    #[test]
    fn mounts_in_the_volume_travel_in_and_unpinning_takes_none_of_them_away() {
        let place = Place::new();
        mount_tmpfs(&place.volume(), None, 0o755).unwrap();
        set_propagation(&place.volume(), Propagation::Shared).unwrap();
        std::fs::create_dir_all(place.volume().join("data/now")).unwrap();
        std::fs::create_dir(place.volume().join("data/later")).unwrap();
        mount_tmpfs(&place.volume().join("data/now"), None, 0o755).unwrap();
        for shared in [false, true] {
            let how = Pin {
                shared,
                read_only: false,
            };
            pin(&place.volume(), "data", &place.place(), how).unwrap();
            assert!(is_mountpoint(&place.place().join("now")).unwrap());
            mount_tmpfs(&place.volume().join("data/later"), None, 0o755).unwrap();
            assert!(is_mountpoint(&place.place().join("later")).unwrap());
            unmount(&place.place()).unwrap();
            assert!(is_mountpoint(&place.volume().join("data/now")).unwrap());
            assert!(is_mountpoint(&place.volume().join("data/later")).unwrap());
            unmount(&place.volume().join("data/later")).unwrap();
        }
    }

    #[test]
    fn read_only_with_all_beneath_holds_for_mounts_in_the_volume() {
        let place = Place::new();
        std::fs::create_dir(place.volume().join("inner")).unwrap();
        mount_tmpfs(&place.volume().join("inner"), None, 0o755).unwrap();
        let how = Pin {
            shared: false,
            read_only: true,
        };
        pin_whole(&place.volume(), &place.place(), how).unwrap();
        pin_whole(&place.volume(), &place.place(), how).unwrap();
        for refused in ["new", "inner/new"] {
            let error = std::fs::write(place.place().join(refused), b"").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem, "{refused}");
            std::fs::write(place.volume().join(refused), b"").unwrap();
        }
        assert_eq!(mounts_beneath(&place.place()).unwrap().len(), 2);
    }

    #[test]
    fn a_dot_is_the_whole_volume() {
        assert!(is_whole_volume("") && is_whole_volume(".") && is_whole_volume("./."));
        assert!(!is_whole_volume("a") && !is_whole_volume(".."));
    }

    #[test]
    fn a_volume_that_is_a_file_has_no_parts() {
        let place = Place::new();
        let file = place.0.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = pin(&file, "a", &place.place(), Pin::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
