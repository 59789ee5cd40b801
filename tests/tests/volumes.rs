//! hostPath, emptyDir and subPath, as containers see them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use pinnace_sys::mount::Propagation;
use pinnace_tests::manifest::{GO_ON, pod, shell, with};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

fn host_path(name: &str, path: &Path, kind: &str) -> Value {
    json!({"name": name, "hostPath": {"path": path, "type": kind}})
}

fn mount(name: &str) -> Value {
    json!({"name": name, "mountPath": format!("/v/{name}")})
}

/// A pod of one container that has each volume under `/v`.
fn with_volumes(name: &str, volumes: &[Value]) -> String {
    let mounts: Vec<Value> = volumes
        .iter()
        .map(|volume| mount(volume["name"].as_str().unwrap()))
        .collect();
    let container = with(shell("one", GO_ON), json!({"volumeMounts": mounts}));
    pod(
        name,
        json!({"terminationGracePeriodSeconds": 0, "volumes": volumes, "containers": [container]}),
    )
}

#[test]
fn host_paths_of_every_type_are_mounted() {
    let mut node = Node::started();
    let host = tempfile::tempdir().unwrap();
    let path = |name: &str| host.path().join(name);
    std::fs::create_dir(path("d")).unwrap();
    std::fs::write(path("d/inside"), "from the host").unwrap();
    std::fs::write(path("f"), "a file").unwrap();
    let _listener = UnixListener::bind(path("s")).unwrap();
    let made = Command::new("mknod")
        .arg(path("b"))
        .args(["b", "7", "250"])
        .status()
        .unwrap();
    assert!(made.success(), "mknod needs CAP_MKNOD");
    let volumes = [
        host_path("unset", &path("absent/deep"), ""),
        host_path("directory", &path("d"), "Directory"),
        host_path("made-directory", &path("new/directory"), "DirectoryOrCreate"),
        host_path("file", &path("f"), "File"),
        host_path("made-file", &path("new-file"), "FileOrCreate"),
        host_path("socket", &path("s"), "Socket"),
        host_path("char", Path::new("/dev/null"), "CharDevice"),
        host_path("block", &path("b"), "BlockDevice"),
    ];
    node.lay("web.json", &with_volumes("web", &volumes));
    node.wait_running("web");
    let script = "cd /v; for v in *; do echo $v $(stat -c %F $v); done; cat directory/inside";
    assert_eq!(
        node.shell("web", script).lines().collect::<Vec<_>>(),
        [
            "block block special file",
            "char character special file",
            "directory directory",
            "file regular file",
            "made-directory directory",
            "made-file regular empty file",
            "socket socket",
            "unset directory",
            "from the host",
        ]
    );
    let mode = |name: &str| std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        (mode("absent"), mode("absent/deep"), mode("new/directory")),
        (0o755, 0o755, 0o755)
    );
    assert_eq!(mode("new-file"), 0o644);
    node.shell("web", "echo from the pod > /v/unset/note");
    assert_eq!(
        std::fs::read_to_string(path("absent/deep/note")).unwrap(),
        "from the pod\n"
    );
    node.drain_and_find_nothing();
    assert!(
        path("absent/deep/note").exists() && path("d/inside").exists(),
        "a hostPath is the host's"
    );
}

#[test]
fn what_is_not_of_its_type_is_a_failed_mount_until_the_host_has_it() {
    let mut node = Node::started();
    let host = tempfile::tempdir().unwrap();
    let path = |name: &str| host.path().join(name);
    std::fs::write(path("file"), "").unwrap();
    let cases = [
        ("directory", "absent", "Directory", "directory"),
        ("file", "absent", "File", "file"),
        ("socket", "file", "Socket", "socket file"),
        ("char", "file", "CharDevice", "character device"),
        ("block", "file", "BlockDevice", "block device"),
        ("make", "file", "DirectoryOrCreate", "directory"),
    ];
    for (name, below, kind, _) in cases {
        node.lay(
            &format!("{name}.json"),
            &with_volumes(name, &[host_path("v", &path(below), kind)]),
        );
    }
    for (name, below, _, word) in cases {
        let expected = format!(
            "hostPath type check failed: {} is not a {word}",
            path(below).display()
        );
        wait_for(&format!("the event of {name}"), || {
            let events = node.events();
            let told = |line: &&str| line.contains(&format!("pod/{name} ")) && line.contains("FailedMount");
            let line = events.lines().find(told)?.to_owned();
            assert!(
                line.contains("MountVolume.SetUp failed for volume \"v\"") && line.contains(&expected),
                "{line}"
            );
            Some(())
        });
        let waiting = node.wait_pod(name, "waiting", |pod| {
            let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            state.is_object().then(|| state.clone())
        });
        assert_eq!(waiting["reason"], "ContainerCreating", "{name}");
    }
    std::fs::create_dir(path("absent")).unwrap();
    node.wait_running("directory");
    node.drain_and_find_nothing();
}

