//! `pinnace logs`: reads the files themselves, so it works without the agent too.

mod files;
mod line;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinnace_api::Namespace;
use pinnace_sys::Layout;

pub use files::{ContainerLogs, FindError};
use line::{Printer, parse, read_line};

use crate::cli::LogsArgs;

/// How often a followed file is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);
/// How many looks pass between two questions whether the container still runs.
const LOOKS_PER_QUESTION: u32 = 10;

/// Why `logs` failed.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// No such log.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A file could not be read.
    #[error("read the log {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output is closed or full.
    #[error("write to standard output")]
    Write(#[source] io::Error),
}

/// Prints what the arguments ask for. `runs` tells whether the instance still runs; a followed log ends with
/// its container.
pub fn run(
    layout: &Layout,
    args: &LogsArgs,
    container: Option<&str>,
    since: Option<&str>,
    runs: &dyn Fn(&ContainerLogs, u32) -> bool,
    out: &mut impl Write,
) -> Result<(), LogsError> {
    let target = &args.target;
    let logs = ContainerLogs::find(
        &layout.pod_logs(),
        target.namespace.as_ref().map(Namespace::as_str),
        &target.pod,
        container,
    )?;
    let instance = logs.instance(args.previous)?;
    let mut reader = Reader {
        printer: Printer::new(args.timestamps),
        since: since.map(str::to_owned),
    };
    let mut tail = Tail {
        most: args.tail.0,
        lines: VecDeque::new(),
    };
    // The current file is opened before the list is made: a rotation in between loses nothing.
    let mut followed = Followed::open(logs.current(instance))?;
    let all = logs.all(instance)?;
    reader.drain_before(&followed, &all, &mut tail, out)?;
    followed.drain(&mut reader, &mut tail, out)?;
    tail.flush(&mut reader.printer, out)?;
    if args.follow && !args.previous {
        follow(&logs, instance, followed, &mut reader, runs, out)?;
    }
    out.flush().map_err(LogsError::Write)
}

fn follow(
    logs: &ContainerLogs,
    instance: u32,
    mut followed: Followed,
    reader: &mut Reader,
    runs: &dyn Fn(&ContainerLogs, u32) -> bool,
    out: &mut impl Write,
) -> Result<(), LogsError> {
    let mut tail = Tail {
        most: None,
        lines: VecDeque::new(),
    };
    for look in 1_u32.. {
        let ended = look % LOOKS_PER_QUESTION == 0 && !runs(logs, instance);
        followed.drain(reader, &mut tail, out)?;
        if !followed.is(&logs.current(instance)) {
            followed.drain(reader, &mut tail, out)?;
            followed = catch_up(logs, instance, followed, reader, &mut tail, out)?;
        }
        out.flush().map_err(LogsError::Write)?;
        if ended {
            break;
        }
        std::thread::sleep(FOLLOW_INTERVAL);
    }
    Ok(())
}

/// Goes on to the current file, past all that were begun and rotated away since the followed one was current.
fn catch_up(
    logs: &ContainerLogs,
    instance: u32,
    followed: Followed,
    reader: &mut Reader,
    tail: &mut Tail,
    out: &mut impl Write,
) -> Result<Followed, LogsError> {
    let mut current = match Followed::open(logs.current(instance)) {
        // Between the two steps of a rotation there is none.
        Err(LogsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(followed);
        }
        opened => opened?,
    };
    let all = logs.all(instance)?;
    // Where it is not listed it has been removed, and all that was older before it.
    let newer = all
        .iter()
        .position(|path| followed.is(path))
        .map_or(0, |at| at + 1);
    reader.drain_before(&current, all.get(newer..).unwrap_or_default(), tail, out)?;
    current.drain(reader, tail, out)?;
    Ok(current)
}

/// The current file, known by its inode: it keeps it when it is rotated away.
struct Followed {
    path: PathBuf,
    inode: u64,
    lines: BufReader<File>,
    half: Vec<u8>,
}

