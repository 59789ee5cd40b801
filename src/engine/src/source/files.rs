//! The manifests of one directory: which files count, and what each held when it was last read.
//!
//! A file is read again only when its identity (inode, size, times) changed, so a rescan of a quiet
//! directory reads nothing.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pinnace_api::read::{ReadLimits, read_documents};
use pinnace_api::{Problem, Severity};

use super::{Item, Listing, Placed};

/// Files of a directory that are looked at; more are reported and left alone.
const MAX_FILES: usize = 10_000;

/// Permission of all users.
const EVERYBODY_READS: u32 = 0o004;

/// Whether a file of this name holds manifests: `*.yaml`, `*.yml`, `*.json`, and no hidden, swap or backup
/// file of an editor.
pub fn is_manifest_name(name: &str) -> bool {
    let hidden_or_backup = name.starts_with('.') || name.starts_with('#') || name.ends_with('~');
    let known = [".yaml", ".yml", ".json"]
        .iter()
        .any(|ending| name.len() > ending.len() && name.ends_with(ending));
    known && !hidden_or_backup
}

/// Identity of a file's content as the file system tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            mode: meta.mode(),
        }
    }
}

/// What one file held.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    objects: Vec<Placed>,
    problems: Vec<Problem>,
}

/// The directory and all that is known of its files.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    limits: ReadLimits,
    settle: Duration,
    known: BTreeMap<PathBuf, Known>,
}

/// Outcome of one scan.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan {
    /// Every file was taken in.
    Complete {
        /// Something differs from the scan before.
        changed: bool,
    },
    /// A file was written just now: scan again after this long. What it held before stands; `changed` tells
    /// of the other files.
    Unsettled {
        /// How long the file must stay still.
        again_in: Duration,
        /// Something differs from the scan before.
        changed: bool,
    },
}

impl Files {
    /// Of `directory`; a file counts as still when it was not written for `settle`.
    pub fn new(directory: impl Into<PathBuf>, settle: Duration) -> Self {
        Self {
            directory: directory.into(),
            limits: ReadLimits::default(),
            settle,
            known: BTreeMap::new(),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Looks at every file. `whole` names files that were renamed into place or closed: they are read at
    /// once. An error means that the directory itself could not be read; what is known stands.
    pub fn scan(&mut self, whole: &HashSet<PathBuf>) -> io::Result<Scan> {
        let (paths, too_many) = self.list()?;
        let mut changed = false;
        let mut again_in: Option<Duration> = None;
        let gone: Vec<PathBuf> = self
            .known
            .keys()
            .filter(|path| !paths.contains(*path))
            .cloned()
            .collect();
        for path in gone {
            changed = true;
            self.known.remove(&path);
        }
        for path in paths {
            match self.look(&path, whole.contains(&path)) {
                Look::Same => {}
                Look::Changed => changed = true,
                Look::Unsettled(rest) => again_in = Some(again_in.map_or(rest, |other| other.min(rest))),
            }
        }
        if too_many {
            tracing::warn!(directory = %self.directory.display(), limit = MAX_FILES,
                "more manifests than the limit; the rest is left alone");
        }
        Ok(match again_in {
            None => Scan::Complete { changed },
            Some(again_in) => Scan::Unsettled { again_in, changed },
        })
    }

    /// Everything that the files hold, in the order of their names.
    pub fn listing(&self) -> Listing {
        let mut listing = Listing::default();
        for known in self.known.values() {
            listing.objects.extend(known.objects.iter().cloned());
            listing.problems.extend(known.problems.iter().cloned());
        }
        listing
    }

    fn list(&self) -> io::Result<(std::collections::BTreeSet<PathBuf>, bool)> {
        let mut paths = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(is_manifest_name) {
                continue;
            }
            if paths.len() >= MAX_FILES {
                return Ok((paths, true));
            }
            paths.insert(entry.path());
        }
        Ok((paths, false))
    }

    fn look(&mut self, path: &Path, whole: bool) -> Look {
        let meta = match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => return Look::Same,
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Look::Same,
            Err(error) => return self.keep_with_problem(path, None, format!("cannot be read: {error}")),
        };
        let stamp = Stamp::of(&meta);
        if self.known.get(path).is_some_and(|known| known.stamp == stamp) {
            return Look::Same;
        }
        if !whole && let Some(rest) = self.unsettled_for(&meta) {
            return Look::Unsettled(rest);
        }
        if !meta.is_file() {
            return self.keep_with_problem(path, Some(stamp), "is not a regular file".to_owned());
        }
        self.read(path, stamp)
    }

    fn unsettled_for(&self, meta: &Metadata) -> Option<Duration> {
        let age = SystemTime::now().duration_since(meta.modified().ok()?).ok()?;
        self.settle.checked_sub(age).filter(|rest| !rest.is_zero())
    }

