//! The trial of one OCI runtime.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::{Doing, Layout, SysError, file, tree};

use crate::spec::{oci, seccomp};

/// The trial of one command takes some 50 ms; this only keeps a start from waiting for ever.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);
/// How the names of a trial's bundle and container begin.
const PREFIX: &str = "probe-";
/// Of what a runtime complains, this much is kept.
const MAX_COMPLAINT: usize = 600;

/// Why a runtime is of no use here.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The bundle could not be made.
    #[error("prepare the trial")]
    Prepare(#[from] SysError),
    /// The program could not be executed.
    #[error("execute {program}")]
    Execute {
        /// The program.
        program: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// It hangs.
    #[error("{command}: not done within {} s", LIMIT.as_secs())]
    TimedOut {
        /// The OCI command.
        command: &'static str,
    },
    /// It answered that it cannot.
    #[error("{command}: {complaint}")]
    Failed {
        /// The OCI command.
        command: &'static str,
        /// The end of what it wrote to its standard error.
        complaint: String,
    },
}

/// Creates and deletes a container; leaves nothing behind, also where it fails, and takes away what an agent left
/// that was killed at it.
pub fn probe(program: &Path, layout: &Layout, with_seccomp: bool) -> Result<(), ProbeError> {
    if let Err(error) = sweep(layout) {
        tracing::warn!(%error, "left behind by an earlier trial of an OCI runtime");
    }
    let name = format!("{PREFIX}{}-{}", std::process::id(), pinnace_sys::random::uuid()?);
    let bundle = layout.run().join(&name);
    let outcome = try_in(program, layout, &bundle, &name, with_seccomp);
    if let Err(error) = tree::remove_tree(&bundle) {
        tracing::warn!(%error, "left behind by the trial of an OCI runtime");
    }
    outcome
}

/// The bundle is made before the cgroup and removed after it, so it tells of both. There is one agent of a root only.
fn sweep(layout: &Layout) -> Result<(), SysError> {
    let run = layout.run();
    for entry in fs::read_dir(&run).doing_on("list", &run)? {
        let name = entry.doing_on("list", &run)?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let group = Cgroups::detect()?.group(cgroup_of(layout, name))?;
        if group.exists() {
            group.kill(LIMIT)?;
            group.remove(LIMIT)?;
        }
        tree::remove_tree(&run.join(name))?;
    }
    Ok(())
}

/// One level, so that deleting the container removes all of it.
fn cgroup_of(layout: &Layout, name: &str) -> String {
    format!("pinnace{}-{name}", layout.tag())
}

fn try_in(
    program: &Path,
    layout: &Layout,
    bundle: &Path,
    name: &str,
    with_seccomp: bool,
) -> Result<(), ProbeError> {
    let root = bundle.join("rootfs");
    // crun opens /dev before it mounts anything there.
    file::create_dir_all(&root.join("dev"), 0o755)?;
    // Created only, so never executed: that it may be executed is all that is looked at.
    let command = root.join("probe");
    file::write_replace(&command, b"#!/probe\n", 0o755)?;
    let spec = specification(&root, layout, name, with_seccomp);
    let text = serde_json::to_vec(&spec).map_err(|error| {
        SysError::new(
            "write",
            bundle.join("config.json").display(),
            io::Error::other(error),
        )
    })?;
    file::write_replace(&bundle.join("config.json"), &text, 0o600)?;
    let created = run(
        program,
        bundle,
        "create",
        &["--bundle", &bundle.to_string_lossy(), name],
    );
    let deleted = run(program, bundle, "delete", &["--force", name]);
    created.and(deleted)
}

fn specification(root: &Path, layout: &Layout, name: &str, with_seccomp: bool) -> oci::Spec {
    let made = |kind| oci::Namespace { kind, path: None };
    let mount = |destination: &str, kind: &str| oci::Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: kind.to_owned(),
        options: vec!["nosuid".to_owned(), "noexec".to_owned(), "nodev".to_owned()],
    };
    oci::Spec {
        oci_version: oci::OCI_VERSION,
        process: oci::Process {
            terminal: false,
            console_size: None,
            user: oci::User::default(),
            args: vec!["/probe".to_owned()],
            env: Vec::new(),
            cwd: "/".to_owned(),
            capabilities: oci::Capabilities::default(),
            no_new_privileges: false,
            oom_score_adj: None,
        },
        root: oci::Root {
            path: root.to_string_lossy().into_owned(),
            readonly: false,
        },
        mounts: vec![mount("/proc", "proc"), mount("/sys/fs/cgroup", "cgroup")],
        annotations: BTreeMap::new(),
        linux: oci::Linux {
            namespaces: ["mount", "pid", "network", "ipc", "uts"].map(made).to_vec(),
            cgroups_path: format!("/{}", cgroup_of(layout, name)),
            resources: oci::Resources {
                devices: vec![oci::DeviceRule {
                    allow: false,
                    access: "rwm",
                }],
                memory: Some(oci::Memory {
                    limit: Some(256 << 20),
                    swap: None,
                }),
                pids: Some(oci::Pids { limit: 64 }),
                ..oci::Resources::default()
            },
            devices: Vec::new(),
            masked_paths: Vec::new(),
            readonly_paths: Vec::new(),
            rootfs_propagation: None,
            seccomp: match with_seccomp {
                true => seccomp::Filter::Default.resolve(std::env::consts::ARCH, &[]),
                false => None,
            },
        },
    }
}

fn run(program: &Path, bundle: &Path, command: &'static str, args: &[&str]) -> Result<(), ProbeError> {
    let failed = |source| ProbeError::Execute {
        program: program.to_owned(),
        source,
    };
    let complaints = bundle.join("stderr");
    let open = || {
        File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&complaints)
    };
    // A file and no pipe: what the runtime leaves running holds it open.
    let mut output = open().map_err(failed)?;
    output
        .set_permissions(fs::Permissions::from_mode(0o600))
        .map_err(failed)?;
    let mut child = Command::new(program)
        .arg("--root")
        .arg(bundle.join("state"))
        .arg(command)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let Some(status) = wait(&mut child).map_err(failed)? else {
        return Err(ProbeError::TimedOut { command });
    };
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    output.rewind().map_err(failed)?;
    // What is no text is of no use in a message.
    let _ = output.take(64 << 10).read_to_string(&mut text);
    Err(ProbeError::Failed {
        command,
        complaint: tail(&text, status),
    })
}

fn wait(child: &mut std::process::Child) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

fn tail(text: &str, status: ExitStatus) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skip = words.chars().count().saturating_sub(MAX_COMPLAINT);
    let end: String = words.chars().skip(skip).collect();
    if end.is_empty() { status.to_string() } else { end }
}
