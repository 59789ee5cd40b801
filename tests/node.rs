//! One node under a root of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::images;
use crate::leaks::{Traces, cgroup_folder};
use crate::network::{Host, Place};
use crate::wait::wait_for;

/// Where an agent on a host of its own answers Prometheus: its default.
pub const METRICS_PORT: u16 = 9100;

/// An address of the loopback network that no other node has, so that nobody takes its port between two agents.
fn own_address() -> SocketAddr {
    static NODES: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let node = 2 + NODES.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from((Ipv4Addr::new(127, high, low, node), 19_100))
}

/// A node; its pods are drained and its traces removed when it is dropped.
pub struct Node {
    root: tempfile::TempDir,
    agent: Option<Child>,
    /// Where its agent runs, if not in the machine's own network.
    place: Option<Place>,
    /// Where its agent listens for Prometheus.
    listen: String,
    /// Where its agent answers Prometheus.
    pub metrics: SocketAddr,
}

impl Node {
    /// A node that has the tests' image and no manifest; its agent is not started yet.
    pub fn new() -> Self {
        let metrics = own_address();
        Self::made(None, metrics.to_string(), metrics)
    }

    /// The same on a host with a network of its own, where the node's pods have theirs.
    pub fn on(host: &Host) -> Self {
        Self::on_port(host, METRICS_PORT)
    }

    /// The same with its metrics on another port: a second one on the same host.
    pub fn on_port(host: &Host, port: u16) -> Self {
        let metrics = SocketAddr::from(([127, 0, 0, 1], port));
        Self::made(Some(host.place.clone()), format!("[::]:{port}"), metrics)
    }

    /// One whose agent is ready.
    pub fn started_on(host: &Host) -> Self {
        let mut node = Self::on(host);
        node.start();
        node
    }

