//! The image of the tests: Debian's static busybox, packed without any registry, once per target directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

/// The reference under which [`busybox`] is imported.
pub const BUSYBOX: &str = "busybox:test";

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
    if archive.exists() {
        return archive;
    }
    let rootfs = tempfile::tempdir_in(&folder).unwrap();
    for name in ["bin", "etc", "tmp", "root"] {
        std::fs::create_dir(rootfs.path().join(name)).unwrap();
    }
    let busybox = Path::new("/bin/busybox");
    assert!(
        busybox.exists(),
        "/bin/busybox is missing: apt-get install busybox-static"
    );
    std::fs::copy(busybox, rootfs.path().join("bin/busybox")).unwrap();
    let applets = Command::new(busybox).arg("--list").output().unwrap();
    for applet in String::from_utf8(applets.stdout)
        .unwrap()
        .lines()
        .filter(|applet| *applet != "busybox")
    {
        std::os::unix::fs::symlink("busybox", rootfs.path().join("bin").join(applet)).unwrap();
    }
    std::fs::write(
        rootfs.path().join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    )
    .unwrap();
    std::fs::write(rootfs.path().join("etc/group"), "root:x:0:\nnogroup:x:65534:\n").unwrap();
    let new = folder.join("busybox.tar.new");
    let packed = Command::new(repository().join("packaging/demo/mkimage"))
        .args([
            BUSYBOX.as_ref(),
            rootfs.path().as_os_str(),
            new.as_os_str(),
            "[]".as_ref(),
            "[\"sh\"]".as_ref(),
        ])
        .output()
        .unwrap();
    assert!(
        packed.status.success(),
        "mkimage: {}",
        String::from_utf8_lossy(&packed.stderr)
    );
    std::fs::rename(&new, &archive).unwrap();
    archive
}
