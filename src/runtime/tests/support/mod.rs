//! A node of its own for each test: real shim, real OCI runtime, an image of busybox made by hand; and the
//! proof that nothing of it is left.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "a fixture: each test file uses its part, and a broken one fails its test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pinnace_api::pod::{Container, PodSpec};
use pinnace_api::{PodUid, testing};
use pinnace_core::environment::Invocation;
use pinnace_core::fake::sample;
use pinnace_core::network::PodAddresses;
use pinnace_core::pod::{Exit, InstanceState, Observed, PodIdentity};
use pinnace_core::ports::{ContainerRequest, ImageHandle, LogLimits, PodContext, PodRuntime, PortResult};
use pinnace_core::resources::{CgroupValues, QosClass};
use pinnace_core::time::WallMillis;
use pinnace_runtime::spec::ImageDefaults;
use pinnace_runtime::{ImageRoot, ImageRoots, Runtime, RuntimeConfig};
use pinnace_sys::Layout;
use serde_json::json;

pub const FOREIGN_SHIM: &str = "/usr/bin/containerd-shim-runc-v2";

/// The shim under test: `PINNACE_SHIM`, or the workspace's own, built if it is not.
pub fn own_shim() -> PathBuf {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        if let Some(path) = std::env::var_os("PINNACE_SHIM") {
            return PathBuf::from(path);
        }
        let profile = std::env::current_exe().expect("this test's path");
        let profile = profile
            .parent()
            .and_then(Path::parent)
            .expect("a profile's directory")
            .to_owned();
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build
            .args(["build", "--quiet", "-p", "pinnace-shim"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        build.env("CARGO_TARGET_DIR", profile.parent().expect("a target directory"));
        assert!(
            build.status().expect("cargo runs").success(),
            "pinnace-shim cannot be built"
        );
        profile.join("pinnace-shim")
    })
    .clone()
}

/// One image: busybox.
#[derive(Debug, Clone)]
pub struct Busybox(ImageRoot);

impl ImageRoots for Busybox {
    async fn root(&self, _: &ImageHandle) -> PortResult<ImageRoot> {
        Ok(self.0.clone())
    }
}

fn busybox(layer: &Path) -> Busybox {
    for folder in ["bin", "etc", "tmp", "proc", "dev", "sys", "data"] {
        fs::create_dir_all(layer.join(folder)).expect("a folder of the image");
    }
    fs::copy("/bin/busybox", layer.join("bin/busybox")).expect("busybox-static is installed");
    for name in [
        "sh", "sleep", "cat", "echo", "id", "env", "hostname", "head", "tail", "ls", "mount", "dd", "true",
    ] {
        symlink("busybox", layer.join("bin").join(name)).expect("a link");
    }
    fs::write(
        layer.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n",
    )
    .expect("passwd");
    fs::write(layer.join("etc/group"), "root:x:0:\nweb:x:33:app\n").expect("group");
    Busybox(ImageRoot {
        layers: vec![layer.to_owned()],
        defaults: ImageDefaults {
            cmd: vec!["/bin/sleep".to_owned(), "1000".to_owned()],
            env: vec!["OF_IMAGE=yes".to_owned(), "PATH=/bin".to_owned()],
            ..ImageDefaults::default()
        },
        stop_signal: None,
    })
}

/// A node under a root of its own.
pub struct Node {
    dir: tempfile::TempDir,
    pub layout: Layout,
    pub config: RuntimeConfig,
    image: Busybox,
    runtime: Option<Runtime<Busybox>>,
}

impl Node {
    /// With our own shim.
    pub async fn own() -> Self {
        Self::with(RuntimeConfig::new(own_shim())).await
    }

    /// With Debian's containerd's.
    pub async fn foreign() -> Self {
        assert!(
            Path::new(FOREIGN_SHIM).exists(),
            "{FOREIGN_SHIM} is not installed (package containerd)"
        );
        let config = RuntimeConfig {
            shim: FOREIGN_SHIM.into(),
            ..RuntimeConfig::new(own_shim())
        };
        Self::with(config).await
    }

