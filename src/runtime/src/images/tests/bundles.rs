//! Archives that lie ready.

use super::*;
use crate::images::BundleOutcome;

fn outcomes(node: &Node) -> Vec<(String, BundleOutcome)> {
    let reports = node.store.import_bundles(&mut |_, _| {}).unwrap();
    reports
        .into_iter()
        .map(|report| {
            (
                report.path.file_name().unwrap().to_str().unwrap().to_owned(),
                report.outcome,
            )
        })
        .collect()
}

fn lay(node: &Node, name: &str, content: &[u8]) {
    let directory = node.layout.image_bundles();
    std::fs::create_dir_all(&directory).unwrap();
    let part = directory.join(format!("{name}.part"));
    std::fs::write(&part, content).unwrap();
    std::fs::rename(part, directory.join(name)).unwrap();
}

fn archive(name: &'static str, content: &str) -> Vec<u8> {
    docker_archive(&[TestImage::new(name, vec![layer("f", content)])])
}

#[test]
fn an_absent_directory_holds_nothing() {
    assert!(outcomes(&Node::new()).is_empty());
}

#[test]
fn new_and_changed_ones_are_imported_and_others_left_alone() {
    let node = Node::new();
    lay(&node, "a.tar", &archive("a:1", "x"));
    lay(&node, ".hidden.tar", b"no");
    lay(&node, "b.tar.part", b"not yet");
    let first = outcomes(&node);
    assert!(
        matches!(&first[..], [(name, BundleOutcome::Imported(_))] if name == "a.tar"),
        "{first:?}"
    );
    // What the user removed does not come back by itself.
    node.store.remove("a:1", |_| Vec::new()).unwrap();
    assert!(matches!(outcomes(&node)[0].1, BundleOutcome::Unchanged));
    assert!(node.store.find("a:1").unwrap().is_none());
    lay(&node, "a.tar", &archive("a:1", "y"));
    assert!(matches!(outcomes(&node)[0].1, BundleOutcome::Imported(_)));
    assert!(node.store.find("a:1").unwrap().is_some());
}

#[test]
fn a_broken_one_is_reported_read_once_and_keeps_no_other_back() {
    let node = Node::new();
    lay(&node, "a.tar", &archive("a:1", "x")[..2000]);
    lay(&node, "b.tar", &archive("b:1", "x"));
    let first = outcomes(&node);
    assert!(
        matches!(&first[0].1, BundleOutcome::Failed(error) if text(error).contains("a.tar")),
        "{first:?}"
    );
    assert!(matches!(first[1].1, BundleOutcome::Imported(_)), "{first:?}");
    let second = outcomes(&node);
    assert!(
        matches!(&second[0].1, BundleOutcome::StillBroken(why) if why.contains("cut off")),
        "{second:?}"
    );
    lay(&node, "a.tar", &archive("a:1", "x"));
    assert!(matches!(outcomes(&node)[0].1, BundleOutcome::Imported(_)));
}