impl Followed {
    fn open(path: PathBuf) -> Result<Self, LogsError> {
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.ino(), file)));
        match opened {
            Ok((inode, file)) => Ok(Self {
                path,
                inode,
                lines: BufReader::with_capacity(64 << 10, file),
                half: Vec::new(),
            }),
            Err(source) => Err(LogsError::Read { path, source }),
        }
    }

    fn is(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|meta| meta.ino() == self.inode)
    }

    fn drain(&mut self, reader: &mut Reader, tail: &mut Tail, out: &mut impl Write) -> Result<(), LogsError> {
        reader.drain(&self.path, &mut self.lines, &mut self.half, tail, out)
    }
}

struct Reader {
    printer: Printer,
    since: Option<String>,
}

impl Reader {
    /// Hands on what is in those of `all`, listed by age, that are older than `current`.
    fn drain_before(
        &mut self,
        current: &Followed,
        all: &[PathBuf],
        tail: &mut Tail,
        out: &mut impl Write,
    ) -> Result<(), LogsError> {
        for path in all {
            // Under the name of the current file there may be a newer one by now.
            if current.is(path) || *path == current.path {
                break;
            }
            // The oldest may have been removed since they were listed.
            let Ok(file) = File::open(path) else { continue };
            let mut lines = BufReader::with_capacity(64 << 10, file);
            self.drain(path, &mut lines, &mut Vec::new(), tail, out)?;
        }
        Ok(())
    }

    /// Hands every whole line on; half a line stays in `half` for the next time.
    fn drain(
        &mut self,
        path: &Path,
        lines: &mut BufReader<File>,
        half: &mut Vec<u8>,
        tail: &mut Tail,
        out: &mut impl Write,
    ) -> Result<(), LogsError> {
        loop {
            let whole = read_line(lines, half).map_err(|source| LogsError::Read {
                path: path.to_owned(),
                source,
            })?;
            if !whole {
                return Ok(());
            }
            if self.is_wanted(half) {
                match tail.most {
                    None => self.printer.print(half, out).map_err(LogsError::Write)?,
                    Some(_) => tail.push(half),
                }
            }
            half.clear();
        }
    }

    fn is_wanted(&self, line: &[u8]) -> bool {
        match (&self.since, parse(line)) {
            (Some(since), Some(parsed)) => parsed.time >= since.as_bytes(),
            _ => true,
        }
    }
}

/// The last lines, where only those are wanted.
struct Tail {
    most: Option<usize>,
    lines: VecDeque<Vec<u8>>,
}

impl Tail {
    fn push(&mut self, line: &[u8]) {
        let most = self.most.unwrap_or(usize::MAX);
        if most == 0 {
            return;
        }
        if self.lines.len() >= most {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_vec());
    }

    fn flush(&mut self, printer: &mut Printer, out: &mut impl Write) -> Result<(), LogsError> {
        for line in self.lines.drain(..) {
            printer.print(&line, out).map_err(LogsError::Write)?;
        }
        self.most = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Verb};
    use clap::Parser;

    fn args(words: &str) -> LogsArgs {
        match Cli::parse_from(["pinnace", "logs"].into_iter().chain(words.split_whitespace())).verb {
            Verb::Logs(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn print(layout: &Layout, words: &str, since: Option<&str>) -> String {
        let mut out = Vec::new();
        run(layout, &args(words), None, since, &|_, _| false, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tail_since_and_previous_select_lines_across_rotated_files() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path());
        let dir = layout.pod_logs().join("default_web_u/app");
        std::fs::create_dir_all(&dir).unwrap();
        let line = |second: u32| format!("2026-01-02T03:04:{second:02}.000000000Z stdout F line {second}\n");
        std::fs::write(dir.join("0.log"), "2026-01-01T00:00:00.000000000Z stdout F old\n").unwrap();
        std::fs::write(dir.join("1.log.20260102-030402"), [line(1), line(2)].concat()).unwrap();
        std::fs::write(dir.join("1.log"), [line(3), line(4)].concat()).unwrap();
        assert_eq!(print(&layout, "web", None), "line 1\nline 2\nline 3\nline 4\n");
        assert_eq!(print(&layout, "web --tail 3", None), "line 2\nline 3\nline 4\n");
        assert_eq!(print(&layout, "web --tail 0", None), "");
        assert_eq!(print(&layout, "web", Some("2026-01-02T03:04:03.5")), "line 4\n");
        assert_eq!(print(&layout, "web --previous", None), "old\n");
        assert_eq!(print(&layout, "-f web", None), "line 1\nline 2\nline 3\nline 4\n");
    }
}