#[test]
fn a_read_only_mount_refuses_writes() {
    let mut node = Node::started();
    let host = tempfile::tempdir().unwrap();
    let mounts = json!({"volumeMounts": [
        {"name": "v", "mountPath": "/ro", "readOnly": true},
        {"name": "v", "mountPath": "/rw"},
    ]});
    let spec = json!({
        "volumes": [host_path("v", host.path(), "Directory")],
        "containers": [with(shell("one", GO_ON), mounts)],
    });
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    let script = "echo 1 > /rw/note && cat /ro/note; echo 2 > /ro/note || echo refused";
    assert_eq!(node.shell("web", script), "1\nrefused");
    assert_eq!(std::fs::read_to_string(host.path().join("note")).unwrap(), "1\n");
    node.drain_and_find_nothing();
}

/// A folder of the host whose mounts travel, away with all beneath it when dropped.
struct Shared(tempfile::TempDir);

impl Shared {
    fn new() -> Self {
        let shared = Self(tempfile::tempdir().unwrap());
        pinnace_sys::mount::mount_tmpfs(shared.0.path(), None, 0o755).unwrap();
        pinnace_sys::mount::set_propagation(shared.0.path(), Propagation::Shared).unwrap();
        shared
    }
    fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = pinnace_sys::mount::unmount_beneath(self.0.path());
    }
}

#[test]
fn mounts_travel_as_the_propagation_says() {
    let mut node = Node::started();
    let shared = Shared::new();
    let (later, inner) = (shared.folder("later"), shared.folder("inner"));
    let modes = [
        ("none", "None"),
        ("in", "HostToContainer"),
        ("both", "Bidirectional"),
    ];
    let container = |(name, mode): (&str, &str)| {
        let fields = json!({
            "securityContext": {"privileged": true},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": mode}],
        });
        with(shell(name, GO_ON), fields)
    };
    let spec = json!({
        "terminationGracePeriodSeconds": 0,
        "volumes": [host_path("v", shared.0.path(), "Directory")],
        "containers": modes.map(container),
    });
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    let sees = |container: &str, path: &str| {
        let mounts = node.prints(&[
            "exec",
            "web",
            "-c",
            container,
            "--",
            "cat",
            "/proc/self/mountinfo",
        ]);
        mounts.lines().any(|line| line.split(' ').nth(4) == Some(path))
    };
    pinnace_sys::mount::mount_tmpfs(&later, None, 0o755).unwrap();
    assert_eq!(modes.map(|(name, _)| sees(name, "/v/later")), [false, true, true]);
    for (name, _) in modes {
        let script = "mount -t tmpfs none /v/inner && [ -d /v/inner ]";
        node.prints(&["exec", "web", "-c", name, "--", "sh", "-c", script]);
        let travelled = pinnace_sys::mount::is_mountpoint(&inner).unwrap();
        assert_eq!(travelled, name == "both", "{name}");
        assert!(sees(name, "/v/inner"), "{name}");
    }
    node.drain_and_find_nothing();
    // What a container mounted for the host is the host's.
    assert!(pinnace_sys::mount::is_mountpoint(&inner).unwrap());
}

