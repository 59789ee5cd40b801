//! The store's promises: names, removal, cache, other tools, other processes.

use std::process::Command;
use std::time::Instant;

use super::*;

fn archive(name: &'static str, content: &str) -> Vec<u8> {
    docker_archive(&[TestImage::new(
        name,
        vec![layer("base", "b"), layer("f", content)],
    )])
}

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_was_imported_is_found_listed_and_described() {
    let node = Node::new();
    let imported = node.import_bytes(&archive("busybox:1.36", "x")).unwrap();
    let found = node.store.find("busybox:1.36").unwrap().unwrap();
    assert_eq!(found.reference, "docker.io/library/busybox:1.36");
    assert_eq!(
        (&found.id, &found.manifest_digest),
        (&imported[0].id, &imported[0].manifest_digest)
    );
    for other in [
        &found.id,
        &found.manifest_digest,
        &format!("busybox@{}", found.manifest_digest),
    ] {
        assert_eq!(node.store.find(other).unwrap().unwrap().id, found.id, "{other}");
    }
    assert!(node.store.find("busybox").unwrap().is_none());
    assert_eq!(node.store.config(&found).unwrap().cmd, ["sh"]);
    let details = node.store.inspect("busybox:1.36").unwrap();
    assert_eq!(details.layers.len(), 2);
    assert!(details.layers.iter().all(|layer| layer.unpacked));
    assert!(details.summary.size_bytes > 2048);
    assert!(matches!(
        node.store.find("Bad Name"),
        Err(ImageError::Reference { .. })
    ));
}

#[test]
fn a_name_moves_to_the_newest_image_and_the_old_one_stays_by_id() {
    let node = Node::new();
    let old = node.import_bytes(&archive("a:1", "old")).unwrap().remove(0);
    let new = node.import_bytes(&archive("a:1", "new")).unwrap().remove(0);
    assert_eq!(node.store.find("a:1").unwrap().unwrap().id, new.id);
    assert_eq!(node.store.find(&old.id).unwrap().unwrap().id, old.id);
    assert_eq!(node.store.list().unwrap().len(), 2);
    // Back again, and nothing piles up.
    node.import_bytes(&archive("a:1", "old")).unwrap();
    node.import_bytes(&archive("a:1", "old")).unwrap();
    assert_eq!(node.store.list().unwrap().len(), 2);
    let named: Vec<_> = node
        .store
        .list()
        .unwrap()
        .into_iter()
        .filter(|image| !image.names.is_empty())
        .collect();
    assert_eq!((named.len(), &named[0].id), (1, &old.id));
}

#[test]
fn removal_takes_what_no_other_image_needs() {
    let node = Node::new();
    node.import_bytes(&archive("a:1", "x")).unwrap();
    let only_a = node.content();
    node.import_bytes(&archive("b:1", "y")).unwrap();
    let removed = node.store.remove("b:1", |_| Vec::new()).unwrap();
    assert_eq!(removed.untagged, ["docker.io/library/b:1"]);
    assert!(removed.deleted.is_some());
    assert_eq!(node.content(), only_a);
    assert_eq!(node.lower_dirs("a:1").len(), 2);
    assert!(matches!(
        node.store.remove("b:1", |_| Vec::new()),
        Err(ImageError::NotFound { .. })
    ));
    node.store.remove("a:1", |_| Vec::new()).unwrap();
    node.assert_empty();
}

#[test]
fn an_image_in_use_is_not_removed_but_one_of_its_names_may_be() {
    let node = Node::new();
    let mut image = TestImage::new("a:1", vec![layer("f", "x")]);
    image.names.push("a:2");
    node.import_bytes(&docker_archive(&[image])).unwrap();
    let removed = node
        .store
        .remove("a:2", |_| panic!("not asked, since the image stays"))
        .unwrap();
    assert_eq!(
        (removed.untagged, removed.deleted),
        (vec!["docker.io/library/a:2".to_owned()], None)
    );
    let error = node
        .store
        .remove("a:1", |_| vec!["default/web".to_owned()])
        .unwrap_err();
    assert_eq!(error.to_string(), "image \"a:1\" is in use by default/web");
    assert_eq!(node.lower_dirs("a:1").len(), 1);
}

