use std::collections::BTreeMap;

use pinnace_api::testing;
use pinnace_core::fake::sample;
use pinnace_core::pod::ContainerProgress;
use pinnace_core::ports::Retry;
use pinnace_core::time::{BootId, WallMillis};
use pinnace_sys::mount;
use serde_json::json;

use super::*;

struct Place {
    root: tempfile::TempDir,
    store: RecordStore,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        Self { root, store }
    }

    fn record(&self, name: &str) -> PathBuf {
        let directory = self.store.layout.pod_records();
        file::create_dir_all(&directory, 0o700).unwrap();
        directory.join(name)
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let names = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = mount::unmount_beneath(self.root.path());
    }
}

fn uid(text: &str) -> PodUid {
    PodUid::new(text).unwrap()
}

fn identity(uid_text: &str) -> PodIdentity {
    sample::identity(uid(uid_text), &testing::pod("web", json!({})), WallMillis(7))
}

fn progress(boot: &str) -> Progress {
    let mut progress = Progress::new(BootId(boot.to_owned()));
    progress.containers = BTreeMap::from([(
        testing::name("main"),
        ContainerProgress {
            next_attempt: 3,
            ..ContainerProgress::default()
        },
    )]);
    progress
}

fn whole(stored: Vec<Stored>) -> Vec<(PodIdentity, Option<Progress>)> {
    let pair = |stored| match stored {
        Stored::Whole(identity, progress) => (identity, progress),
        Stored::Damaged { why, .. } => panic!("damaged: {why}"),
    };
    let mut all: Vec<_> = stored.into_iter().map(pair).collect();
    all.sort_by(|a, b| a.0.uid.cmp(&b.0.uid));
    all
}

/// The one damaged record: its pod, where it lies, why.
fn damaged(stored: &[Stored]) -> (Option<PodUid>, PathBuf, String) {
    let mut damaged = stored.iter().filter_map(|stored| match stored {
        Stored::Damaged { uid, set_aside, why } => Some((uid.clone(), set_aside.clone(), why.clone())),
        Stored::Whole(..) => None,
    });
    let one = damaged.next().expect("a damaged record");
    assert!(damaged.next().is_none());
    one
}

