//! A writer that is killed at any instant, and two that write at once.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;
use crate::images::ImportProgress;

const ROOT: &str = "PINNACE_TEST_IMPORT_ROOT";
const ARCHIVE: &str = "PINNACE_TEST_IMPORT_ARCHIVE";
const KILL_AT: &str = "PINNACE_TEST_IMPORT_KILL_AT";
/// Steps of which an import of [`images`] tells: seven files, three layers, the commit.
const STEPS: usize = 11;

/// Not a promise: the body of the processes that the tests of this file start.
#[test]
#[ignore = "runs only as the child of the tests in this file"]
fn importing_process() {
    let root = std::env::var(ROOT).expect("started by a test");
    let archive = std::env::var(ARCHIVE).expect("started by a test");
    let store = ImageStore::open(&Layout::new(root)).unwrap();
    let kill_at: usize = std::env::var(KILL_AT).map_or(0, |step| step.parse().unwrap());
    let mut step = 0;
    let killed = nix::sys::signal::Signal::SIGKILL;
    let mut progress = |_: ImportProgress<'_>| {
        step += 1;
        if step == kill_at {
            nix::sys::signal::kill(nix::unistd::Pid::this(), killed).unwrap();
        }
    };
    store.import(Path::new(&archive), &mut progress).unwrap();
}

fn start(node: &Node, archive: &Path) -> Child {
    command(node, archive).spawn().unwrap()
}

fn command(node: &Node, archive: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "--ignored",
            "--quiet",
            "images::tests::crash::importing_process",
        ])
        .env(ROOT, node.dir.path())
        .env(ARCHIVE, archive)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A reader needs no repair: what the index names is whole, what it does not name is not seen. Answers
/// whether the images are there.
fn assert_consistent(node: &Node) -> bool {
    let fresh = ImageStore::open(&node.layout).unwrap();
    let problems: Vec<_> = fresh
        .list()
        .unwrap()
        .into_iter()
        .map(|image| image.problem)
        .collect();
    assert!(problems.is_empty() || problems == [None, None], "{problems:?}");
    if !problems.is_empty() {
        assert_whole(node, &["one:1", "two:1"]);
    }
    !problems.is_empty()
}

/// Large enough that a kill hits it in the middle.
fn images() -> Vec<TestImage> {
    let many = |seed: u32| {
        let mut tar = Tarball::new();
        for n in 0..400_u32 {
            let content: Vec<u8> = (0..2000_u32)
                .map(|byte| (byte.wrapping_mul(seed + n) >> 3) as u8)
                .collect();
            tar.file(&format!("d{}/f{n}", n % 7), &content);
        }
        tar.finish()
    };
    let base = many(3);
    let mut one = TestImage::new("one:1", vec![base.clone(), many(5)]);
    one.compress = gzip;
    let mut two = TestImage::new("two:1", vec![base, many(7)]);
    two.compress = gzip;
    vec![one, two]
}

fn assert_whole(node: &Node, names: &[&str]) {
    for name in names {
        let lower = node.lower_dirs(name);
        assert_eq!(lower.len(), 2);
        for directory in lower {
            let files = (0..400)
                .filter(|n| directory.join(format!("d{}/f{n}", n % 7)).is_file())
                .count();
            assert_eq!(files, 400, "{}", directory.display());
        }
    }
}

#[test]
fn an_import_killed_at_any_step_leaves_nothing_that_the_next_one_does_not_clear() {
    let archive_dir = tempfile::tempdir().unwrap();
    let archive = archive_dir.path().join("images.tar");
    std::fs::write(&archive, docker_archive(&images())).unwrap();
    let node = Node::new();
    for step in 1..=STEPS {
        let status = command(&node, &archive)
            .env(KILL_AT, step.to_string())
            .status()
            .unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "step {step}"
        );
        assert!(!assert_consistent(&node), "step {step}");
        assert_eq!(node.content(), ["empty"], "step {step}");
    }
    assert!(start(&node, &archive).wait().unwrap().success());
    assert!(assert_consistent(&node));
    node.assert_no_leftovers();
}

#[test]
fn an_import_killed_at_any_moment_leaves_all_or_nothing() {
    let archive_dir = tempfile::tempdir().unwrap();
    let archive = archive_dir.path().join("images.tar");
    std::fs::write(&archive, docker_archive(&images())).unwrap();
    let whole = Node::new();
    let started = Instant::now();
    assert!(start(&whole, &archive).wait().unwrap().success());
    let full_time = started.elapsed();

    let node = Node::new();
    for sixteenth in 0..16 {
        let mut child = start(&node, &archive);
        std::thread::sleep(full_time.mul_f64(f64::from(sixteenth) / 16.0));
        child.kill().unwrap();
        child.wait().unwrap();
        if assert_consistent(&node) {
            for name in ["one:1", "two:1"] {
                node.store.remove(name, |_| Vec::new()).unwrap();
            }
            node.assert_empty();
        }
    }
    assert!(start(&node, &archive).wait().unwrap().success());
    assert!(assert_consistent(&node));
    node.assert_no_leftovers();
    assert_eq!(node.content(), whole.content());
}

#[test]
fn what_a_crash_put_in_place_without_an_index_is_removed_by_the_next_writer() {
    let node = Node::new();
    node.import_bytes(&docker_archive(&[TestImage::new("a:1", vec![layer("f", "x")])]))
        .unwrap();
    let before = node.content();
    let index = std::fs::read(node.layout.images().join("index.json")).unwrap();
    node.import_bytes(&docker_archive(&[TestImage::new("b:1", vec![layer("f", "y")])]))
        .unwrap();
    let new: Vec<_> = node
        .content()
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    // As if the power had gone between the renames and the replacement of the index.
    std::fs::write(node.layout.images().join("index.json"), index).unwrap();
    let journal = serde_json::json!({"blobs": new, "layers": new});
    std::fs::write(
        node.layout.images().join(".journal.json"),
        serde_json::to_vec(&journal).unwrap(),
    )
    .unwrap();
    assert!(matches!(
        node.store.remove("absent", |_| Vec::new()),
        Err(ImageError::NotFound { .. })
    ));
    assert_eq!(node.content(), before);
    assert_eq!(node.lower_dirs("a:1").len(), 1);
    node.assert_no_leftovers();
}

#[test]
fn a_journal_beside_a_damaged_index_deletes_nothing() {
    let node = Node::new();
    node.import_bytes(&docker_archive(&[TestImage::new("a:1", vec![layer("f", "x")])]))
        .unwrap();
    let before = node.content();
    // As if a removal of an image that shares all with this one had been cut off.
    let journal = serde_json::json!({"blobs": before, "layers": before});
    let path = node.layout.images().join(".journal.json");
    std::fs::write(&path, serde_json::to_vec(&journal).unwrap()).unwrap();
    std::fs::write(node.layout.images().join("index.json"), "{").unwrap();
    assert!(node.store.remove("a:1", |_| Vec::new()).is_err());
    assert_eq!(node.content(), before);
    assert!(!path.exists());
}

#[test]
fn two_processes_import_the_same_images_at_once() {
    let node = Node::new();
    let archive = node.write("images.tar", &docker_archive(&images()));
    let mut children: Vec<Child> = (0..3).map(|_| start(&node, &archive)).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_whole(&node, &["one:1", "two:1"]);
    assert_eq!(node.store.list().unwrap().len(), 2);
    node.assert_no_leftovers();
}
