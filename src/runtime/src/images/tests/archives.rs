//! Every form of archive comes in, and is what it was.

use super::*;
use crate::images::ImportProgress;

fn assert_runs(node: &Node, reference: &str, file: &str, content: &str) {
    let lower = node.lower_dirs(reference);
    assert_eq!(std::fs::read_to_string(lower[0].join(file)).unwrap(), content);
    node.assert_no_leftovers();
}

#[test]
fn docker_archives_come_in_whatever_the_compression() {
    for compress in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
        for outer in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
            let node = Node::new();
            let mut image = TestImage::new("a:1", vec![layer("f", "one"), layer("g", "two")]);
            image.compress = compress;
            let imported = node
                .import_bytes(&outer(&docker_archive(&[image.clone()])))
                .unwrap();
            assert_eq!(imported[0].names, ["docker.io/library/a:1"]);
            assert_eq!(imported[0].id, Digest::of(&image.config()).to_string());
            assert_runs(&node, "a:1", "g", "two");
            let lower = node.lower_dirs("a:1");
            assert_eq!(std::fs::read_to_string(lower[1].join("f")).unwrap(), "one");
        }
    }
}

#[test]
fn oci_archives_and_directories_keep_their_manifests_digest() {
    let image = TestImage::new("registry.example/x/y:2", vec![layer("f", "one")]);
    let digest = Digest::of(&image.manifest()).to_string();
    let node = Node::new();
    assert_eq!(
        node.import_bytes(&oci_archive(std::slice::from_ref(&image)))
            .unwrap()[0]
            .manifest_digest,
        digest
    );
    assert_runs(&node, "registry.example/x/y:2", "f", "one");

    let node = Node::new();
    let layout = node.dir.path().join("layout");
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    for (name, content) in oci_files(&[image]) {
        std::fs::write(layout.join(name), content).unwrap();
    }
    assert_eq!(node.import(&layout).unwrap()[0].manifest_digest, digest);
    assert_runs(&node, "registry.example/x/y:2", "f", "one");
}

#[test]
fn several_images_share_what_they_have_in_common() {
    let node = Node::new();
    let base = layer("base", "b");
    let mut one = TestImage::new("one:1", vec![base.clone(), layer("f", "1")]);
    one.names.push("uno:1");
    let two = TestImage::new("two:1", vec![base, layer("f", "2")]);
    let imported = node.import_bytes(&docker_archive(&[one, two])).unwrap();
    assert_eq!(imported.len(), 2);
    let names: Vec<_> = node
        .store
        .list()
        .unwrap()
        .into_iter()
        .map(|image| image.names)
        .collect();
    assert_eq!(
        names,
        [
            vec!["docker.io/library/one:1", "docker.io/library/uno:1"],
            vec!["docker.io/library/two:1"]
        ]
    );
    // Three layers and the empty one; three layers' blobs, two configurations, two manifests.
    assert_eq!(node.content().len(), 4 + 7);
    assert_eq!(node.lower_dirs("one:1")[1], node.lower_dirs("two:1")[1]);
}

#[test]
fn archives_that_are_both_dockers_and_ocis_get_names_from_both() {
    let node = Node::new();
    let mut image = TestImage::new("1.36", vec![layer("f", "one")]);
    let mut files = oci_files(&[image.clone()]);
    image.names = vec!["busybox:1.36"];
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let list = serde_json::json!([{
        "Config": blob(&image.config()), "RepoTags": image.names, "Layers": [blob(&image.layers[0])],
    }]);
    files.push(("manifest.json".to_owned(), serde_json::to_vec(&list).unwrap()));
    let imported = node.import_bytes(&tar_of(&files)).unwrap();
    assert_eq!(imported[0].names, ["docker.io/library/busybox:1.36"]);
    assert_eq!(
        imported[0].manifest_digest,
        Digest::of(&image.manifest()).to_string()
    );
}

