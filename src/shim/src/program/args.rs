//! The command line, as containerd writes it: Go's flags, then one action.

use std::ffi::OsString;
use std::path::PathBuf;

/// What `reaper` is told on its standard input once it is where it shall be. An end without it means that whoever
/// started it is gone.
pub const REAPER_GO: &[u8] = b"go";

/// What is to be done, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Args {
    /// containerd's namespace; part of the OCI runtime's state directory.
    pub namespace: String,
    /// The caller's own address; told apart by it are two callers' shims of one id.
    pub address: String,
    /// The container's id.
    pub id: String,
    /// The bundle, the working directory where absent.
    pub bundle: Option<PathBuf>,
    /// The node's root directory.
    pub root: Option<PathBuf>,
    /// `namespace/name` of the pod, for people who look at the process list.
    pub pod: String,
    /// Say more in the bundle's log.
    pub debug: bool,
    /// The socket's path, given by `start` to the process that serves.
    pub socket: Option<PathBuf>,
    /// The one word that is no flag.
    pub action: Action,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Action {
    /// Start a shim, or join one.
    Start,
    /// Clean up after a dead shim.
    Delete,
    /// Be the shim: what `start` runs.
    Serve,
    /// Make a PID namespace and its first process for the sandbox in this folder.
    Reaper(PathBuf),
    /// Write a log for another shim.
    Log(String),
    /// Print the version.
    #[default]
    Version,
}

/// A command line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Not text.
    #[error("argument {0:?} is not UTF-8")]
    NotUtf8(OsString),
    /// No such flag.
    #[error("flag {0} is not known")]
    UnknownFlag(String),
    /// A flag at the end.
    #[error("flag {0} needs a value")]
    NoValue(String),
    /// No such action, or none.
    #[error("one of start, delete and log is wanted, not {0:?}")]
    Action(String),
    /// Not a name that can go into paths and command lines.
    #[error(
        "{what} {text:?} must be 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit"
    )]
    Name {
        /// Which.
        what: &'static str,
        /// As given.
        text: String,
    },
}

/// Whether a text can be a container's id, an exec's id or a namespace: safe in paths and command lines.
pub fn is_identifier(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=128).contains(&text.len())
        && text.bytes().all(inner)
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
}

impl Args {
    /// Reads the arguments after the program's name.
    pub fn parse(given: impl IntoIterator<Item = OsString>) -> Result<Self, ArgsError> {
        let mut args = Self::default();
        let mut words = Vec::new();
        let mut given = given
            .into_iter()
            .map(|word| word.into_string().map_err(ArgsError::NotUtf8));
        while let Some(word) = given.next().transpose()? {
            match word.strip_prefix('-') {
                Some(flag) => {
                    let flag = flag.strip_prefix('-').unwrap_or(flag);
                    args.flag(flag, &mut given)?;
                }
                None => words.push(word),
            }
        }
        if args.action == Action::Version && !words.is_empty() {
            args.action = action(&words)?;
        }
        args.checked()
    }

    fn flag(
        &mut self,
        flag: &str,
        rest: &mut impl Iterator<Item = Result<String, ArgsError>>,
    ) -> Result<(), ArgsError> {
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        if matches!(name, "debug" | "v" | "version") {
            self.debug |= name == "debug" && value.as_deref() != Some("false");
            return Ok(());
        }
        let mut value = || match &value {
            Some(value) => Ok(value.clone()),
            None => rest
                .next()
                .unwrap_or_else(|| Err(ArgsError::NoValue(name.to_owned()))),
        };
        match name {
            "namespace" => self.namespace = value()?,
            "address" => self.address = value()?,
            "id" => self.id = value()?,
            "bundle" => self.bundle = Some(value()?.into()).filter(|path: &PathBuf| path.has_root()),
            "root" => self.root = Some(value()?.into()),
            "pod" => self.pod = value()?,
            "socket" => self.socket = Some(value()?.into()),
            // Told of for containerd's other ways to publish events; we use its socket.
            "publish-binary" => drop(value()?),
            _ => return Err(ArgsError::UnknownFlag(flag.to_owned())),
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, ArgsError> {
        if !matches!(self.action, Action::Start | Action::Delete | Action::Serve) {
            return Ok(self);
        }
        for (what, text) in [("namespace", &self.namespace), ("id", &self.id)] {
            if !is_identifier(text) {
                return Err(ArgsError::Name {
                    what,
                    text: text.chars().take(200).collect(),
                });
            }
        }
        Ok(self)
    }
}

fn action(words: &[String]) -> Result<Action, ArgsError> {
    match words {
        [word] if word == "start" => Ok(Action::Start),
        [word] if word == "delete" => Ok(Action::Delete),
        [word] if word == "serve" => Ok(Action::Serve),
        [word, folder] if word == "reaper" => Ok(Action::Reaper(folder.into())),
        [word, uri] if word == "log" => Ok(Action::Log(uri.clone())),
        words => Err(ArgsError::Action(words.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, ArgsError> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn containerds_command_line_is_read() {
        let args = parse(
            "-namespace k8s.io -address /run/a.sock -publish-binary /usr/bin/c -id abc -debug \
             --root=/srv -pod ns/web start",
        )
        .unwrap();
        assert_eq!(args.action, Action::Start);
        assert_eq!(
            (args.namespace.as_str(), args.id.as_str(), args.debug),
            ("k8s.io", "abc", true)
        );
        assert_eq!((args.root, args.pod.as_str()), (Some("/srv".into()), "ns/web"));
        let args = parse("-namespace n -id a -bundle /b delete").unwrap();
        assert_eq!((args.action, args.bundle), (Action::Delete, Some("/b".into())));
        assert_eq!(
            parse("log pinnace-log:///x").unwrap().action,
            Action::Log("pinnace-log:///x".into())
        );
        assert_eq!(parse("-v").unwrap().action, Action::Version);
    }

    #[test]
    fn what_could_climb_out_of_a_directory_is_no_id() {
        for id in ["..", "a/b", "-x", "", ".a", "a b"] {
            let given = ["-namespace", "n", "-id", id, "start"].map(OsString::from);
            assert!(
                matches!(Args::parse(given), Err(ArgsError::Name { what: "id", .. })),
                "{id}"
            );
        }
        assert!(matches!(parse("-namespace n -id"), Err(ArgsError::NoValue(_))));
        assert!(matches!(
            parse("-nonsense x start"),
            Err(ArgsError::UnknownFlag(_))
        ));
        assert!(matches!(
            parse("-namespace n -id a begin"),
            Err(ArgsError::Action(_))
        ));
    }
}