#[tokio::test]
async fn a_root_without_records_is_empty() {
    assert!(Place::new().store.load().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_saved_is_loaded_and_what_was_removed_is_gone() {
    let place = Place::new();
    let store = &place.store;
    for name in ["a", "b"] {
        store.save_identity(&identity(name)).await.unwrap();
    }
    store.save_progress(&uid("b"), &progress("boot")).await.unwrap();
    store
        .save_progress(&uid("b"), &progress("another"))
        .await
        .unwrap();
    let loaded = whole(store.load().await.unwrap());
    assert_eq!(
        loaded,
        [(identity("a"), None), (identity("b"), Some(progress("another")))]
    );
    for _ in 0..2 {
        store.remove(&uid("b")).await.unwrap();
    }
    assert_eq!(whole(store.load().await.unwrap()), [(identity("a"), None)]);
    assert!(!store.layout.pod_run("b").exists());
}

#[tokio::test]
async fn who_only_reads_changes_nothing() {
    let place = Place::new();
    let store = &place.store;
    assert!(store.read().await.unwrap().is_empty());
    store.save_identity(&identity("a")).await.unwrap();
    store.save_progress(&uid("a"), &progress("boot")).await.unwrap();
    let temporary = place.record(".pinnace-1-2.tmp");
    for path in [place.record("bad.json"), temporary] {
        std::fs::write(path, b"{").unwrap();
    }
    let before = place.names(&store.layout.pod_records());
    assert_eq!(before.len(), 3);
    assert_eq!(
        store.read().await.unwrap(),
        [(identity("a"), Some(progress("boot")))]
    );
    assert_eq!(place.names(&store.layout.pod_records()), before);
    assert!(!store.layout.state().join("damaged").exists());
}

#[tokio::test]
async fn a_pods_run_directory_stays_while_another_uses_it() {
    let place = Place::new();
    place
        .store
        .save_progress(&uid("a"), &progress("boot"))
        .await
        .unwrap();
    let other = place.store.layout.pod_run("a").join("bundle");
    std::fs::create_dir(&other).unwrap();
    place.store.remove(&uid("a")).await.unwrap();
    assert_eq!(place.names(other.parent().unwrap()), ["bundle"]);
}

#[tokio::test]
async fn what_a_killed_removal_left_of_a_pod_is_cleared_and_what_another_uses_stays() {
    let place = Place::new();
    let progress = Progress::new(BootId("b".to_owned()));
    for text in ["kept", "left", "used"] {
        place.store.save_progress(&uid(text), &progress).await.unwrap();
    }
    place.store.save_identity(&identity("kept")).await.unwrap();
    std::fs::create_dir(place.store.layout.pod_run("used").join("sandbox")).unwrap();
    std::fs::create_dir(place.store.layout.pod_run("empty")).unwrap();
    assert_eq!(place.store.load().await.unwrap().len(), 1);
    let pods = place.store.layout.run().join("pods");
    assert_eq!(place.names(&pods), ["kept", "used"]);
    assert!(place.store.progress_path(&uid("kept")).exists());
    assert!(place.store.progress_path(&uid("used")).exists());
}

#[tokio::test]
async fn a_crash_before_the_rename_leaves_the_old_record_and_nothing_else() {
    let place = Place::new();
    place.store.save_identity(&identity("a")).await.unwrap();
    place
        .store
        .save_progress(&uid("a"), &progress("boot"))
        .await
        .unwrap();
    let stale = [
        place.record(".pinnace-77-3.tmp"),
        place.store.layout.pod_run("a").join(".pinnace-77-4.tmp"),
    ];
    for path in &stale {
        std::fs::write(path, b"{\"version\":1,\"uid").unwrap();
    }
    let loaded = whole(place.store.load().await.unwrap());
    assert_eq!(loaded, [(identity("a"), Some(progress("boot")))]);
    assert!(stale.iter().all(|path| !path.exists()));
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_hides_no_other() {
    let whole_text = serde_json::to_string(&identity("bad")).unwrap();
    let newer = whole_text.replace("\"version\":1", "\"version\":2,\"new\":true");
    let other = serde_json::to_string(&identity("another")).unwrap();
    let cases: [(&[u8], &str); 7] = [
        (b"", "not a whole record: EOF"),
        (
            &whole_text.as_bytes()[..whole_text.len() / 2],
            "not a whole record: EOF",
        ),
        (b"\0\0\0\0", "not a whole record: expected value"),
        (b"{\"version\":1}", "not a whole record: missing field"),
        (newer.as_bytes(), "format version 2, this release reads version 1"),
        (other.as_bytes(), "it is the record of pod another"),
        (b"[]", "not a whole record: invalid"),
    ];
    for (content, expected) in cases {
        let place = Place::new();
        place.store.save_identity(&identity("good")).await.unwrap();
        std::fs::write(place.record("bad.json"), content).unwrap();
        let stored = place.store.load().await.unwrap();
        let (pod, aside, why) = damaged(&stored);
        assert_eq!(pod, Some(uid("bad")));
        assert!(why.starts_with(expected), "{why}");
        assert_eq!(aside, place.store.layout.state().join("damaged/bad.json.1"));
        assert_eq!(std::fs::read(&aside).unwrap(), content);
        assert_eq!(stored.len(), 2);
        assert_eq!(whole(place.store.load().await.unwrap()).len(), 1);
    }
}

#[tokio::test]
async fn odd_files_are_set_aside_or_left_alone_by_their_name() {
    let place = Place::new();
    std::fs::write(place.record("not a uid.json"), b"{}").unwrap();
    std::fs::write(place.record("README"), b"mine").unwrap();
    let (pod, _, why) = damaged(&place.store.load().await.unwrap());
    assert_eq!((pod, why.as_str()), (None, "the file's name is not a pod's UID"));
    assert_eq!(place.names(&place.store.layout.pod_records()), ["README"]);
}

#[tokio::test]
async fn a_record_that_is_too_large_or_no_file_is_damaged() {
    let place = Place::new();
    let file = std::fs::File::create(place.record("large.json")).unwrap();
    file.set_len(RECORD_MAX + 1).unwrap();
    let (pod, ..) = damaged(&place.store.load().await.unwrap());
    assert_eq!(pod, Some(uid("large")));
    std::fs::create_dir(place.record("directory.json")).unwrap();
    let (pod, ..) = damaged(&place.store.load().await.unwrap());
    assert_eq!(pod, Some(uid("directory")));
    assert!(place.store.load().await.unwrap().is_empty());
}

#[tokio::test]
async fn damaged_progress_costs_only_itself() {
    let place = Place::new();
    place.store.save_identity(&identity("a")).await.unwrap();
    place
        .store
        .save_progress(&uid("a"), &progress("boot"))
        .await
        .unwrap();
    let path = place.store.progress_path(&uid("a"));
    for content in [&b"{\"version\":1"[..], b"{\"version\":9}", b""] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(whole(place.store.load().await.unwrap()), [(identity("a"), None)]);
    }
    place
        .store
        .save_progress(&uid("a"), &progress("boot"))
        .await
        .unwrap();
    assert_eq!(
        whole(place.store.load().await.unwrap()),
        [(identity("a"), Some(progress("boot")))]
    );
}

#[tokio::test]
async fn a_full_disk_is_named_and_keeps_the_old_record() {
    let place = Place::new();
    let directory = place.store.layout.pod_records();
    file::create_dir_all(&directory, 0o700).unwrap();
    mount::mount_tmpfs(&directory, Some(64 << 10), 0o700).unwrap();
    place.store.save_identity(&identity("a")).await.unwrap();
    let mut large = identity("a");
    large.origin.source = "x".repeat(128 << 10);
    let error = place.store.save_identity(&large).await.unwrap_err();
    assert_eq!(error.retry, Retry::Later);
    let text = error.chain();
    assert!(text.starts_with("save the record of pod a: write "), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    assert_eq!(whole(place.store.load().await.unwrap()), [(identity("a"), None)]);
    assert_eq!(place.names(&directory), ["a.json"]);
}

#[tokio::test]
async fn a_read_only_disk_is_named_and_still_read() {
    let place = Place::new();
    place.store.save_identity(&identity("a")).await.unwrap();
    std::fs::write(place.record("bad.json"), b"{").unwrap();
    let state = place.store.layout.state();
    let read_only = mount::BindOptions {
        read_only: true,
        ..mount::BindOptions::default()
    };
    mount::bind(&state, &state, read_only).unwrap();
    let error = place.store.save_identity(&identity("b")).await.unwrap_err();
    assert_eq!(error.retry, Retry::Later);
    assert!(
        error.chain().contains("Read-only file system"),
        "{}",
        error.chain()
    );
    assert!(place.store.remove(&uid("a")).await.is_err());
    let stored = place.store.load().await.unwrap();
    let (_, aside, _) = damaged(&stored);
    assert_eq!((aside, stored.len()), (place.record("bad.json"), 2));
}