#[test]
fn a_layer_that_is_gone_is_made_again_and_verified_again() {
    let node = Node::new();
    node.import_bytes(&archive("a:1", "x")).unwrap();
    let lower = node.lower_dirs("a:1");
    std::fs::remove_dir_all(&lower[0]).unwrap();
    assert_eq!(node.lower_dirs("a:1"), lower);
    assert_eq!(std::fs::read_to_string(lower[0].join("f")).unwrap(), "x");
    // A blob that was damaged meanwhile is told, taken away, and brought again by an import.
    let image = node.store.find("a:1").unwrap().unwrap();
    let digest = node.store.inspect("a:1").unwrap().layers[1].digest.clone();
    let blob = node.layout.images().join("blobs/sha256").join(&digest[7..]);
    let mut content = std::fs::read(&blob).unwrap();
    content[600] ^= 1;
    std::fs::write(&blob, content).unwrap();
    std::fs::remove_dir_all(&lower[0]).unwrap();
    let error = node.store.lower_dirs(&image).unwrap_err();
    assert!(
        error.to_string().contains(&digest) && error.to_string().contains("damaged"),
        "{error}"
    );
    assert!(matches!(
        node.store.lower_dirs(&image),
        Err(ImageError::Blob { missing: true, .. })
    ));
    node.import_bytes(&archive("a:1", "x")).unwrap();
    assert_eq!(
        std::fs::read_to_string(node.lower_dirs("a:1")[0].join("f")).unwrap(),
        "x"
    );
}

#[test]
fn an_import_that_meets_a_damaged_blob_takes_it_away_for_the_next_one() {
    let node = Node::new();
    let archive = oci_archive(&[TestImage::new("a:1", vec![layer("f", "x")])]);
    node.import_bytes(&archive).unwrap();
    let lower = node.lower_dirs("a:1");
    let digest = node.store.inspect("a:1").unwrap().layers[0].digest.clone();
    let blob = node.layout.images().join("blobs/sha256").join(&digest[7..]);
    let mut content = std::fs::read(&blob).unwrap();
    content[600] ^= 1;
    std::fs::write(&blob, content).unwrap();
    std::fs::remove_dir_all(&lower[0]).unwrap();
    let error = node.import_bytes(&archive).unwrap_err();
    assert_eq!(error.retry(), pinnace_core::ports::Retry::Later);
    assert!(
        text(&error).contains(&digest) && text(&error).contains("damaged"),
        "{}",
        text(&error)
    );
    node.import_bytes(&archive).unwrap();
    assert_eq!(std::fs::read_to_string(lower[0].join("f")).unwrap(), "x");
}

#[test]
fn imports_by_another_holder_are_noticed() {
    let node = Node::new();
    assert!(node.store.find("a:1").unwrap().is_none());
    let other = ImageStore::open(&node.layout).unwrap();
    let path = node.write("a.tar", &archive("a:1", "x"));
    other.import(&path, &mut |_| {}).unwrap();
    assert!(node.store.find("a:1").unwrap().is_some());
    other.remove("a:1", |_| Vec::new()).unwrap();
    assert!(node.store.find("a:1").unwrap().is_none());
}

#[test]
fn a_present_image_costs_microseconds() {
    let node = Node::new();
    node.import_bytes(&archive("a:1", "x")).unwrap();
    node.store.find("a:1").unwrap();
    let best = (0..200)
        .map(|_| {
            let start = Instant::now();
            node.store.find("a:1").unwrap().unwrap();
            start.elapsed()
        })
        .min()
        .unwrap();
    assert!(best.as_micros() < 500, "{best:?}");
}