    async fn with(config: RuntimeConfig) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "needs root: namespaces, mounts and cgroups are real"
        );
        let dir = tempfile::Builder::new()
            .prefix("pn")
            .tempdir()
            .expect("a directory");
        let layout = Layout::new(dir.path());
        let image = busybox(&layout.layers().join("busybox"));
        let mut node = Self {
            dir,
            layout,
            config,
            image,
            runtime: None,
        };
        node.open().await;
        node
    }

    async fn open(&mut self) {
        let opened = Runtime::open(self.config.clone(), self.layout.clone(), self.image.clone()).await;
        self.runtime = Some(opened.expect("an OCI runtime works here"));
    }

    pub fn runtime(&self) -> &Runtime<Busybox> {
        self.runtime.as_ref().expect("the runtime")
    }

    /// Ends the agent's part and begins it anew, as a restart does.
    pub async fn restart(&mut self) {
        self.runtime = None;
        self.open().await;
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Removes a pod as the engine does, and shows that nothing is left of it or of the node.
    pub async fn end(self, pods: &[&TestPod]) {
        for pod in pods {
            self.runtime()
                .remove_sandbox(&pod.context.uid)
                .await
                .expect("removed");
            self.runtime()
                .remove_sandbox(&pod.context.uid)
                .await
                .expect("removed already");
            self.runtime()
                .remove_logs(&pod.context.uid)
                .await
                .expect("logs removed");
        }
        assert_eq!(self.runtime().list().await.expect("a list"), Vec::new());
        self.runtime()
            .remove_empty_groups()
            .expect("no pod's cgroup is left");
        self.assert_nothing_left();
    }

    fn assert_nothing_left(&self) {
        let root = self.root().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        let mounts: Vec<_> = mounts.lines().filter(|line| line.contains(&root)).collect();
        assert!(mounts.is_empty(), "mounts are left: {mounts:?}");
        let tag = format!("pinnace-{}", self.layout.tag());
        for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("cgroups") {
            let path = hierarchy.expect("a hierarchy").path().join(&tag);
            assert!(!path.exists(), "{} is left", path.display());
        }
        eventually("all processes of the node are gone", || {
            processes_of(&root).is_empty().then_some(())
        });
        for folder in [
            self.layout.run().join("pods"),
            self.layout.state().join("writable"),
        ] {
            assert_eq!(names(&folder), Vec::<String>::new(), "{}", folder.display());
        }
        assert_eq!(names(&self.layout.pod_logs()), Vec::<String>::new());
        assert_eq!(names(&self.layout.container_log_links()), Vec::<String>::new());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

/// Processes, this one aside, whose command line or directory names the root.
fn processes_of(root: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if command.contains(root) || cwd.starts_with(root) {
            found.push((pid, command));
        }
    }
    found
}

impl Drop for Node {
    /// A test that fails ends its processes and mounts all the same.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let root = self.root().display().to_string();
        for (pid, _) in processes_of(&root) {
            let held = pinnace_sys::process::Pidfd::open(pid);
            let _ = held.and_then(|process| process.signal(9));
        }
        let limit = Duration::from_secs(5);
        let groups = pinnace_sys::cgroup::Cgroups::detect();
        if let Ok(group) = groups.and_then(|groups| groups.group(format!("pinnace-{}", self.layout.tag()))) {
            let _ = group.kill(limit);
            let _ = group.remove(limit);
        }
        let _ = pinnace_sys::mount::unmount_beneath(self.root());
    }
}

/// Looks until it is so, for some seconds at most.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "not within 10 s: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A container that runs a line of shell.
pub fn shell(name: &str, line: &str) -> Container {
    container(name, &["/bin/sh", "-c", line])
}

pub fn container(name: &str, command: &[&str]) -> Container {
    testing::container(
        name,
        json!({"image": "busybox", "imagePullPolicy": "Never", "command": command}),
    )
}

/// A pod and what the engine would know of it.
#[derive(Clone)]
pub struct TestPod {
    pub context: PodContext,
    pub identity: PodIdentity,
}

impl TestPod {
    pub fn new(name: &str, containers: Vec<Container>) -> Self {
        Self::changed(name, containers, |_| {})
    }

