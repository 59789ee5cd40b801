//! Bad archives: a clear error that names archive and entry, and nothing left behind.

use super::tarball::Header;
use super::*;

fn image() -> TestImage {
    TestImage::new(
        "a:1",
        vec![layer("f", &"content ".repeat(300)), layer("g", "two")],
    )
}

#[test]
fn an_archive_cut_off_anywhere_is_refused_and_leaves_nothing() {
    let node = Node::new();
    for compress in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip, zstd] {
        for whole in [docker_archive(&[image()]), oci_archive(&[image()])] {
            let end_mark = whole.len() - 1024;
            let bytes = compress(&whole);
            let cuts = (0..40).map(|n| n * bytes.len().min(end_mark) / 40);
            for cut in cuts.chain([1, 5, 511, 512, 513, bytes.len().min(end_mark) - 1]) {
                let text = node.refusal(&bytes[..cut.min(bytes.len() - 1)]);
                assert!(text.contains("archive.tar"), "{text}");
            }
            assert_eq!(node.content(), ["empty"]);
        }
    }
    node.assert_empty();
}

#[test]
fn a_cut_tells_the_entry_before_it() {
    let node = Node::new();
    let bytes = Tarball::new()
        .file("first", b"x")
        .file("second", &[1; 5000])
        .unfinished();
    let text = node.refusal(&bytes[..3000]);
    assert!(
        text.contains("\"second\"") || text.contains("\"first\""),
        "{text}"
    );
    assert!(text.contains("cut off"), "{text}");
}

#[test]
fn wrong_digests_are_told_with_both() {
    let node = Node::new();
    // A blob that is not what its name says.
    let mut files = oci_files(&[image()]);
    let blob = files
        .iter_mut()
        .find(|(name, _)| name.starts_with("blobs/"))
        .unwrap();
    blob.1[0] ^= 1;
    let (name, found) = (blob.0.clone(), Digest::of(&blob.1).to_string());
    let text = node.refusal(&tar_of(&files));
    assert!(text.contains(&name) && text.contains(&found), "{text}");
    // A layer that is not the one of the configuration.
    let mut other = image();
    other.layers[1] = layer("g", "another");
    let mut files = oci_files(&[image()]);
    let manifest =
        serde_json::to_string(&serde_json::from_slice::<serde_json::Value>(&image().manifest()).unwrap())
            .unwrap()
            .replace(
                &Digest::of(&image().layers[1]).hex(),
                &Digest::of(&other.layers[1]).hex(),
            );
    let blob = |bytes: &[u8]| {
        (
            format!("blobs/sha256/{}", Digest::of(bytes).hex()),
            bytes.to_vec(),
        )
    };
    let manifest_digest = Digest::of(&image().manifest()).hex();
    for (name, content) in &mut files {
        if name == "index.json" {
            let text = String::from_utf8(content.clone()).unwrap();
            *content = text
                .replace(&manifest_digest, &Digest::of(manifest.as_bytes()).hex())
                .into_bytes();
        }
    }
    files.extend([blob(manifest.as_bytes()), blob(&other.layers[1])]);
    let archive = tar_of(&files);
    let text = node.refusal(&archive);
    assert!(text.contains(&Digest::of(&image().layers[1]).hex()), "{text}");
    // Docker's name for a configuration is its digest.
    let tar = docker_archive(&[image()]);
    let hex = Digest::of(&image().config()).hex();
    let wrong = Digest::of(b"wrong").hex();
    let renamed = replace(&tar, hex.as_bytes(), wrong.as_bytes());
    assert!(node.refusal(&renamed).contains("has the digest"));
    node.assert_empty();
}

/// Replaces text of the same length, and mends the checksums of the headers.
fn replace(tar: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = tar.to_vec();
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    for block in bytes.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            tarball::seal(block.try_into().unwrap());
        }
    }
    bytes
}

#[test]
fn missing_files_are_told_by_name() {
    let node = Node::new();
    for all in [oci_files(&[image()])] {
        for (at, (name, _)) in all
            .iter()
            .enumerate()
            .filter(|(_, (name, _))| name != "oci-layout")
        {
            let mut files = all.clone();
            files.remove(at);
            let text = node.refusal(&tar_of(&files));
            assert!(
                text.contains(name) || text.contains("index.json"),
                "{name}: {text}"
            );
        }
    }
    let list = br#"[{"Config":"c.json","RepoTags":[],"Layers":["gone/layer.tar"]}]"#;
    let config = image().config();
    let text = node.refusal(&Tarball::new().file("manifest.json", list).finish());
    assert!(text.contains("c.json"), "{text}");
    let text = node.refusal(
        &Tarball::new()
            .file("manifest.json", list)
            .file("c.json", &config)
            .finish(),
    );
    assert!(text.contains("gone/layer.tar"), "{text}");
    node.assert_empty();
}