#[test]
fn a_damaged_index_is_set_aside_by_the_next_import() {
    let node = Node::new();
    node.import_bytes(&archive("a:1", "x")).unwrap();
    let index = node.layout.images().join("index.json");
    std::fs::write(&index, "{").unwrap();
    assert!(matches!(node.store.find("a:1"), Err(ImageError::Document { .. })));
    node.import_bytes(&archive("a:1", "x")).unwrap();
    assert!(node.store.find("a:1").unwrap().is_some());
    assert_eq!(std::fs::read(index.with_extension("json.damaged")).unwrap(), b"{");
}

#[test]
fn a_broken_image_is_listed_and_keeps_no_other_back() {
    let node = Node::new();
    node.import_bytes(&archive("a:1", "x")).unwrap();
    let broken = node.import_bytes(&archive("b:1", "y")).unwrap().remove(0);
    let manifest = node
        .layout
        .images()
        .join("blobs/sha256")
        .join(&broken.manifest_digest[7..]);
    std::fs::remove_file(&manifest).unwrap();
    let fresh = ImageStore::open(&node.layout).unwrap();
    let problems: Vec<_> = fresh
        .list()
        .unwrap()
        .into_iter()
        .map(|image| image.problem.is_some())
        .collect();
    assert_eq!(problems, [false, true]);
    assert!(fresh.find("a:1").unwrap().is_some());
    assert!(matches!(
        fresh.find("b:1"),
        Err(ImageError::Blob { missing: true, .. })
    ));
    fresh.remove("b:1", |_| Vec::new()).unwrap();
    assert_eq!(fresh.list().unwrap().len(), 1);
    assert_eq!(node.lower_dirs("a:1").len(), 2);
}

#[test]
fn the_hosts_users_cannot_reach_images_and_layers() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::new();
    for path in [node.layout.images(), node.layout.layers()] {
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}

#[test]
fn skopeo_reads_the_store_and_writes_into_it() {
    let node = Node::new();
    node.import_bytes(&archive("busybox:1.36", "x")).unwrap();
    let store = format!("oci:{}", node.layout.images().display());
    let reference = format!("{store}:docker.io/library/busybox:1.36");
    let inspected = run(Command::new("skopeo").args(["inspect", &reference]));
    let image = node.store.find("busybox:1.36").unwrap().unwrap();
    assert!(inspected.contains(&image.manifest_digest), "{inspected}");
    run(Command::new("skopeo").args([
        "copy",
        "--quiet",
        &reference,
        &format!("{store}:quay.io/x/copy:2"),
    ]));
    let copy = node.store.find("quay.io/x/copy:2").unwrap().unwrap();
    assert_eq!(
        node.store.lower_dirs(&copy).unwrap(),
        node.lower_dirs("busybox:1.36")
    );
}

#[test]
fn skopeos_archives_come_in() {
    let node = Node::new();
    node.import_bytes(&archive("busybox:1.36", "x")).unwrap();
    let from = format!(
        "oci:{}:docker.io/library/busybox:1.36",
        node.layout.images().display()
    );
    for (kind, name) in [
        ("docker-archive", ":made/by:1"),
        ("oci-archive", ":made/by:1"),
        ("oci", ":made/by:1"),
    ] {
        let other = Node::new();
        let path = other.dir.path().join("made");
        run(Command::new("skopeo").args([
            "copy",
            "--quiet",
            &from,
            &format!("{kind}:{}{name}", path.display()),
        ]));
        let imported = other
            .import(&path)
            .unwrap_or_else(|error| panic!("{kind}: {}", text(&error)));
        assert_eq!(imported[0].names, ["docker.io/made/by:1"], "{kind}");
        let lower = other.lower_dirs("made/by:1");
        assert_eq!(
            std::fs::read_to_string(lower[0].join("f")).unwrap(),
            "x",
            "{kind}"
        );
    }
}
