//! What a container says of its own end: the file that was bound into it, or else the end of its log.
//!
//! Both lie in directories of the node's, under names that a container cannot turn elsewhere: what it can
//! change is their content alone, of which a bounded part is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use pinnace_api::pod::{Container, PodSpec};
use serde::{Deserialize, Serialize};

/// Of a container's message, this much is kept, as by the kubelet.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Of all messages of a pod, likewise; each container has its share.
const MAX_POD_BYTES: usize = 12 << 10;
/// Of a log, no more lines and no more text become a message.
const MAX_LOG_LINES: usize = 80;
const MAX_LOG_BYTES: usize = 2048;
/// More than a line of the log takes, of which one may be cut off at the beginning.
const LOG_WINDOW_BYTES: usize = 64 << 10;

/// How a container's message is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRule {
    /// The container's share of what its pod may say.
    pub limit_bytes: usize,
    /// Where the file is empty and the container failed, its log's end is the message.
    pub fall_back_to_logs: bool,
}

impl Default for MessageRule {
    fn default() -> Self {
        Self {
            limit_bytes: MAX_MESSAGE_BYTES,
            fall_back_to_logs: false,
        }
    }
}

impl MessageRule {
    /// The rule for one container of a pod.
    pub fn of(container: &Container, spec: &PodSpec) -> Self {
        let share = MAX_POD_BYTES / spec.all_containers().count().max(1);
        Self {
            limit_bytes: share.min(MAX_MESSAGE_BYTES),
            fall_back_to_logs: container.termination_message.fall_back_to_logs,
        }
    }

    /// The message of a container that ended with this code.
    pub fn read(self, exit_code: i32, file: &Path, log: &Path) -> String {
        let mut text = match end_of(file, MAX_MESSAGE_BYTES) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return format!("Error on reading termination log {}: {error}", file.display()),
        };
        if text.is_empty() && self.fall_back_to_logs && exit_code != 0 {
            text = log_end(log);
        }
        cut(&mut text, self.limit_bytes);
        text
    }
}

/// The last bytes of a regular file.
fn end_of(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_NOCTTY;
    let mut file = File::options().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    file.seek(SeekFrom::Start(meta.len().saturating_sub(most as u64)))?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last lines of a log in the CRI format, as the container wrote them; empty where it cannot be read.
fn log_end(log: &Path) -> String {
    let Ok(bytes) = end_of(log, LOG_WINDOW_BYTES) else {
        return String::new();
    };
    let whole = match bytes.len() < LOG_WINDOW_BYTES {
        true => &bytes[..],
        // The first line began before what was read.
        false => after_first_line(&bytes),
    };
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let mut text = Vec::new();
    for line in lines.iter().skip(lines.len().saturating_sub(MAX_LOG_LINES)) {
        // `STAMP STREAM TAG TEXT`; a line that is not so was not written by a shim.
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let Some((tag, said)) = fields.nth(2).zip(fields.next()) else {
            continue;
        };
        text.extend_from_slice(match tag {
            b"P" => said.strip_suffix(b"\n").unwrap_or(said),
            _ => said,
        });
    }
    let from = text.len().saturating_sub(MAX_LOG_BYTES);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

/// What follows the first line's end; nothing where there is none.
fn after_first_line(bytes: &[u8]) -> &[u8] {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => &bytes[end + 1..],
        None => &[],
    }
}

/// Cuts to so many bytes, at a letter's end.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;

    const RULE: MessageRule = MessageRule {
        limit_bytes: MAX_MESSAGE_BYTES,
        fall_back_to_logs: true,
    };

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    fn log(lines: impl Iterator<Item = (char, String)>) -> tempfile::NamedTempFile {
        let lines = lines.map(|(tag, text)| format!("2026-01-01T00:00:00.000000000Z stdout {tag} {text}\n"));
        written(&lines.collect::<String>())
    }

    #[test]
    fn the_end_of_the_file_is_the_message_and_no_more_than_the_containers_share() {
        let file = written(&format!("{}end", "x".repeat(5000)));
        let message = RULE.read(1, file.path(), Path::new("/nowhere"));
        assert!(message.len() == 4096 && message.ends_with("end"));
        let share = MessageRule {
            limit_bytes: 3,
            ..RULE
        };
        let file = written("aéé");
        assert_eq!(share.read(0, file.path(), Path::new("/nowhere")), "aé");
        let file = written("éé");
        assert_eq!(share.read(0, file.path(), Path::new("/nowhere")), "é");
    }

    #[test]
    fn the_log_speaks_only_for_a_failure_that_left_no_message() {
        let log = log([
            ('P', "a".to_owned()),
            ('F', "b".to_owned()),
            ('F', "c".to_owned()),
        ]
        .into_iter());
        let (empty, full) = (written(""), written("said"));
        assert_eq!(RULE.read(1, empty.path(), log.path()), "ab\nc\n");
        assert_eq!(RULE.read(1, Path::new("/nowhere"), log.path()), "ab\nc\n");
        assert_eq!(RULE.read(0, empty.path(), log.path()), "");
        assert_eq!(RULE.read(1, full.path(), log.path()), "said");
        let file_only = MessageRule {
            fall_back_to_logs: false,
            ..RULE
        };
        assert_eq!(file_only.read(1, empty.path(), log.path()), "");
    }

    #[test]
    fn of_a_log_the_last_eighty_lines_and_two_kibibytes_count() {
        let short = log((0..100).map(|number| ('F', number.to_string())));
        let message = RULE.read(1, Path::new("/nowhere"), short.path());
        assert!(
            message.starts_with("20\n21\n") && message.ends_with("99\n"),
            "{message}"
        );
        let long = log((0..10).map(|number| ('F', number.to_string().repeat(16 << 10))));
        let message = RULE.read(1, Path::new("/nowhere"), long.path());
        assert_eq!(message, format!("{}\n", "9".repeat(2047)));
    }

    #[test]
    fn a_link_in_the_files_place_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("termination-log");
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        let message = RULE.read(1, &link, Path::new("/nowhere"));
        assert!(
            message.starts_with("Error on reading termination log"),
            "{message}"
        );
    }

    #[test]
    fn a_pods_containers_share_twelve_kibibytes() {
        let one = |name: String| json!({"name": name, "image": "busybox"});
        let pod = |count: usize| {
            let all: Vec<_> = (0..count).map(|number| one(format!("c{number}"))).collect();
            testing::pod("web", json!({"containers": all}))
        };
        let limit = |count| MessageRule::of(&pod(count).spec.containers[0], &pod(count).spec).limit_bytes;
        assert_eq!((limit(1), limit(3), limit(4)), (4096, 4096, 3072));
    }
}
