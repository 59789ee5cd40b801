use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;

use pinnace_core::payload::PayloadFile;
use pinnace_sys::mount::unmount_beneath;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn volume(&self) -> PathBuf {
        self.0.path().join("volumes/v")
    }
    fn write(&self, payload: &Payload) -> bool {
        prepare(&self.volume(), false, payload).unwrap()
    }
    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.volume().join(path)).unwrap()
    }
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.volume()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
    /// The names that containers are meant to use.
    fn shown(&self) -> Vec<String> {
        let mut names = self.names();
        names.retain(|name| !name.starts_with(".."));
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = unmount_beneath(self.0.path());
    }
}

fn payload(files: &[(&str, &str)]) -> Payload {
    let file = |(path, text): &(&str, &str)| {
        let file = PayloadFile {
            bytes: text.as_bytes().to_vec(),
            mode: 0o644,
        };
        ((*path).to_owned(), file)
    };
    Payload {
        files: files.iter().map(file).collect(),
        group: None,
    }
}

#[test]
fn files_are_laid_out_as_the_kubelet_lays_them_out() {
    let place = Place::new();
    assert!(place.write(&payload(&[("a", "one"), ("deep/er/b", "two")])));
    let names = place.names();
    let [stamped, data, a, deep] = names.as_slice() else {
        panic!("{names:?}")
    };
    assert_eq!(
        (data.as_str(), a.as_str(), deep.as_str()),
        ("..data", "a", "deep")
    );
    let shape: String = stamped
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert!(shape.starts_with("..0000_00_00_00_00_00."), "{stamped}");
    let link = |name: &str| std::fs::read_link(place.volume().join(name)).unwrap();
    assert_eq!(link("..data"), PathBuf::from(stamped));
    assert_eq!(link("a"), PathBuf::from("..data/a"));
    assert_eq!(link("deep"), PathBuf::from("..data/deep"));
    assert_eq!(
        (place.read("a"), place.read("deep/er/b")),
        ("one".into(), "two".into())
    );
}

#[test]
fn an_update_changes_everything_at_once_and_leaves_nothing_of_the_old() {
    let place = Place::new();
    place.write(&payload(&[("a", "one"), ("gone/x", "two")]));
    let before = place.names()[0].clone();
    assert!(
        !place.write(&payload(&[("a", "one"), ("gone/x", "two")])),
        "nothing differs"
    );
    assert_eq!(place.names()[0], before);
    assert!(place.write(&payload(&[("a", "new"), ("c", "three")])));
    assert_eq!(place.shown(), ["a", "c"]);
    assert_eq!(place.names().len(), 4, "{:?}", place.names());
    assert_ne!(place.names()[0], before);
    assert_eq!((place.read("a"), place.read("c")), ("new".into(), "three".into()));
    assert!(place.write(&payload(&[])));
    assert!(place.shown().is_empty());
}

#[test]
fn another_mode_or_group_is_a_difference() {
    let place = Place::new();
    let mut wanted = payload(&[("d/a", "one")]);
    place.write(&wanted);
    wanted.files.get_mut("d/a").unwrap().mode = 0o440;
    assert!(place.write(&wanted));
    wanted.group = Some(2000);
    assert!(place.write(&wanted));
    assert!(!place.write(&wanted));
    let of = |path: &str| {
        let found = std::fs::metadata(place.volume().join(path)).unwrap();
        (found.gid(), found.mode() & 0o7777)
    };
    assert_eq!(of("d/a"), (2000, 0o440));
    assert_eq!(of("d"), (2000, 0o2755));
    assert_eq!(of("..data"), (2000, 0o2755));
    assert_eq!(of(""), (2000, 0o2777));
}

#[test]
fn what_an_interrupted_update_left_is_finished_and_cleared_away() {
    let place = Place::new();
    let (old, new) = (
        payload(&[("a", "one"), ("b", "two")]),
        payload(&[("a", "new"), ("c", "three")]),
    );
    // Before the turn: a directory half written, and the link in the making.
    place.write(&old);
    std::fs::create_dir(place.volume().join("..2020_01_01_00_00_00.1")).unwrap();
    std::fs::write(place.volume().join("..2020_01_01_00_00_00.1/a"), "ha").unwrap();
    symlink("..2020_01_01_00_00_00.1", place.volume().join("..data_tmp")).unwrap();
    assert_eq!(place.read("a"), "one");
    assert!(place.write(&old));
    assert_eq!((place.names().len(), place.read("a")), (4, "one".into()));
    // After the turn: the links are those of before.
    place.write(&new);
    std::fs::remove_file(place.volume().join("c")).unwrap();
    symlink("..data/b", place.volume().join("b")).unwrap();
    std::fs::create_dir(place.volume().join("..2020_01_01_00_00_00.2")).unwrap();
    assert!(place.write(&new));
    assert_eq!(place.shown(), ["a", "c"]);
    assert_eq!(place.names().len(), 4);
    // The link leads elsewhere, or nowhere.
    for target in ["/etc", "../..", "..nowhere"] {
        std::fs::remove_file(place.volume().join("..data")).unwrap();
        symlink(target, place.volume().join("..data")).unwrap();
        assert!(place.write(&new), "{target}");
        assert_eq!(place.read("a"), "new");
    }
    assert!(std::path::Path::new("/etc/passwd").exists());
}

#[test]
fn a_file_takes_the_place_of_a_directory_that_a_sub_path_made() {
    let place = Place::new();
    place.write(&payload(&[]));
    std::fs::create_dir(place.volume().join("a")).unwrap();
    assert!(place.write(&payload(&[("a", "one")])));
    assert_eq!(place.read("a"), "one");
}

#[test]
fn in_memory_means_that_nothing_is_beneath_the_mount() {
    let place = Place::new();
    let wanted = payload(&[("token", "hidden")]);
    for _ in 0..2 {
        prepare(&place.volume(), true, &wanted).unwrap();
    }
    assert_eq!(place.read("token"), "hidden");
    let mounts = mount::mount_table().unwrap();
    let own: Vec<_> = mounts
        .iter()
        .filter(|entry| entry.mount_point == place.volume())
        .collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].fs_type, "tmpfs");
    unmount_beneath(place.0.path()).unwrap();
    assert!(place.names().is_empty());
    // One that was lost is mounted again before anything is written.
    prepare(&place.volume(), true, &wanted).unwrap();
    unmount_beneath(place.0.path()).unwrap();
    assert!(place.names().is_empty());
}

#[test]
fn a_reader_never_sees_files_of_two_updates_together() {
    let place = Place::new();
    let of = |number: u32| {
        let text = number.to_string().repeat(1000);
        payload(&[("a", &text), ("b", &text)])
    };
    place.write(&of(1));
    let volume = place.volume();
    let reader = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 200 {
            // As programs that follow updates do: the directory first, then what is in it.
            let directory = pinnace_sys::path::open_dir(&volume.join("..data")).unwrap();
            let held = pinnace_sys::path::fd_path(&directory);
            let (a, b) = (std::fs::read(held.join("a")), std::fs::read(held.join("b")));
            // It may have been cleared away meanwhile.
            if let (Ok(a), Ok(b)) = (a, b) {
                assert!(a == b && !a.is_empty());
                seen += 1;
            }
        }
    });
    let mut number = 1;
    while !reader.is_finished() {
        number += 1;
        assert!(place.write(&of(number)));
    }
    reader.join().unwrap();
}