    pub fn changed(name: &str, containers: Vec<Container>, change: impl FnOnce(&mut PodSpec)) -> Self {
        let uid = PodUid::new(pinnace_sys::random::uuid().expect("randomness")).expect("a uid");
        let mut pod = testing::pod(name, json!({}));
        pod.spec.containers = containers;
        change(&mut pod.spec);
        let identity = sample::identity(uid.clone(), &pod, WallMillis(1));
        let pod_cgroup = CgroupValues {
            cpu_shares: Some(102),
            cpu_period_us: 100_000,
            ..CgroupValues::default()
        };
        Self {
            context: PodContext {
                uid,
                pod: Arc::new(pod),
                qos: QosClass::Burstable,
                pod_cgroup,
            },
            identity,
        }
    }

    fn command(&self, name: &str) -> Vec<String> {
        let container = self.context.pod.spec.container(&testing::name(name));
        container
            .map(|container| container.command.clone())
            .unwrap_or_default()
    }

    pub fn request(&self, name: &str, attempt: u32) -> ContainerRequest {
        ContainerRequest {
            name: testing::name(name),
            attempt,
            image: ImageHandle {
                id: "sha256:0".to_owned(),
                manifest_digest: "sha256:1".to_owned(),
                reference: "docker.io/library/busybox:latest".to_owned(),
            },
            mounts: Vec::new(),
            cgroup: CgroupValues {
                cpu_shares: Some(102),
                cpu_period_us: 100_000,
                memory_limit_bytes: Some(64 << 20),
                pids_limit: Some(100),
                ..CgroupValues::default()
            },
            oom_score_adj: 900,
            log: LogLimits {
                max_size_bytes: 10 << 20,
                max_files: 5,
            },
            invocation: Invocation {
                command: self.command(name),
                ..Invocation::default()
            },
            addresses: PodAddresses::default(),
        }
    }

    pub async fn create(&self, node: &Node) {
        node.runtime()
            .create_sandbox(&self.context, &self.identity, 0)
            .await
            .expect("a sandbox");
    }

    /// Creates and starts an instance.
    pub async fn run(&self, node: &Node, name: &str) -> u32 {
        self.run_request(node, &self.request(name, 0)).await
    }

    pub async fn run_request(&self, node: &Node, request: &ContainerRequest) -> u32 {
        if let Err(error) = node.runtime().create_container(&self.context, request).await {
            panic!("create: {}", error.chain());
        }
        match node
            .runtime()
            .start_container(&self.context.uid, &request.name, request.attempt)
            .await
        {
            Ok(pid) => pid,
            Err(error) => panic!("start: {}", error.chain()),
        }
    }

    pub async fn wait(&self, node: &Node, name: &str) -> Exit {
        let name = testing::name(name);
        let wait = node.runtime().wait_container(&self.context.uid, &name, 0);
        let waited = tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("an end in time");
        waited.unwrap_or_else(|error| panic!("wait: {}", error.chain()))
    }

    pub async fn observe(&self, node: &Node) -> Observed {
        let seen = node.runtime().observe(&self.context.uid).await;
        seen.unwrap_or_else(|error| panic!("observe: {}", error.chain()))
    }

    pub async fn state(&self, node: &Node, name: &str) -> InstanceState {
        let seen = self.observe(node).await.containers;
        seen.into_iter()
            .find(|seen| seen.name.as_str() == name)
            .expect("the instance")
            .state
    }

    /// Lines of a container's log, without stamp and tag.
    pub fn log(&self, node: &Node, name: &str) -> Vec<(String, String)> {
        let directory = format!("default_{}_{}", self.identity.name, self.context.uid);
        let path = node.layout.pod_logs().join(directory).join(name).join("0.log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.lines()
            .map(|line| {
                let mut fields = line.splitn(4, ' ');
                let (_, stream, _) = (fields.next(), fields.next(), fields.next());
                (
                    stream.unwrap_or("").to_owned(),
                    fields.next().unwrap_or("").to_owned(),
                )
            })
            .collect()
    }

    /// What a container wrote to its standard output, once it ended.
    pub async fn output(&self, node: &Node, name: &str) -> Vec<String> {
        self.run(node, name).await;
        let exit = self.wait(node, name).await;
        let lines = self.log(node, name);
        assert_eq!(exit.code, 0, "{exit:?} {lines:?}");
        eventually("the log is whole", || {
            let lines = self.log(node, name);
            lines.iter().any(|(_, text)| text == "end").then_some(lines)
        })
        .into_iter()
        .map(|(_, text)| text)
        .collect()
    }
}
