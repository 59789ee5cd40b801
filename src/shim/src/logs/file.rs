//! One log file: appended to, rotated at a line's end, never a reason for its container to block.
//!
//! Invariants:
//! - the file holds whole records only; what a full disk let through of a record is cut off again
//! - a rotation falls between two lines of both streams, never between the records of one line, unless a
//!   line goes on for as long as the file may be large
//! - what could not be written is counted, and a note of it is written as soon as writing works again
//! - this is the file's only writer
//! - a file that somebody has removed never grows unseen past the size at which it would be rotated

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::place::LogPlace;
use super::record::{StreamName, classify, put};
use super::stamp::rfc3339_nanos;
use super::uri::LogTarget;

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the log {}", path.display())]
pub struct OpenLogError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: Errno,
}

/// An open log.
#[derive(Debug)]
pub struct LogFile {
    place: LogPlace,
    file: OwnedFd,
    size_bytes: u64,
    max_size_bytes: u64,
    mid_line: [bool; 2],
    dropped: Option<Dropped>,
}

#[derive(Debug, Clone, Copy)]
struct Dropped {
    bytes: u64,
    why: Errno,
}

impl LogFile {
    /// Opens or makes the file of `target`; its directory must be there.
    pub fn open(target: &LogTarget) -> Result<Self, OpenLogError> {
        let failed = |source| OpenLogError {
            path: target.path.clone(),
            source,
        };
        let place = LogPlace::open(target).map_err(failed)?;
        let file = place.open_current().map_err(failed)?;
        let mut log = Self {
            size_bytes: length(&file).map_err(failed)?,
            place,
            file,
            max_size_bytes: target.max_size_bytes,
            mid_line: [false; 2],
            dropped: None,
        };
        log.end_torn_record();
        Ok(log)
    }

    /// A writer that was killed may have left a record without its end; the next one begins a line.
    fn end_torn_record(&mut self) {
        let mut last = [0u8; 1];
        if self.size_bytes == 0 {
            return;
        }
        let Ok(reader) = self.place.read_current() else {
            return;
        };
        let read = rustix::io::pread(&reader, &mut last, self.size_bytes - 1);
        if read == Ok(1) && last != *b"\n" && rustix::io::write(&self.file, b"\n") == Ok(1) {
            self.size_bytes += 1;
        }
    }

    /// Writes whole records. Never fails and never waits: see this module's invariants.
    pub fn append(&mut self, records: &[u8]) {
        let mut rest = records;
        while !rest.is_empty() {
            if self.rotation_due() {
                self.rotate();
            }
            let (now, later) = rest.split_at(self.until_rotation(rest));
            self.write_with_note(now);
            rest = later;
        }
    }

    /// A stream has ended, maybe within a line.
    pub fn end_of(&mut self, stream: StreamName) {
        self.mid_line[stream as usize] = false;
    }

    /// Bytes lost so far and not yet told of in the file.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped.map_or(0, |dropped| dropped.bytes)
    }

    fn rotation_due(&self) -> bool {
        let overlong = self.size_bytes >= self.max_size_bytes.saturating_mul(2);
        self.size_bytes >= self.max_size_bytes && (overlong || self.mid_line == [false; 2])
    }

    /// Length of the records to write before it is time to rotate; at least one record. Keeps track of which
    /// streams are within a line.
    fn until_rotation(&mut self, records: &[u8]) -> usize {
        let mut length = 0;
        for record in records.split_inclusive(|byte| *byte == b'\n') {
            length += record.len();
            if let Some((stream, full)) = classify(record) {
                self.mid_line[stream as usize] = !full;
            }
            let size = self.size_bytes + length as u64;
            let overlong = size >= self.max_size_bytes.saturating_mul(2);
            if size >= self.max_size_bytes && (overlong || self.mid_line == [false; 2]) {
                break;
            }
        }
        length
    }

    fn write_with_note(&mut self, records: &[u8]) {
        if let Some(dropped) = self.dropped {
            let text = format!(
                "pinnace: {} bytes of this log were dropped: {}",
                dropped.bytes,
                std::io::Error::from(dropped.why)
            );
            let mut note = Vec::with_capacity(text.len() + 64);
            let stamp = rfc3339_nanos(SystemTime::now());
            put(&mut note, &stamp, StreamName::Stderr, true, text.as_bytes());
            if let Err(why) = self.write_whole(&note) {
                self.drop_records(records.len(), why);
                return;
            }
            self.dropped = None;
        }
        if let Err((lost, why)) = self.write_whole(records).map_err(|why| (records, why)) {
            self.save_what_fits(lost, why);
        }
    }

    /// Records one by one, until one does not fit.
    fn save_what_fits(&mut self, records: &[u8], why: Errno) {
        let mut lost = 0;
        for record in records.split_inclusive(|byte| *byte == b'\n') {
            if lost > 0 || self.write_whole(record).is_err() {
                lost += record.len();
            }
        }
        if lost > 0 {
            self.drop_records(lost, why);
        }
    }

    fn drop_records(&mut self, bytes: usize, why: Errno) {
        let before = self.dropped_bytes();
        self.dropped = Some(Dropped {
            bytes: before + bytes as u64,
            why,
        });
    }

    /// All of `bytes` or nothing of them.
    fn write_whole(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let mut written = 0;
        let failure = loop {
            match rustix::io::write(&self.file, &bytes[written..]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => continue,
                Err(why) => break why,
            }
            if written == bytes.len() {
                self.size_bytes += written as u64;
                return Ok(());
            }
        };
        if written > 0 {
            // The file's own length is asked for, in case somebody else has emptied it meanwhile.
            let end = length(&self.file).unwrap_or(0).saturating_sub(written as u64);
            if rustix::fs::ftruncate(&self.file, end).is_ok() {
                self.size_bytes = end;
            }
        }
        Err(failure)
    }

    fn rotate(&mut self) {
        if self.place.is_gone() {
            return self.begin_anew();
        }
        let Some(rotated) = self.place.move_away() else {
            // It grows on; the next line tries again.
            return;
        };
        match self.place.open_current() {
            Ok(file) => {
                self.file = file;
                self.size_bytes = 0;
                self.place.remove_excess();
            }
            // No new file can be had: the old one is the current one again.
            Err(_) => self.place.move_back(&rotated),
        }
    }

    /// Somebody has moved the file away or removed it: nothing is left here to be rotated.
    fn begin_anew(&mut self) {
        match self.place.open_current() {
            Ok(file) => self.file = file,
            // Its directory has gone too. What nobody can ever read gives its room back at least.
            Err(_) if is_unlinked(&self.file) => drop(rustix::fs::ftruncate(&self.file, 0)),
            Err(_) => {}
        }
        self.size_bytes = length(&self.file).unwrap_or(self.size_bytes);
    }
}

