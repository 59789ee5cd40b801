//! A disk without room: what runs goes on, what cannot start waits with the reason and starts when there is room.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::io::Write;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use pinnace_tests::process::Process;
use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, images, wait_for};

/// A small disk, away again when dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn at(path: &Path) -> Self {
        let none = None::<&str>;
        mount(
            none,
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=24m,mode=755"),
        )
        .unwrap();
        Self(path.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_pod_waits_for_room_on_a_full_disk_with_the_reason_and_the_others_go_on() {
    let mut node = Node::new();
    let disk = Disk::at(&node.path("var/lib/pinnace"));
    let bundles = node.path("var/lib/pinnace/bundles");
    std::fs::create_dir(&bundles).unwrap();
    std::fs::copy(images::busybox(), bundles.join("busybox.tar")).unwrap();
    node.start();
    node.lay("before.json", &pod("before", FOREVER).to_string());
    node.wait_running("before");
    let process = Process::now(node.pid("before", "main"));

    let ballast = node.path("var/lib/pinnace/ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    node.lay("after.json", &pod("after", FOREVER).to_string());
    wait_for("the reason", || {
        let events = node.events();
        let told = |line: &str| {
            line.contains("after") && line.contains("FailedSync") && line.contains("No space left on device")
        };
        events.lines().any(told).then_some(())
    });
    assert_eq!(node.pod("after").unwrap()["status"]["phase"], "Pending");
    wait_for("the next try, told in the same line", || {
        let events = node.events();
        let told: Vec<&str> = events
            .lines()
            .filter(|line| line.contains("after") && line.contains("FailedSync"))
            .collect();
        assert_eq!(told.len(), 1, "{events}");
        told[0].contains("(x").then_some(())
    });
    assert!(process.is_alive());
    assert_eq!(node.get("/metrics").unwrap().0, 200);

    std::fs::remove_file(&ballast).unwrap();
    node.wait_running("after");
    assert!(process.is_alive());
    node.prints(&["drain", "--all", "--grace-period", "0"]);
    node.end_agent(nix::sys::signal::Signal::SIGTERM);
    drop(disk);
    node.start();
    node.drain_and_find_nothing();
}