#[test]
fn giant_documents_are_refused_unread() {
    let node = Node::new();
    let giant = vec![b' '; 9 << 20];
    let list = br#"[{"Config":"c.json","RepoTags":[],"Layers":[]}]"#;
    for tar in [
        Tarball::new().file("manifest.json", &giant).finish(),
        Tarball::new().file("index.json", &giant).finish(),
        Tarball::new()
            .file("manifest.json", list)
            .file("c.json", &giant)
            .finish(),
    ] {
        let text = node.refusal(&tar);
        assert!(text.contains("9437184 bytes, more than"), "{text}");
    }
    node.assert_empty();
}

#[test]
fn absurd_sizes_are_refused() {
    let node = Node::new();
    let cases = [
        Tarball::new()
            .raw(&Header::new(b'0', "big").size(1 << 50).block())
            .finish(),
        Tarball::new()
            .raw(&Header::new(b'0', "big").size(u64::MAX).block())
            .finish(),
        Tarball::new()
            .raw(&Header::new(b'L', "big").size(1 << 40).block())
            .finish(),
        Tarball::new()
            .raw(&Header::new(b'x', "big").size(1 << 40).block())
            .finish(),
        Tarball::new()
            .pax(&[("size", b"18446744073709551615")])
            .file("big", b"")
            .finish(),
    ];
    for tar in cases {
        let text = node.refusal(&tar);
        assert!(
            text.contains("too large") || text.contains("more than") || text.contains("cut off"),
            "{text}"
        );
    }
    node.assert_empty();
}

#[test]
fn what_is_no_image_is_called_so() {
    let node = Node::new();
    for (bytes, why) in [
        (b"hello".to_vec(), "cut off"),
        (vec![b'x'; 2000], "no tar header"),
        (Vec::new(), "cut off"),
        (Tarball::new().file("readme", b"").finish(), "neither an archive"),
        (b"BZh91AY&SY".to_vec(), "bzip2"),
        (
            Tarball::new()
                .file("index.json", b"{\"schemaVersion\":2}")
                .finish(),
            "holds no image",
        ),
        (
            Tarball::new().file("manifest.json", b"[]").finish(),
            "holds no image",
        ),
        (
            Tarball::new().file("manifest.json", b"{").finish(),
            "manifest.json",
        ),
        (Tarball::new().file("index.json", b"[]").finish(), "index.json"),
    ] {
        let text = node.refusal(&bytes);
        assert!(text.contains(why), "{text}");
    }
    assert!(text(&node.import(&node.dir.path().join("absent")).unwrap_err()).contains("absent"));
    assert!(text(&node.import(&node.layout.images()).unwrap_err()).contains("image store itself"));
    node.assert_empty();
}

#[test]
fn bad_entries_in_a_layer_are_told_with_archive_and_entry() {
    let node = Node::new();
    for bad in [
        Tarball::new().file("../../etc/evil", b"x").finish(),
        Tarball::new().hardlink("evil", "/etc/passwd").finish(),
        Tarball::new().hardlink("evil", "../../../etc/passwd").finish(),
    ] {
        let text = node.refusal(&docker_archive(&[TestImage::new(
            "a:1",
            vec![layer("f", "ok"), bad],
        )]));
        assert!(
            text.contains("archive.tar") && text.contains("evil") && text.contains("layer.tar"),
            "{text}"
        );
    }
    node.assert_empty();
}

#[test]
fn an_archive_that_would_grow_beyond_measure_is_refused() {
    let node = Node::new();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let size: u64 = 512 << 20;
    let header = tarball::Header::new(b'0', "bomb").size(size).block();
    std::io::Write::write_all(&mut encoder, &header).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), size), &mut encoder).unwrap();
    let text = node.refusal(&encoder.finish().unwrap());
    assert!(
        text.contains("bomb") && text.contains("times its compressed size"),
        "{text}"
    );
    node.assert_empty();
}

#[test]
fn the_store_is_not_imported_into_itself_by_another_name() {
    let node = Node::new();
    let link = node.dir.path().join("link");
    std::os::unix::fs::symlink(node.layout.images(), &link).unwrap();
    assert!(text(&node.import(&link).unwrap_err()).contains("the image store itself"));
    node.assert_empty();
}

#[test]
fn names_in_an_archive_lead_nowhere() {
    let node = Node::new();
    let list = br#"[{"Config":"../../../../etc/hostname","RepoTags":[],"Layers":[]}]"#;
    assert!(
        node.refusal(&Tarball::new().file("manifest.json", list).finish())
            .contains("not there")
    );
    let linked = Tarball::new().symlink("manifest.json", "/etc/passwd").finish();
    assert!(node.refusal(&linked).contains("neither an archive"));
    // In a layout directory, the kernel keeps the way beneath it.
    let layout = node.dir.path().join("layout");
    std::fs::create_dir_all(&layout).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", layout.join("index.json")).unwrap();
    assert!(text(&node.import(&layout).unwrap_err()).contains("neither an archive"));
    node.assert_empty();
}

#[test]
fn a_bad_name_is_refused_with_the_archive() {
    let node = Node::new();
    let text = node.refusal(&docker_archive(&[TestImage::new("UPPER/Case:1", vec![])]));
    assert!(
        text.contains("UPPER/Case:1") && text.contains("archive.tar"),
        "{text}"
    );
    node.assert_empty();
}
