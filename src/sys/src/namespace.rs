//! Namespaces that live without a process: made in a thread of their own, which ends, and pinned by binding
//! them to files.
//!
//! What is pinned is complete: the host name is set and the loopback interface is up before the file shows
//! the namespace, so a crash in between leaves nothing that a later call would take for whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, FsWord, OFlags, openat};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Doing, SysResult};
use crate::file;
use crate::mount;
use crate::netlink::{self, Batch, Family, Socket};

/// `NSFS_MAGIC` of the kernel.
const NSFS: FsWord = 0x6e73_6673;
/// The loopback interface is the first of every network namespace.
const LOOPBACK_INDEX: i32 = 1;

/// A kind of namespace that needs no process to be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceKind {
    /// Interfaces, addresses, rules, ports; made with its loopback up.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name; made with the name asked for.
    Uts,
}

impl NamespaceKind {
    /// The kernel's name of it, as in `/proc/PID/ns`.
    pub fn file_name(self) -> &'static str {
        match self {
            NamespaceKind::Network => "net",
            NamespaceKind::Ipc => "ipc",
            NamespaceKind::Uts => "uts",
        }
    }

    fn flag(self) -> CloneFlags {
        match self {
            NamespaceKind::Network => CloneFlags::CLONE_NEWNET,
            NamespaceKind::Ipc => CloneFlags::CLONE_NEWIPC,
            NamespaceKind::Uts => CloneFlags::CLONE_NEWUTS,
        }
    }
}

/// A namespace and the file that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What is made.
    pub kind: NamespaceKind,
    /// Where it is bound; its directory must be there.
    pub path: PathBuf,
}

/// Makes and pins those of the namespaces that are not pinned yet. A UTS namespace that is made gets
/// `hostname`, where one is given.
pub fn pin(pins: &[Pin], hostname: Option<&str>) -> SysResult<()> {
    let mut missing = Vec::new();
    for pin in pins {
        if !is_pinned(&pin.path)? {
            missing.push(pin.clone());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let hostname = hostname.map(str::to_owned);
    let maker = std::thread::Builder::new()
        .name("namespaces".to_owned())
        .spawn(move || make_and_bind(&missing, hostname.as_deref()))
        .doing("start a thread to make", "namespaces")?;
    match maker.join() {
        Ok(made) => made,
        Err(_) => Err(io::Error::other("the thread ended early")).doing("make", "namespaces"),
    }
}

/// Whether a namespace is pinned to this file.
pub fn is_pinned(path: &Path) -> SysResult<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found =
        openat(CWD, path, flags, rustix::fs::Mode::empty()).and_then(|file| rustix::fs::fstatfs(&file));
    match found {
        Ok(found) => Ok(found.f_type == NSFS),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).doing_on("stat the namespace", path),
    }
}

/// Brings this thread into the namespace pinned to this file, for good: for programs that do one thing and end.
pub fn enter(path: &Path) -> SysResult<()> {
    let file = File::open(path).doing_on("open the namespace", path)?;
    move_into_link_name_space(file.as_fd(), None::<LinkNameSpaceType>).doing_on("enter the namespace", path)
}

/// Pins the PID namespace of a process to this file. It is of use while its first process lives.
pub fn pin_pid_namespace(pid: u32, path: &Path) -> SysResult<()> {
    create_empty(path)?;
    let source = PathBuf::from(format!("/proc/{pid}/ns/pid"));
    mount::bind(&source, path, mount::BindOptions::default())
}

/// Does `work` in a thread of its own that is in the namespace pinned to this file; the thread then ends. What
/// it opens (sockets, files below /proc/thread-self) stays of that namespace.
pub fn within<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> SysResult<T> {
    let file = File::open(path).doing_on("open the namespace", path)?;
    let enter = || {
        move_into_link_name_space(file.as_fd(), None::<LinkNameSpaceType>)
            .doing_on("enter the namespace", path)
    };
    in_thread(|| enter().map(|()| work()))
}

