//! Arbitrary input never panics, and never changes the store.

use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::images::tar::TarReader;
use crate::images::{ImageConfig, Reference};

fn small_archive() -> Vec<u8> {
    docker_archive(&[TestImage::new("a:1", vec![layer("f", "x")])])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tar_reader_ends_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let mut tar = TarReader::new(&bytes[..]);
        while let Ok(Some(_)) = tar.next_entry() {}
    }

    #[test]
    fn the_tar_reader_ends_on_damaged_archives(at in 0_usize..3000, byte in any::<u8>(), mend in any::<bool>()) {
        let mut bytes = Tarball::new()
            .pax(&[("path", b"x"), ("SCHILY.xattr.user.a", b"b"), ("GNU.sparse.map", b"1,2")])
            .file("a", &[1; 600])
            .symlink("b", "c")
            .finish();
        let at = at % bytes.len();
        bytes[at] = byte;
        if mend {
            for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
                tarball::seal(block.try_into().unwrap());
            }
        }
        let mut tar = TarReader::new(&bytes[..]);
        let mut data = Vec::new();
        while let Ok(Some(_)) = tar.next_entry() {
            let _ = tar.by_ref().take(10_000).read_to_end(&mut data);
        }
    }

    #[test]
    fn references_and_configurations_are_read_or_refused(text in ".{0,300}", bytes in any::<Vec<u8>>()) {
        if let Ok(reference) = Reference::parse(&text) {
            let full = reference.to_string();
            prop_assert_eq!(Reference::parse(&full).unwrap(), reference);
        }
        let _ = ImageConfig::parse(text.as_bytes());
        let _ = ImageConfig::parse(&bytes);
        let _ = Digest::parse(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_archive_comes_in_whole_or_not_at_all(damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let node = Node::new();
        let mut bytes = small_archive();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        match node.import_bytes(&bytes) {
            Err(_) => node.assert_empty(),
            Ok(imported) => {
                let image = node.store.find(&imported[0].id).unwrap().unwrap();
                prop_assert!(node.store.lower_dirs(&image).is_ok());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_archive(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let node = Node::new();
        prop_assert!(node.import_bytes(&bytes).is_err());
        node.assert_empty();
    }
}