fn is_unlinked(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink == 0)
}

fn length(file: &OwnedFd) -> Result<u64, Errno> {
    rustix::fs::seek(file, SeekFrom::End(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::super::record::{PREFIX_LEN, Splitter};
    use super::*;

    const STAMP: &str = "2026-01-02T03:04:05.123456789Z";

    fn log_in(directory: &Path, max_size_bytes: u64, max_files: u32) -> LogFile {
        let path = directory.join("0.log");
        LogFile::open(&LogTarget {
            path,
            max_size_bytes,
            max_files,
        })
        .unwrap()
    }

    /// Rotated files first, oldest to newest.
    fn files(directory: &Path) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        all.sort_by_key(|path| (path.ends_with("0.log"), path.clone()));
        all
    }

    #[test]
    fn a_million_lines_pass_rotations_and_none_is_lost_torn_or_doubled() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log_in(directory.path(), 3 << 20, 1000);
        let mut splitter = Splitter::new(StreamName::Stdout);
        let input: Vec<u8> = (0..1_000_000u32)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let mut batch = Vec::new();
        for chunk in input.chunks(65_537) {
            splitter.feed(chunk, STAMP, &mut batch);
            log.append(&batch);
            batch.clear();
        }
        let files = files(directory.path());
        assert!(files.len() > 10, "only {} files", files.len());
        let mut expected = 0u32;
        for (index, path) in files.iter().enumerate() {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.ends_with('\n'), "{} ends within a line", path.display());
            if index + 1 < files.len() {
                assert!(text.len() >= 3 << 20 && text.len() < (3 << 20) + 100);
            }
            for line in text.lines() {
                assert_eq!(
                    line[PREFIX_LEN..],
                    format!("line {expected}"),
                    "in {}",
                    path.display()
                );
                expected += 1;
            }
        }
        assert_eq!(expected, 1_000_000);
    }

    #[test]
    fn a_file_that_somebody_removed_is_begun_anew_when_its_rotation_is_due() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log_in(directory.path(), 1000, 100);
        let mut batch = Vec::new();
        put(&mut batch, STAMP, StreamName::Stdout, true, &[b'a'; 990]);
        log.append(&batch);
        fs::remove_file(directory.path().join("0.log")).unwrap();
        batch.clear();
        put(&mut batch, STAMP, StreamName::Stdout, true, b"after");
        log.append(&batch);
        let files = files(directory.path());
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(fs::read_to_string(&files[0]).unwrap().ends_with(" after\n"));
    }

    #[test]
    fn a_file_whose_directory_went_too_does_not_grow_unseen() {
        let directory = tempfile::tempdir().unwrap();
        let pod = directory.path().join("pod");
        fs::create_dir(&pod).unwrap();
        let mut log = log_in(&pod, 1000, 100);
        fs::remove_dir_all(&pod).unwrap();
        let mut batch = Vec::new();
        put(&mut batch, STAMP, StreamName::Stdout, true, &[b'a'; 100]);
        for _ in 0..1000 {
            log.append(&batch);
        }
        assert!(length(&log.file).unwrap() < 2000);
    }

    #[test]
    fn only_the_newest_files_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("0.log.old-notes"), "not ours").unwrap();
        fs::write(
            directory.path().join("10.log.20260102-030405"),
            "another container's",
        )
        .unwrap();
        let mut log = log_in(directory.path(), 1000, 3);
        let mut batch = Vec::new();
        for n in 0..500 {
            put(
                &mut batch,
                STAMP,
                StreamName::Stdout,
                true,
                format!("{n}").as_bytes(),
            );
            log.append(&batch);
            batch.clear();
        }
        let kept: Vec<PathBuf> = files(directory.path())
            .into_iter()
            .filter(|path| {
                !path.to_str().unwrap().contains("old-notes") && !path.to_str().unwrap().contains("10.log")
            })
            .collect();
        assert_eq!(kept.len(), 3);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 5);
        let numbers: Vec<u32> = kept
            .iter()
            .flat_map(|path| {
                fs::read_to_string(path)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .map(|line| line[PREFIX_LEN..].parse().unwrap())
            .collect();
        let first = numbers[0];
        assert!(numbers.iter().copied().eq(first..500), "not the newest in a row");
    }

    #[test]
    fn a_line_of_several_records_stays_in_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log_in(directory.path(), 1000, 100);
        let mut batch = Vec::new();
        put(&mut batch, STAMP, StreamName::Stdout, false, &[b'a'; 900]);
        put(&mut batch, STAMP, StreamName::Stderr, true, &[b'b'; 200]);
        put(&mut batch, STAMP, StreamName::Stdout, true, &[b'a'; 10]);
        put(&mut batch, STAMP, StreamName::Stdout, true, b"next");
        log.append(&batch);
        let files = files(directory.path());
        assert_eq!(files.len(), 2);
        assert_eq!(fs::read_to_string(&files[0]).unwrap().lines().count(), 3);
        assert!(fs::read_to_string(&files[1]).unwrap().ends_with("next\n"));
    }

    #[test]
    fn a_line_without_an_end_is_rotated_at_twice_the_size() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log_in(directory.path(), 1000, 100);
        let mut batch = Vec::new();
        for _ in 0..10 {
            put(&mut batch, STAMP, StreamName::Stdout, false, &[b'a'; 500]);
        }
        log.append(&batch);
        let sizes: Vec<u64> = files(directory.path())
            .iter()
            .map(|p| p.metadata().unwrap().len())
            .collect();
        assert!(
            sizes.len() > 1 && sizes.iter().all(|size| *size < 2600),
            "{sizes:?}"
        );
    }

    #[test]
    fn a_full_disk_tears_no_record_and_is_told_of_when_there_is_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let mount = directory.path().join("small");
        fs::create_dir(&mount).unwrap();
        nix::mount::mount(
            Some("tmpfs"),
            &mount,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some("size=64k"),
        )
        .expect("mounting a tmpfs needs CAP_SYS_ADMIN");
        let result = std::panic::catch_unwind(|| fill_and_recover(&mount));
        nix::mount::umount2(&mount, nix::mount::MntFlags::MNT_DETACH).unwrap();
        result.unwrap();
    }

    fn fill_and_recover(mount: &Path) {
        fs::write(mount.join("ballast"), [0; 20_000]).unwrap();
        let mut log = log_in(mount, 1 << 30, 2);
        let mut batch = Vec::new();
        let mut sent = 0;
        while sent < 1000 {
            for _ in 0..50 {
                let text = format!("line {sent} {}", "x".repeat(60));
                put(&mut batch, STAMP, StreamName::Stdout, true, text.as_bytes());
                sent += 1;
            }
            log.append(&batch);
            batch.clear();
        }
        let lost = log.dropped_bytes();
        assert!(lost > 10_000, "the disk was not full");
        fs::remove_file(mount.join("ballast")).unwrap();
        put(&mut batch, STAMP, StreamName::Stdout, true, b"after");
        log.append(&batch);
        assert_eq!(log.dropped_bytes(), 0);
        let text = fs::read_to_string(mount.join("0.log")).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| &line[PREFIX_LEN..]).collect();
        let (after, lines) = lines.split_last().unwrap();
        let (note, lines) = lines.split_last().unwrap();
        assert_eq!(*after, "after");
        assert!(note.starts_with(&format!("pinnace: {lost} bytes")), "{note}");
        for (index, line) in lines.iter().enumerate() {
            assert!(
                line.starts_with(&format!("line {index} ")) && line.ends_with("xxx"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_torn_end_left_by_a_killed_writer_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("0.log"), "2026-01-02T03:04:05.1234").unwrap();
        let mut log = log_in(directory.path(), 1000, 2);
        let mut batch = Vec::new();
        put(&mut batch, STAMP, StreamName::Stdout, true, b"next");
        log.append(&batch);
        let text = fs::read_to_string(directory.path().join("0.log")).unwrap();
        assert_eq!(text.lines().count(), 2);
        let modes: BTreeMap<_, _> = files(directory.path())
            .iter()
            .map(|path| (path.clone(), path.metadata().unwrap().is_file()))
            .collect();
        assert_eq!(modes.len(), 1);
    }
}