/// Does `work` in this thread, which is in the network namespace pinned to this file meanwhile: for what takes
/// microseconds, such as opening a socket, and less than handing it to another thread would.
pub fn visit<T>(path: &Path, work: impl FnOnce() -> T) -> SysResult<T> {
    const OWN: &str = "/proc/thread-self/ns/net";
    let file = File::open(path).doing_on("open the namespace", path)?;
    let own = File::open(OWN).doing("open the namespace", OWN)?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .doing_on("enter the namespace", path)?;
    let _back = WayBack { own };
    Ok(work())
}

/// Brings the thread back, whatever ends the visit.
struct WayBack {
    own: File,
}

impl Drop for WayBack {
    fn drop(&mut self) {
        // A thread that stayed there would do harm with whatever it is given to do next. Only a lack of memory
        // can keep it there, and for a moment.
        while move_into_link_name_space(self.own.as_fd(), Some(LinkNameSpaceType::Network)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// A thread that changes its namespace must not be used for anything else.
fn in_thread<T: Send>(work: impl FnOnce() -> SysResult<T> + Send) -> SysResult<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("namespace".to_owned())
            .spawn_scoped(scope, work)
            .doing("start a thread for", "a namespace")?;
        match thread.join() {
            Ok(done) => done,
            Err(_) => Err(io::Error::other("the thread ended early")).doing("work in", "a namespace"),
        }
    })
}

/// Does `work` in a thread of its own with a new network namespace, which goes with the last of what was opened
/// there.
pub fn within_new_network<T: Send>(work: impl FnOnce() -> T + Send) -> SysResult<T> {
    let make = || unshare(CloneFlags::CLONE_NEWNET).doing("make", "a network namespace");
    in_thread(|| make().map(|()| work()))
}

/// Lets go of a namespace and removes its file; nothing there is fine. The kernel takes the namespace down
/// when its last user is gone, later and by itself.
pub fn unpin(path: &Path) -> SysResult<()> {
    mount::unmount(path)?;
    file::remove_file(path)
}

/// Runs in a thread that ends right after, so what it unshares concerns no other.
fn make_and_bind(pins: &[Pin], hostname: Option<&str>) -> SysResult<()> {
    let flags = pins.iter().map(|pin| pin.kind.flag()).collect::<CloneFlags>();
    unshare(flags).doing("make", "namespaces")?;
    if flags.contains(CloneFlags::CLONE_NEWUTS)
        && let Some(hostname) = hostname
    {
        nix::unistd::sethostname(hostname).doing("set the host name", hostname)?;
    }
    if flags.contains(CloneFlags::CLONE_NEWNET) {
        loopback_up().doing("set up", "the loopback interface")?;
    }
    for pin in pins {
        let source = PathBuf::from(format!("/proc/thread-self/ns/{}", pin.kind.file_name()));
        create_empty(&pin.path)?;
        mount::bind(&source, &pin.path, mount::BindOptions::default())?;
    }
    Ok(())
}

fn create_empty(path: &Path) -> SysResult<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o444)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .doing_on("create", path)
}

