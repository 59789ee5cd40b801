//! Image archives that are broken or hostile: each is named with what is wrong, and the others are imported.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use pinnace_tests::sample::{FOREVER, pod};
use pinnace_tests::{Node, images, wait_for};
use serde_json::{Value, json};

#[track_caller]
fn shell(folder: &Path, script: &str) {
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// An archive as `docker save` writes it, of one layer that `script` makes as `layer.tar`; `diff_id` stands for
/// the layer's digest.
fn archive(name: &str, folder: &Path, layer: &str, diff_id: &str) -> std::path::PathBuf {
    let work = folder.join(name);
    std::fs::create_dir(&work).unwrap();
    let pack = format!(
        r#"{layer}
        diff={diff_id}
        printf '{{"architecture":"%s","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:%s"]}}}}' "$arch" "$diff" > config.json
        printf '[{{"Config":"config.json","RepoTags":["{name}:test"],"Layers":["layer.tar"]}}]' > manifest.json
        tar -cf ../{name}.tar manifest.json config.json layer.tar"#
    );
    let arch = r#"case $(uname -m) in x86_64) arch=amd64;; aarch64) arch=arm64;; *) arch=$(uname -m);; esac"#;
    shell(&work, &format!("{arch}\n{pack}"));
    folder.join(format!("{name}.tar"))
}

const DIGEST: &str = "$(sha256sum layer.tar | cut -d' ' -f1)";

#[test]
fn broken_archives_are_named_and_whole_ones_beside_them_are_imported() {
    let mut node = Node::new();
    let work = tempfile::tempdir().unwrap();
    let whole = std::fs::read(images::busybox()).unwrap();
    let bundles = node.path("var/lib/pinnace/bundles");
    let bundle = |name: &str| bundles.join(name);
    std::fs::write(bundle("a-cut.tar"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(bundle("b-text.tar"), "this is no archive\n").unwrap();
    let wrong = archive(
        "wrong",
        work.path(),
        "echo hi > f; tar -cf layer.tar f",
        &"0".repeat(64),
    );
    let climbing = archive(
        "climbing",
        work.path(),
        "echo evil > evil; tar -P --transform 's,^evil$,../../../../../../tmp/pinnace-climbed,' -cf layer.tar evil",
        DIGEST,
    );
    let linked = archive(
        "linked",
        work.path(),
        "ln -s /tmp way; mkdir -p d/way; echo evil > d/way/pinnace-climbed; tar -cf layer.tar way; tar -C d -rf layer.tar way/pinnace-climbed",
        DIGEST,
    );
    let hard = archive(
        "hard",
        work.path(),
        "echo x > a; ln a b; tar -P --transform 'flags=h;s,^a$,../../../../../../etc/passwd,' -cf layer.tar a b",
        DIGEST,
    );
    // A device of the host's in a layer is a name only: no container may open it.
    let device = archive(
        "device",
        work.path(),
        "mkdir bin; cp /bin/busybox bin/sh; mknod disk b 7 250; tar -cf layer.tar bin disk",
        DIGEST,
    );
    for (name, path) in [
        ("c-wrong.tar", &wrong),
        ("d-climbing.tar", &climbing),
        ("e-linked.tar", &linked),
        ("f-hard.tar", &hard),
        ("g-device.tar", &device),
    ] {
        std::fs::copy(path, bundle(name)).unwrap();
    }
    node.start();
    for (name, words) in [
        ("a-cut.tar", "a-cut.tar"),
        ("b-text.tar", "b-text.tar"),
        ("c-wrong.tar", "digest"),
        ("d-climbing.tar", "climbs out of the layer"),
        ("f-hard.tar", "climbs out of the layer"),
    ] {
        wait_for(&format!("a word about {name}"), || {
            let log = node.agent_log();
            log.lines()
                .any(|line| line.contains("ERROR") && line.contains(name) && line.contains(words))
                .then_some(())
        });
    }
    node.lay("good.json", &pod("good", FOREVER).to_string());
    node.wait_running("good");
    // Its shell is a busybox that finds its own applets; the device cgroup refuses what mknod made.
    let mut device = pod(
        "device",
        "if read -r x < /disk; then exit 1; fi; while :; do sleep 1000; done",
    );
    device["spec"]["containers"][0]["image"] = json!("device:test");
    node.lay("device.json", &device.to_string());
    node.wait_running("device");
    let refused = node.pinnace(&["exec", "device", "--", "sh", "-c", "read -r x < /disk"]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("Operation not permitted"), "{text}");
    let mut bad = pod("bad", FOREVER);
    bad["spec"]["containers"][0]["image"] = json!("climbing:test");
    node.lay("bad.json", &bad.to_string());
    let reason = node.wait_pod("bad", "its reason", |pod| {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        (waiting["reason"] != "ContainerCreating" && waiting != &Value::Null)
            .then(|| waiting["reason"].clone())
    });
    assert_eq!(reason, "ErrImageNeverPull");
    assert!(!Path::new("/tmp/pinnace-climbed").exists());

    // By hand the same, with the reason on standard error.
    let output = node.pinnace(&["image", "import", climbing.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("climbs out of the layer") && text.contains("climbing.tar"),
        "{text}"
    );
    let listed = node.prints(&["image", "ls"]);
    assert!(
        listed.contains("busybox") && !listed.contains("climbing"),
        "{listed}"
    );
    // One that was cut off is taken when it is whole.
    let fresh = bundle("a-cut.tar.new");
    let mut file = File::create(&fresh).unwrap();
    std::io::Write::write_all(&mut file, &whole).unwrap();
    std::fs::rename(fresh, bundle("a-cut.tar")).unwrap();
    wait_for("the whole archive", || {
        let log = node.agent_log();
        log.lines()
            .any(|line| line.contains("imported") && line.contains("a-cut.tar"))
            .then_some(())
    });
    node.drain_and_find_nothing();
}