#[test]
fn of_a_list_this_machines_image_is_taken() {
    let node = Node::new();
    let here = TestImage::new("x", vec![layer("f", "here")]);
    let mut there = TestImage::new("x", vec![layer("f", "there")]);
    there.arch = "s390x";
    let entry = |image: &TestImage| {
        let manifest = image.manifest();
        serde_json::json!({
            "mediaType": super::super::spec::MEDIA_MANIFEST, "digest": Digest::of(&manifest).to_string(),
            "size": manifest.len(), "platform": {"os": "linux", "architecture": image.arch},
        })
    };
    let list = serde_json::json!({"schemaVersion": 2, "manifests": [entry(&there), entry(&here)]});
    let list = serde_json::to_vec(&list).unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": super::super::spec::MEDIA_INDEX, "digest": Digest::of(&list).to_string(), "size": list.len(),
        "annotations": {"io.containerd.image.name": "docker.io/library/x:7"},
    }]});
    // As `docker save` leaves them out, the other platform's blobs are not there.
    let mut files = oci_files(&[here]);
    files.retain(|(name, _)| name != "index.json");
    files.push(("index.json".to_owned(), serde_json::to_vec(&index).unwrap()));
    files.push((format!("blobs/sha256/{}", Digest::of(&list).hex()), list.clone()));
    node.import_bytes(&tar_of(&files)).unwrap();
    assert_runs(&node, "x:7", "f", "here");
    // The list's digest is the one that registries show.
    assert!(
        node.store
            .find(&format!("x@{}", Digest::of(&list)))
            .unwrap()
            .is_some()
    );
    assert!(
        node.store
            .find(&format!("y@{}", Digest::of(&list)))
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_image_for_another_machine_is_refused() {
    let node = Node::new();
    let mut image = TestImage::new("x", vec![layer("f", "there")]);
    image.arch = "s390x";
    for archive in [docker_archive(&[image.clone()]), oci_archive(&[image])] {
        let text = node.refusal(&archive);
        assert!(
            text.contains("linux/s390x") && text.contains("this machine"),
            "{text}"
        );
    }
    node.assert_empty();
}

#[test]
fn layers_may_be_links_to_each_other() {
    let node = Node::new();
    let image = TestImage::new("a:1", vec![layer("f", "x"), layer("f", "x")]);
    let config = image.config();
    let config_name = format!("{}.json", Digest::of(&config).hex());
    let list = serde_json::json!([{"Config": config_name, "RepoTags": null, "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let tar = Tarball::new()
        .file(&config_name, &config)
        .file("1/layer.tar", &image.layers[0])
        .symlink("2/layer.tar", "../1/layer.tar")
        .file("manifest.json", &serde_json::to_vec(&list).unwrap())
        .finish();
    let imported = node.import_bytes(&tar).unwrap();
    assert_eq!(imported[0].names, [""; 0]);
    // Without a name it is found by its ID.
    assert_eq!(node.lower_dirs(&imported[0].id).len(), 2);
}

#[test]
fn an_image_of_no_layers_has_an_empty_one_to_stand_on() {
    let node = Node::new();
    node.import_bytes(&docker_archive(&[TestImage::new("scratch-like", vec![])]))
        .unwrap();
    let lower = node.lower_dirs("scratch-like");
    assert_eq!(
        (lower.len(), std::fs::read_dir(&lower[0]).unwrap().count()),
        (1, 0)
    );
}

#[test]
fn a_name_can_be_given_to_an_archive_of_one() {
    let node = Node::new();
    let image = TestImage::new("latest", vec![layer("f", "x")]);
    let path = node.write("a.tar", &oci_archive(std::slice::from_ref(&image)));
    let imported = node.store.import_as(&path, Some("mine:1"), &mut |_| {}).unwrap();
    assert_eq!(imported[0].names, ["docker.io/library/mine:1"]);
    let two = [image, TestImage::new("b", vec![layer("f", "y")])];
    let path = node.write("b.tar", &oci_archive(&two));
    assert!(text(&node.store.import_as(&path, Some("x"), &mut |_| {}).unwrap_err()).contains("2 images"));
}

#[test]
fn progress_tells_of_every_layer() {
    let node = Node::new();
    let path = node.write(
        "a.tar",
        &docker_archive(&[TestImage::new("a", vec![layer("f", "1"), layer("f", "2")])]),
    );
    let (mut read, mut unpacked) = (0, Vec::new());
    node.store
        .import(&path, &mut |step| match step {
            ImportProgress::Reading { .. } => read += 1,
            ImportProgress::Unpacking { layer, layers } => unpacked.push((layer, layers)),
            _ => {}
        })
        .unwrap();
    assert_eq!((read, unpacked), (4, vec![(1, 2), (2, 2)]));
}

#[test]
fn an_opaque_root_hides_the_layers_below() {
    let node = Node::new();
    let opaque = Tarball::new().file(".wh..wh..opq", b"").file("new", b"").finish();
    node.import_bytes(&docker_archive(&[TestImage::new(
        "a",
        vec![layer("old", ""), opaque],
    )]))
    .unwrap();
    let lower = node.lower_dirs("a");
    assert_eq!(lower.len(), 1);
    assert!(lower[0].join("new").exists());
}