    fn made(place: Option<Place>, listen: String, metrics: SocketAddr) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the tests run real containers and need root"
        );
        let root = tempfile::Builder::new()
            .prefix("pinnace-test.")
            .tempdir_in("/tmp")
            .unwrap();
        let node = Self {
            root,
            agent: None,
            place,
            listen,
            metrics,
        };
        for folder in [
            "etc/pinnace/manifests",
            "etc/pinnace/config.d",
            "var/lib/pinnace/bundles",
        ] {
            std::fs::create_dir_all(node.root().join(folder)).unwrap();
        }
        node.configure("nodeName: test\n");
        node.give(&images::busybox());
        node
    }

    /// Lays an image's archive where the agent looks for it.
    pub fn give(&self, archive: &Path) {
        let place = self
            .path("var/lib/pinnace/bundles")
            .join(archive.file_name().unwrap());
        std::fs::hard_link(archive, &place)
            .or_else(|_| std::fs::copy(archive, &place).map(drop))
            .unwrap();
    }

    /// A node whose agent is ready.
    pub fn started() -> Self {
        let mut node = Self::new();
        node.start();
        node
    }

    /// The node's root.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path below the root.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    /// Writes the configuration. In the machine's own network, pods have none.
    pub fn configure(&self, text: &str) {
        let network = match self.place {
            Some(_) => "",
            None => "podNetwork: none\n",
        };
        let separator = if text.ends_with('\n') { "" } else { "\n" };
        let text = format!("{text}{separator}{network}");
        std::fs::write(self.path("etc/pinnace/config.yaml"), text).unwrap();
    }

    /// Starts the agent and waits until it is ready.
    pub fn start(&mut self) {
        self.spawn(&[]);
        self.wait_ready();
    }

    /// Starts the agent with further arguments, without waiting.
    pub fn spawn(&mut self, arguments: &[&str]) {
        assert!(self.agent.is_none(), "the agent runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("agent.log"))
            .unwrap();
        let mut agent = self.command(&["agent", "--log-level", "debug", "--metrics-listen", &self.listen]);
        agent
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.agent = Some(self.there(move || agent.spawn().unwrap()));
    }

    /// Waits until `/readyz` answers 200.
    pub fn wait_ready(&mut self) {
        wait_for("the agent's readiness", || {
            let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().unwrap());
            assert!(
                ended.is_none(),
                "the agent ended with {ended:?}:\n{}",
                self.agent_log()
            );
            (self.get("/readyz")?.0 == 200).then_some(())
        });
    }

    /// Does the work in the network that the agent is in.
    fn there<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.place {
            Some(place) => place.within(work),
            None => work(),
        }
    }

    /// The agent's process.
    pub fn agent_pid(&self) -> i32 {
        i32::try_from(self.agent.as_ref().expect("the agent runs").id()).unwrap()
    }

    /// Sends the agent a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.agent_pid()), signal).unwrap();
    }

    /// Ends the agent with a signal and waits for its end; pods go on.
    pub fn end_agent(&mut self, signal: Signal) {
        self.signal(signal);
        self.agent.take().unwrap().wait().unwrap();
    }

    /// What the agent wrote.
    pub fn agent_log(&self) -> String {
        std::fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// `pinnace` with these arguments, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(images::program("pinnace"));
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    /// Runs `pinnace` with these arguments.
    pub fn pinnace(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts `pinnace` with its standard output to be read.
    pub fn following(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs `pinnace`, which must succeed, and answers what it printed.
    #[track_caller]
    pub fn prints(&self, arguments: &[&str]) -> String {
        let output = self.pinnace(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "pinnace {arguments:?} ended with {}: {}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Lays a manifest into the directory, whole at once.
    pub fn lay(&self, name: &str, text: &str) {
        let new = self.path("etc/pinnace/manifests/.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path("etc/pinnace/manifests").join(name)).unwrap();
    }

    /// Takes a manifest away.
    pub fn take_away(&self, name: &str) {
        std::fs::remove_file(self.path("etc/pinnace/manifests").join(name)).unwrap();
    }

    /// Runs a script in a pod of one container and answers what it printed, without the last line's end.
    #[track_caller]
    pub fn shell(&self, pod: &str, script: &str) -> String {
        let printed = self.prints(&["exec", pod, "--", "sh", "-c", script]);
        printed.trim_end_matches('\n').to_owned()
    }

    /// All pods as Kubernetes objects.
    pub fn pods(&self) -> Vec<Value> {
        let output = self.pinnace(&["get", "pods", "-o", "json"]);
        if !output.status.success() {
            return Vec::new();
        }
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// The pod of this name, or whose name begins with it and a dash.
    pub fn pod(&self, name: &str) -> Option<Value> {
        let is = |pod: &Value| {
            let found = pod["metadata"]["name"].as_str().unwrap_or_default();
            found == name || found.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
        };
        self.pods().into_iter().find(is)
    }

    /// Waits until `ask` has an answer for the pod; on failure the pod and the agent's log are shown.
    #[track_caller]
    pub fn wait_pod<T>(&self, name: &str, what: &str, mut ask: impl FnMut(&Value) -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        loop {
            let pod = self.pod(name);
            if let Some(answer) = pod.as_ref().and_then(&mut ask) {
                return answer;
            }
            if begun.elapsed() > Duration::from_secs(90) {
                panic!("pod {name}: {what}: not in time: {pod:#?}\n{}", self.agent_log());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits until all containers of the pod are ready; answers the pod.
    #[track_caller]
    pub fn wait_running(&self, name: &str) -> Value {
        self.wait_pod(name, "running", |pod| {
            let statuses = pod["status"]["containerStatuses"].as_array()?;
            let running = !statuses.is_empty() && statuses.iter().all(|one| one["ready"] == true);
            running.then(|| pod.clone())
        })
    }

    /// Waits until no pod of this name is listed.
    #[track_caller]
    pub fn wait_gone(&self, name: &str) {
        wait_for(&format!("the end of pod {name}"), || {
            let listed = self.pinnace(&["get", "pods", "-o", "json"]).status.success();
            (listed && self.pod(name).is_none()).then_some(())
        });
    }

    /// Process id of a container's first process, from the cgroup that its status names.
    #[track_caller]
    pub fn pid(&self, pod: &str, container: &str) -> u32 {
        let id = self.wait_pod(pod, "a container id", |pod| container_id(pod, container));
        let folder = self.container_cgroup(&id);
        let procs = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap();
        procs
            .lines()
            .next()
            .expect("a process in the container's cgroup")
            .parse()
            .unwrap()
    }

    /// The container's cgroup in the memory hierarchy (or the one hierarchy of v2).
    pub fn container_cgroup(&self, id: &str) -> PathBuf {
        let name = cgroup_folder(self.root());
        let roots = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
        let mut folders: Vec<PathBuf> = roots.iter().map(|root| Path::new(root).join(&name)).collect();
        while let Some(folder) = folders.pop() {
            if folder
                .file_name()
                .is_some_and(|name| name.to_string_lossy().contains(id))
            {
                return folder;
            }
            let below = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        panic!("no cgroup of container {id}");
    }

    /// The pod's network, of a pod with one container.
    #[track_caller]
    pub fn place(&self, pod: &str) -> Place {
        let name = self.wait_running(pod)["spec"]["containers"][0]["name"].clone();
        Place::of(format!("/proc/{}/ns/net", self.pid(pod, name.as_str().unwrap())))
    }

    /// The addresses of a running pod, in the order of `podIPs`.
    #[track_caller]
    pub fn addresses(&self, pod: &str) -> Vec<IpAddr> {
        let pod = self.wait_running(pod);
        let addresses = pod["status"]["podIPs"].as_array().into_iter().flatten();
        addresses
            .map(|one| one["ip"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// A Service's addresses, once it has them.
    #[track_caller]
    pub fn service_addresses(&self, name: &str) -> Vec<IpAddr> {
        wait_for(&format!("the addresses of Service {name}"), || {
            let output = self.pinnace(&["get", "services", "-o", "json"]);
            let list: Value = serde_json::from_slice(&output.stdout).ok()?;
            let items = list["items"].as_array()?;
            let found = items.iter().find(|one| one["metadata"]["name"] == name)?;
            let addresses = found["spec"]["clusterIPs"].as_array()?.iter();
            addresses.map(|one| one.as_str()?.parse().ok()).collect()
        })
    }

    /// Status code and body of a path on the metrics address; `None` where nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let connect = || TcpStream::connect_timeout(&self.metrics, Duration::from_secs(5));
        let mut stream = self.there(connect).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let code = head.split(' ').nth(1)?.parse().ok()?;
        Some((code, body.to_owned()))
    }

    /// One sample's value of `/metrics`, by the text before the value.
    #[track_caller]
    pub fn sample(&self, series: &str) -> Option<f64> {
        let (code, body) = self.get("/metrics").expect("an answer of /metrics");
        assert_eq!(code, 200, "{body}");
        body.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Events as text lines.
    pub fn events(&self) -> String {
        self.prints(&["get", "events"])
    }

    /// What it has on the host now.
    pub fn traces(&self) -> Traces {
        let mut traces = Traces::of(self.root());
        if let Some(place) = &self.place {
            traces.add_network(self.root(), place);
        }
        traces
    }

    /// Ends all pods; nothing of them may be left.
    #[track_caller]
    pub fn drain_and_find_nothing(&mut self) {
        self.prints(&["drain", "--all", "--grace-period", "0", "--timeout", "60s"]);
        self.end_agent(Signal::SIGTERM);
        let mut left = self.traces();
        let begun = std::time::Instant::now();
        while !left.is_empty() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::park_timeout(Duration::from_millis(20));
            left = self.traces();
        }
        assert!(left.is_empty(), "left behind: {left:#?}\n{}", self.agent_log());
    }
}

/// The id of a pod's container, without `pinnace://`.
pub fn container_id(pod: &Value, container: &str) -> Option<String> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let status = statuses.iter().find(|status| status["name"] == container)?;
    let id = status["containerID"].as_str()?;
    Some(id.rsplit('/').next()?.to_owned())
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.agent.is_none() && self.traces().is_empty() {
            return;
        }
        if self.agent.is_none() {
            self.spawn(&[]);
        }
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if self
                .pinnace(&["drain", "--all", "--grace-period", "0", "--timeout", "20s"])
                .status
                .success()
            {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}
