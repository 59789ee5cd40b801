//! The images of the tests, made of Debian's programs without any registry, once per target directory.

mod rootfs;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use rootfs::Rootfs;

/// The reference under which [`busybox`] is imported.
pub const BUSYBOX: &str = "busybox:test";
/// The image of [`glibc`]: `dig`, `getent` and `lookup` with the GNU C library, which they load; and busybox.
pub const GLIBC: &str = "resolver-glibc:test";
/// The image of [`musl`]: `lookup` with the musl C library; and busybox.
pub const MUSL: &str = "resolver-musl:test";

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of this build's programs.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// A program of this build.
pub fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    assert!(
        path.exists(),
        "{} is missing: build it first (`make test` does: cargo build -p pinnace -p pinnace-shim)",
        path.display()
    );
    path
}

/// The folder of images that are made once, held alone: tests of several processes ask for them.
fn made_once() -> (PathBuf, Flock<File>) {
    let folder = programs().join("test-images");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .unwrap();
    (folder, lock)
}

/// Archives of the images that the example manifests ask for, made from Debian's packages.
pub fn examples() -> [PathBuf; 2] {
    let (folder, _lock) = made_once();
    let archives = ["node-exporter.tar", "fluentd.tar"].map(|name| folder.join("examples").join(name));
    if archives.iter().all(|archive| archive.exists()) {
        return archives;
    }
    let script = repository().join("packaging/demo/images.sh");
    let made = Command::new(script)
        .arg(folder.join("examples"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "images.sh: {}{}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
    archives
}

/// An archive of the tests' image.
pub fn busybox() -> PathBuf {
    let (folder, _lock) = made_once();
    let archive = folder.join("busybox.tar");
    if !archive.exists() {
        Rootfs::with_busybox(&folder).pack(BUSYBOX, &archive);
    }
    archive
}

/// An archive of [`GLIBC`].
pub fn glibc() -> PathBuf {
    let (folder, _lock) = made_once();
    let archive = folder.join(format!("glibc-{:016x}.tar", lookup_version()));
    if !archive.exists() {
        let rootfs = Rootfs::with_busybox(&folder);
        rootfs.program("/usr/bin/dig", "bind9-dnsutils");
        // It has the C library's loader and its resolver too, which `lookup` uses.
        rootfs.program("/usr/bin/getent", "libc-bin");
        rootfs.compile("/usr/bin/gcc", "gcc", &lookup(), &[]);
        rootfs.write("etc/nsswitch.conf", "hosts: files dns\n");
        rootfs.pack(GLIBC, &archive);
    }
    archive
}

/// An archive of [`MUSL`].
pub fn musl() -> PathBuf {
    let (folder, _lock) = made_once();
    let archive = folder.join(format!("musl-{:016x}.tar", lookup_version()));
    if !archive.exists() {
        let rootfs = Rootfs::with_busybox(&folder);
        rootfs.compile("/usr/bin/musl-gcc", "musl-tools", &lookup(), &["-static"]);
        rootfs.pack(MUSL, &archive);
    }
    archive
}

/// The program that asks the C library for names.
fn lookup() -> PathBuf {
    repository().join("tests/resolvers/lookup.c")
}

/// Another one for each text of the program, so that no image keeps an old one.
fn lookup_version() -> u64 {
    let mut hasher = DefaultHasher::new();
    include_str!("resolvers/lookup.c").hash(&mut hasher);
    hasher.finish()
}