#[test]
fn containers_share_an_empty_dir_that_outlives_their_restarts_and_ends_with_the_pod() {
    let mut node = Node::started();
    let mounted = |path: &str| json!({"volumeMounts": [{"name": "shared", "mountPath": path}]});
    let writer = with(
        shell("writer", "date > /out/note; exec sleep 1000"),
        mounted("/out"),
    );
    let reader = with(
        shell(
            "reader",
            "until [ -s /in/note ]; do sleep 0.05; done; [ -e /in/again ] || { touch /in/again; exit 1; }; exec sleep 1000",
        ),
        mounted("/in"),
    );
    let spec = json!({
        "terminationGracePeriodSeconds": 0,
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "containers": [writer, reader],
    });
    node.lay("web.json", &pod("web", spec));
    node.wait_pod("web", "the reader's restart", |pod| {
        let all = pod["status"]["containerStatuses"].as_array()?;
        let reader = all.iter().find(|one| one["name"] == "reader")?;
        (reader["restartCount"] == 1 && reader["ready"] == true).then_some(())
    });
    let mode = node.prints(&["exec", "web", "-c", "reader", "--", "stat", "-c", "%a", "/in"]);
    assert_eq!(mode.trim(), "777");
    node.drain_and_find_nothing();
}

#[test]
fn an_empty_dir_in_memory_is_a_tmpfs_of_its_limits_size() {
    let mut node = Node::started();
    let volumes = [
        json!({"name": "sized", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}}),
        json!({"name": "plain", "emptyDir": {"medium": "Memory"}}),
    ];
    node.lay("web.json", &with_volumes("web", &volumes));
    node.wait_running("web");
    let kinds = node.shell("web", "stat -f -c %T /v/sized /v/plain");
    assert_eq!(kinds, "tmpfs\ntmpfs");
    assert_eq!(
        node.shell("web", "echo $(($(stat -f -c '%b * %S' /v/sized)))"),
        (4 << 20).to_string()
    );
    let full = node.shell(
        "web",
        "dd if=/dev/zero of=/v/sized/big bs=1M count=8 2>&1 || true",
    );
    assert!(full.contains("No space left on device"), "{full}");
    node.drain_and_find_nothing();
}

#[test]
fn a_sub_path_shows_one_folder_or_file_of_a_volume() {
    let mut node = Node::started();
    let host = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(host.path().join("a/b")).unwrap();
    std::fs::write(host.path().join("a/b/note"), "deep\n").unwrap();
    let mounts = json!({"volumeMounts": [
        {"name": "v", "mountPath": "/folder", "subPath": "a/b"},
        {"name": "v", "mountPath": "/etc/note", "subPath": "a/b/note", "readOnly": true},
        {"name": "v", "mountPath": "/made", "subPath": "new/folder"},
    ]});
    let spec = json!({
        "volumes": [host_path("v", host.path(), "Directory")],
        "containers": [with(shell("one", GO_ON), mounts)],
    });
    node.lay("web.json", &pod("web", spec));
    node.wait_running("web");
    assert_eq!(
        node.shell("web", "cat /folder/note /etc/note; touch /made/x; ls /folder"),
        "deep\ndeep\nnote"
    );
    assert!(host.path().join("new/folder/x").exists());
    node.drain_and_find_nothing();
}

#[test]
fn no_link_leads_a_sub_path_out_of_its_volume() {
    let mut node = Node::started();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let host = tempfile::tempdir().unwrap();
    symlink(outside.path(), host.path().join("absolute")).unwrap();
    symlink(
        Path::new("..").join(outside.path().file_name().unwrap()),
        host.path().join("relative"),
    )
    .unwrap();
    for link in ["absolute", "relative"] {
        let mounts =
            json!({"volumeMounts": [{"name": "v", "mountPath": "/in", "subPath": format!("{link}/new")}]});
        let spec = json!({
            "volumes": [host_path("v", host.path(), "Directory")],
            "containers": [with(shell("one", GO_ON), mounts)],
        });
        node.lay(&format!("{link}.json"), &pod(link, spec));
        let waiting = node.wait_pod(link, "a refusal", |pod| {
            assert_ne!(pod["status"]["containerStatuses"][0]["ready"], true, "{pod:#}");
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            (waiting["reason"] == "CreateContainerConfigError").then(|| waiting.clone())
        });
        let message = waiting["message"].as_str().unwrap();
        assert!(message.contains("subPath"), "{message}");
    }
    assert!(!outside.path().join("new").exists());
    node.drain_and_find_nothing();
}
