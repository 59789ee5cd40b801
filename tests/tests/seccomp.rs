//! The default seccomp profile, asked from within: perl of the host makes the calls.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::BTreeMap;
use std::path::Path;

use nix::libc;
use pinnace_tests::Node;
use pinnace_tests::manifest::{pod, shell, with};
use serde_json::json;

/// Name, number and arguments; chosen so that nothing happens even where the call is allowed.
fn calls() -> Vec<(&'static str, i64, &'static str)> {
    vec![
        ("mount", libc::SYS_mount, "0, 0, 0, 0, 0"),
        ("umount2", libc::SYS_umount2, "0, 0"),
        ("pivot_root", libc::SYS_pivot_root, "0, 0"),
        ("setns", libc::SYS_setns, "-1, 0"),
        ("keyctl", libc::SYS_keyctl, "0, -3, 0"),
        ("add_key", libc::SYS_add_key, "0, 0, 0, 0, 0"),
        ("request_key", libc::SYS_request_key, "0, 0, 0, 0"),
        ("bpf", libc::SYS_bpf, "0, 0, 0"),
        ("perf_event_open", libc::SYS_perf_event_open, "0, 0, -1, -1, 0"),
        ("io_uring_setup", libc::SYS_io_uring_setup, "1, 0"),
        ("userfaultfd", libc::SYS_userfaultfd, "-1"),
        ("init_module", libc::SYS_init_module, "0, 0, 0"),
        ("kexec_load", libc::SYS_kexec_load, "0, 0, 0, 0"),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, "-1, 0, 0"),
        ("process_madvise", libc::SYS_process_madvise, "-1, 0, 0, 0, 0"),
        ("swapon", libc::SYS_swapon, "0, 0"),
        ("settimeofday", libc::SYS_settimeofday, "0, 0"),
        ("clone_newuser", libc::SYS_clone, "0x10000011, 0, 0, 0, 0"),
        ("clone3", libc::SYS_clone3, "0, 0"),
        ("personality_other", libc::SYS_personality, "0x0400000"),
        ("socket_alg", libc::SYS_socket, "38, 5, 0"),
        ("socket_vsock", libc::SYS_socket, "40, 1, 0"),
        ("socket_unix", libc::SYS_socket, "1, 1, 0"),
        ("socket_inet6", libc::SYS_socket, "10, 1, 0"),
        ("socket_netlink", libc::SYS_socket, "16, 3, 0"),
        ("ptrace", libc::SYS_ptrace, "-1, 0, 0, 0"),
        ("personality", libc::SYS_personality, "0xffffffff"),
        ("memfd_create", libc::SYS_memfd_create, "0, 0xffff"),
        ("openat2", libc::SYS_openat2, "-1, 0, 0, 0"),
        ("seccomp", libc::SYS_seccomp, "99, 0, 0"),
        (
            "landlock_create_ruleset",
            libc::SYS_landlock_create_ruleset,
            "0, 0, 9",
        ),
        ("pidfd_open", libc::SYS_pidfd_open, "-1, 0"),
        ("chroot", libc::SYS_chroot, "0"),
        ("mknodat", libc::SYS_mknodat, "-1, 0, 0, 0"),
        // Last: where it goes through, all that follows is asked from within a namespace.
        ("unshare", libc::SYS_unshare, "0x10000000"),
    ]
}

/// Errno of each call, 0 where it went through.
fn asked(node: &Node, name: &str) -> BTreeMap<String, i32> {
    let ended = node.wait_pod(name, "its end", |pod| {
        let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        state.is_object().then(|| state["exitCode"].as_i64().unwrap())
    });
    let printed = node.prints(&["logs", name]);
    assert_eq!(ended, 0, "{printed}");
    let line = |line: &str| {
        let (name, errno) = line.split_once(' ').unwrap_or_else(|| panic!("{printed}"));
        (
            name.to_owned(),
            errno.parse().unwrap_or_else(|_| panic!("{printed}")),
        )
    };
    printed.lines().map(line).collect()
}

#[test]
fn the_default_profile_lets_through_what_programs_need_and_no_more() {
    assert!(
        Path::new("/usr/bin/perl").exists(),
        "/usr/bin/perl is missing: apt-get install perl-base"
    );
    let mut node = Node::started();
    let mut script = String::from("$| = 1;\n");
    for (name, number, arguments) in calls() {
        script.push_str(&format!(
            "$! = 0; $r = syscall({number}, {arguments}); \
             exit 0 if \"{name}\" eq \"clone_newuser\" && $r == 0; \
             printf(\"{name} %d\\n\", $r < 0 ? $! + 0 : 0);\n"
        ));
    }
    let container = with(
        shell("one", ""),
        json!({
            "command": ["/usr/bin/perl", "-e", script],
            "volumeMounts": [
                {"name": "usr", "mountPath": "/usr", "readOnly": true},
                {"name": "lib", "mountPath": "/lib", "readOnly": true},
                {"name": "lib64", "mountPath": "/lib64", "readOnly": true},
            ],
        }),
    );
    let volume = |name: &str| json!({"name": name, "hostPath": {"path": format!("/{name}")}});
    let spec = |profile: &str| {
        json!({
            "restartPolicy": "Never",
            "securityContext": {"seccompProfile": {"type": profile}},
            "volumes": [volume("usr"), volume("lib"), volume("lib64")],
            "containers": [container],
        })
    };
    node.lay("filtered.json", &pod("filtered", spec("RuntimeDefault")));
    node.lay("free.json", &pod("free", spec("Unconfined")));
    let (filtered, free) = (asked(&node, "filtered"), asked(&node, "free"));
    let denied = [
        "mount",
        "umount2",
        "pivot_root",
        "unshare",
        "setns",
        "keyctl",
        "add_key",
        "request_key",
        "bpf",
        "perf_event_open",
        "io_uring_setup",
        "userfaultfd",
        "init_module",
        "kexec_load",
        "open_by_handle_at",
        "process_madvise",
        "swapon",
        "settimeofday",
        "clone_newuser",
        "personality_other",
        "socket_alg",
        "socket_vsock",
    ];
    for name in denied {
        assert_eq!(filtered[name], libc::EPERM, "{name}: {filtered:?}");
    }
    assert_eq!(filtered["clone3"], libc::ENOSYS, "{filtered:?}");
    for (name, errno) in &filtered {
        if !denied.contains(&name.as_str()) && name != "clone3" {
            assert_eq!(*errno, free[name], "{name} is as without a filter");
            assert_ne!(*errno, libc::ENOSYS, "{name}");
        }
    }
    // That the filter denies them, and not the kernel.
    for name in [
        "unshare",
        "clone_newuser",
        "setns",
        "add_key",
        "io_uring_setup",
        "personality_other",
    ] {
        assert_ne!(free[name], libc::EPERM, "{name}: {free:?}");
    }
    node.drain_and_find_nothing();
}
