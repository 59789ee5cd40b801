//! An image's files, laid out in a folder and packed without any registry.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::repository;

/// The files; gone when dropped.
pub(super) struct Rootfs {
    folder: TempDir,
}

impl Rootfs {
    /// Debian's static busybox with all that it can do, and users.
    #[track_caller]
    pub(super) fn with_busybox(parent: &Path) -> Self {
        let rootfs = Self {
            folder: tempfile::tempdir_in(parent).unwrap(),
        };
        for name in ["bin", "etc", "tmp", "root"] {
            std::fs::create_dir(rootfs.path(name)).unwrap();
        }
        let busybox = installed("/bin/busybox", "busybox-static");
        std::fs::copy(busybox, rootfs.path("bin/busybox")).unwrap();
        for applet in run(busybox, ["--list"])
            .lines()
            .filter(|applet| *applet != "busybox")
        {
            symlink("busybox", rootfs.path("bin").join(applet)).unwrap();
        }
        rootfs.write(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        );
        rootfs.write("etc/group", "root:x:0:\nnogroup:x:65534:\n");
        rootfs
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Writes a file.
    #[track_caller]
    pub(super) fn write(&self, below: &str, text: &str) {
        std::fs::write(self.path(below), text).unwrap();
    }

    /// Takes over a program of the machine, with the libraries and the loader that it has there.
    #[track_caller]
    pub(super) fn program(&self, program: &str, package: &str) {
        let program = installed(program, package);
        let listed = run("/usr/bin/ldd", [program]);
        assert!(
            !listed.contains("not found"),
            "{} lacks libraries: {listed}",
            program.display()
        );
        // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", "/lib64/ld-linux-x86-64.so.2 (0x…)", and the kernel's own.
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        for file in libraries.map(Path::new).chain([program]) {
            let copy = self.path(file.strip_prefix("/").unwrap().to_str().unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            std::fs::copy(file, copy).unwrap();
        }
    }

    /// Compiles a program of one file into `/bin`.
    #[track_caller]
    pub(super) fn compile(&self, compiler: &str, package: &str, source: &Path, arguments: &[&str]) {
        let compiler = installed(compiler, package);
        let program = self.path("bin").join(source.file_stem().unwrap());
        let words = ["-O1".as_ref(), "-Wall".as_ref(), "-Werror".as_ref()]
            .into_iter()
            .chain(arguments.iter().map(OsStr::new))
            .chain(["-o".as_ref(), program.as_os_str(), source.as_os_str()]);
        run(compiler, words);
    }

    /// Packs the image; whoever looks for the archive sees all of it or nothing.
    #[track_caller]
    pub(super) fn pack(self, reference: &str, archive: &Path) {
        let new = archive.with_extension("new");
        let words: [&OsStr; 5] = [
            reference.as_ref(),
            self.folder.path().as_ref(),
            new.as_ref(),
            "[]".as_ref(),
            "[\"sh\"]".as_ref(),
        ];
        run(repository().join("packaging/demo/mkimage"), words);
        std::fs::rename(&new, archive).unwrap();
    }
}

/// A program of the machine, which must be there.
#[track_caller]
fn installed<'a>(program: &'a str, package: &str) -> &'a Path {
    let program = Path::new(program);
    assert!(
        program.exists(),
        "{} is missing: apt-get install {package}",
        program.display()
    );
    program
}

/// What a program prints; it must succeed.
#[track_caller]
fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = S>) -> String {
    let program = program.as_ref();
    let told = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        told.status.success(),
        "{}: {}{}",
        program.display(),
        text(&told.stdout),
        text(&told.stderr)
    );
    text(&told.stdout)
}