    fn read(&mut self, path: &Path, stamp: Stamp) -> Look {
        let limit = self.limits.file_bytes;
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut text));
        if let Err(error) = read {
            return self.keep_with_problem(path, None, format!("cannot be read: {error}"));
        }
        let file = path.display().to_string();
        let reading = read_documents(&text, &file, &self.limits);
        let objects = reading.objects.into_iter();
        let objects: Vec<Placed> = objects.map(|located| Placed::of(located, &file)).collect();
        let mut problems = reading.problems;
        if stamp.mode & EVERYBODY_READS != 0 {
            problems.extend(objects.iter().filter_map(open_secret));
        }
        let known = Known {
            stamp,
            objects,
            problems,
        };
        self.known.insert(path.to_owned(), known);
        Look::Changed
    }

    /// A file that cannot be read says so; what it held before goes on (see `catalog`).
    fn keep_with_problem(&mut self, path: &Path, stamp: Option<Stamp>, message: String) -> Look {
        let problem = Problem {
            severity: Severity::Error,
            file: path.display().to_string(),
            line: None,
            object: None,
            field: None,
            message,
        };
        let none = Stamp {
            inode: 0,
            size: 0,
            modified: (0, 0),
            changed: (0, 0),
            mode: 0,
        };
        let stamp = stamp.unwrap_or(none);
        let problems = vec![problem];
        if self
            .known
            .get(path)
            .is_some_and(|known| known.stamp == stamp && known.problems == problems)
        {
            return Look::Same;
        }
        self.known.insert(
            path.to_owned(),
            Known {
                stamp,
                objects: Vec::new(),
                problems,
            },
        );
        Look::Changed
    }
}

/// A Secret in a file that everybody on the machine may read.
fn open_secret(placed: &Placed) -> Option<Problem> {
    matches!(placed.item, Item::Secret(_)).then(|| Problem {
        severity: Severity::Warning,
        file: placed.file.clone(),
        line: Some(placed.line),
        object: Some(placed.key.to_string()),
        field: None,
        message: "everybody on this machine may read the Secret in this file: chmod 600".to_owned(),
    })
}

enum Look {
    Same,
    Changed,
    Unsettled(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i:1}]}\n";

    #[test]
    fn editors_and_hidden_files_are_left_alone() {
        for name in ["pod.yaml", "pod.yml", "pod.json", "a.b.yaml"] {
            assert!(is_manifest_name(name), "{name}");
        }
        for name in [
            ".pod.yaml",
            ".pod.yaml.swp",
            "pod.yaml~",
            "#pod.yaml#",
            ".#pod.yaml",
            "pod.yaml.bak",
            "yaml",
            ".yaml",
            "4913",
        ] {
            assert!(!is_manifest_name(name), "{name}");
        }
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_warned_of_and_never_shown() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.yaml");
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: hidden}\n";
        std::fs::write(&path, text).unwrap();
        let mut files = Files::new(dir.path(), Duration::ZERO);
        for (mode, warnings) in [(0o644, 1), (0o600, 0), (0o640, 0)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            files.scan(&all_whole(dir.path())).unwrap();
            let listing = files.listing();
            assert_eq!(
                (listing.objects.len(), listing.problems.len()),
                (1, warnings),
                "{mode:o}"
            );
            assert!(!format!("{listing:?}").contains("hidden"));
        }
    }

    fn all_whole(directory: &Path) -> HashSet<PathBuf> {
        std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[test]
    fn a_file_renamed_in_is_read_at_once_and_one_being_written_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yaml"), POD).unwrap();
        let mut files = Files::new(dir.path(), Duration::from_secs(60));
        let scan = files.scan(&HashSet::new()).unwrap();
        assert!(matches!(scan, Scan::Unsettled { changed: false, .. }), "{scan:?}");
        assert!(files.listing().objects.is_empty());
        assert_eq!(
            files.scan(&all_whole(dir.path())).unwrap(),
            Scan::Complete { changed: true }
        );
        assert_eq!(files.listing().objects.len(), 1);
        assert_eq!(
            files.scan(&HashSet::new()).unwrap(),
            Scan::Complete { changed: false }
        );
    }

    #[test]
    fn a_file_that_goes_takes_its_objects_along_and_a_directory_that_goes_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("manifests");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("a.yaml"), POD).unwrap();
        std::fs::write(inner.join("b.yaml"), POD.replace("name: a", "name: b")).unwrap();
        let mut files = Files::new(&inner, Duration::ZERO);
        files.scan(&all_whole(&inner)).unwrap();
        std::fs::remove_file(inner.join("a.yaml")).unwrap();
        assert_eq!(
            files.scan(&HashSet::new()).unwrap(),
            Scan::Complete { changed: true }
        );
        assert_eq!(files.listing().objects.len(), 1);
        std::fs::remove_dir_all(&inner).unwrap();
        assert!(files.scan(&HashSet::new()).is_err());
        assert_eq!(files.listing().objects.len(), 1);
    }

    #[test]
    fn a_file_past_the_limit_is_refused_and_the_others_still_run() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.yaml"), POD).unwrap();
        let huge = std::fs::File::create(dir.path().join("huge.yaml")).unwrap();
        huge.set_len(50 << 20).unwrap();
        let mut files = Files::new(dir.path(), Duration::ZERO);
        files.scan(&all_whole(dir.path())).unwrap();
        let listing = files.listing();
        assert_eq!(listing.objects.len(), 1);
        assert!(
            listing
                .problems
                .iter()
                .any(|problem| problem.severity == Severity::Error),
            "{:?}",
            listing.problems
        );
    }
}