/// Asks by netlink: RTM_NEWLINK on the first interface, with IFF_UP set.
fn loopback_up() -> io::Result<()> {
    let up = libc::IFF_UP.cast_unsigned();
    let mut header = [0_u8; 16];
    header[4..8].copy_from_slice(&LOOPBACK_INDEX.to_ne_bytes());
    header[8..12].copy_from_slice(&up.to_ne_bytes());
    header[12..16].copy_from_slice(&up.to_ne_bytes());
    let mut batch = Batch::new();
    batch.message(libc::RTM_NEWLINK, netlink::ACK, &header);
    let answers = Socket::open(Family::Route)?.execute(batch)?;
    answers.results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::time::Instant;

    use super::*;

    struct Pins(tempfile::TempDir);

    impl Pins {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
        fn all(&self) -> Vec<Pin> {
            let kinds = [NamespaceKind::Network, NamespaceKind::Ipc, NamespaceKind::Uts];
            let pin = |kind: NamespaceKind| Pin {
                kind,
                path: self.path(kind.file_name()),
            };
            kinds.into_iter().map(pin).collect()
        }
    }

    impl Drop for Pins {
        fn drop(&mut self) {
            let _ = mount::unmount_beneath(self.0.path());
        }
    }

    fn inside<T: Send>(path: &Path, look: impl FnOnce() -> T + Send) -> T {
        within(path, look).unwrap()
    }

    #[test]
    fn pinned_namespaces_are_new_complete_and_ours_stay() {
        let own = |kind: &str| std::fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
        let before: Vec<u64> = ["net", "ipc", "uts"].map(own).to_vec();
        let pins = Pins::new();
        pin(&pins.all(), Some("pod-name")).unwrap();
        assert_eq!(["net", "ipc", "uts"].map(own).to_vec(), before);
        for (pinned, own) in pins.all().iter().zip(&before) {
            assert!(is_pinned(&pinned.path).unwrap());
            assert_ne!(std::fs::metadata(&pinned.path).unwrap().ino(), *own);
        }
        let hostname = inside(&pins.path("uts"), || nix::unistd::gethostname().unwrap());
        assert_eq!(hostname.to_str(), Some("pod-name"));
        let connected = inside(&pins.path("net"), || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok()
        });
        assert!(connected, "loopback carries connections");
    }

    #[test]
    fn a_visit_ends_where_it_began() {
        let pins = Pins::new();
        pin(&pins.all(), None).unwrap();
        let here = || std::fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
        let before = here();
        let there = visit(&pins.path("net"), here).unwrap();
        assert_eq!(there, std::fs::metadata(pins.path("net")).unwrap().ino());
        assert_eq!(here(), before);
        let fails = || visit(&pins.path("net"), || panic!("within"));
        assert!(std::panic::catch_unwind(fails).is_err());
        assert_eq!(here(), before);
        assert!(visit(&pins.path("uts"), || ()).is_err(), "not a network");
        assert_eq!(here(), before);
    }

    #[test]
    fn pinning_again_keeps_what_is_there_and_adds_what_is_missing() {
        let pins = Pins::new();
        let all = pins.all();
        pin(&all[..1], None).unwrap();
        let first = std::fs::metadata(&all[0].path).unwrap().ino();
        // A crash between the file's creation and the bind leaves an empty file.
        std::fs::write(&all[1].path, b"").unwrap();
        assert!(!is_pinned(&all[1].path).unwrap());
        pin(&all, Some("again")).unwrap();
        assert_eq!(std::fs::metadata(&all[0].path).unwrap().ino(), first);
        assert!(all.iter().all(|pin| is_pinned(&pin.path).unwrap()));
    }

    #[test]
    fn unpinning_leaves_no_file_and_may_be_repeated() {
        let pins = Pins::new();
        let all = pins.all();
        pin(&all, None).unwrap();
        for pin in all.iter().chain(&all) {
            unpin(&pin.path).unwrap();
            assert!(!is_pinned(&pin.path).unwrap() && !pin.path.exists());
        }
    }

    #[test]
    fn pinning_fails_by_name_where_the_directory_is_missing() {
        let pins = Pins::new();
        let path = pins.path("absent/net");
        let absent = Pin {
            kind: NamespaceKind::Network,
            path: path.clone(),
        };
        let error = pin(&[absent], None).unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.object, path.display().to_string());
    }

    #[test]
    fn pinning_all_three_is_a_matter_of_milliseconds() {
        let pins = Pins::new();
        let begun = Instant::now();
        pin(&pins.all(), Some("quick")).unwrap();
        let taken = begun.elapsed();
        println!("three namespaces made and pinned in {taken:?}");
        // Far above what it takes, for machines under load.
        assert!(taken.as_secs() < 5, "{taken:?}");
    }
}
