//! A pod made for a test: its own root, bundles with a busybox, a client of the shim, and the removal of all
//! of it.

// Not every test file uses all of this, and a test may panic.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_imports
)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pinnace_shim::logs::LogTarget;
use pinnace_shim::protocol::options::{OCI_PROCESS, RUNC_OPTIONS, RuncOptions};
use pinnace_shim::protocol::task::*;
use pinnace_shim::protocol::*;
use pinnace_shim::socket;
use prost::Message;
use serde_json::{Value, json};

pub const SHIM: &str = env!("CARGO_BIN_EXE_pinnace-shim");
const NAMESPACE: &str = "test";
static PODS: AtomicU32 = AtomicU32::new(0);

/// Polls until `done` answers something, at most ten seconds.
pub fn eventually<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not come to pass in 10 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A blocking client of one shim.
pub struct Client {
    socket: UnixStream,
    decoder: Decoder,
    last_stream: u32,
    /// Otherwise both versions are used in turn.
    only_service: Option<&'static str>,
}

impl Client {
    pub fn connect(address: &str) -> Self {
        let path = address.strip_prefix("unix://").expect("a unix address");
        let socket = socket::connect(Path::new(path)).expect("connect to the shim");
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self {
            socket,
            decoder: Decoder::new(),
            last_stream: 0,
            only_service: None,
        }
    }

    /// Sends a call and answers its stream.
    pub fn send(&mut self, method: Method, message: &impl Message) -> u32 {
        self.last_stream = (self.last_stream + 1) | 1;
        let mut bytes = Vec::new();
        let in_turn = if self.last_stream % 4 == 1 {
            TASK_V2
        } else {
            TASK_V3
        };
        let service = self.only_service.unwrap_or(in_turn);
        encode_request(
            &mut bytes,
            self.last_stream,
            service,
            method.name(),
            message,
            None,
        )
        .unwrap();
        self.socket.write_all(&bytes).unwrap();
        self.last_stream
    }

    /// The next answer, whichever call it is for.
    pub fn receive(&mut self) -> Frame {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let count = self.socket.read(&mut buffer).expect("an answer within 30 s");
            assert!(count > 0, "the shim closed the connection");
            self.decoder.push(&buffer[..count]);
        }
    }

    pub fn call<M: Message + Default>(
        &mut self,
        method: Method,
        message: &impl Message,
    ) -> Result<M, Status> {
        let stream = self.send(method, message);
        let frame = self.receive();
        assert_eq!(frame.stream_id, stream, "an answer to another call");
        decode_response(&frame.data)
    }

    pub fn start(&mut self, id: &str, exec: &str) -> Result<u32, Status> {
        let request = StartRequest {
            id: id.into(),
            exec_id: exec.into(),
        };
        self.call::<StartResponse>(Method::Start, &request).map(|r| r.pid)
    }

    pub fn wait(&mut self, id: &str, exec: &str) -> Result<u32, Status> {
        let request = WaitRequest {
            id: id.into(),
            exec_id: exec.into(),
        };
        self.call::<WaitResponse>(Method::Wait, &request)
            .map(|r| r.exit_status)
    }

    pub fn state(&mut self, id: &str, exec: &str) -> Result<StateResponse, Status> {
        self.call(
            Method::State,
            &StateRequest {
                id: id.into(),
                exec_id: exec.into(),
            },
        )
    }

    pub fn kill(&mut self, id: &str, signal: u32) -> Result<Empty, Status> {
        self.kill_with(id, "", signal, false)
    }

    pub fn kill_with(&mut self, id: &str, exec: &str, signal: u32, all: bool) -> Result<Empty, Status> {
        let request = KillRequest {
            id: id.into(),
            exec_id: exec.into(),
            signal,
            all,
        };
        self.call(Method::Kill, &request)
    }

    pub fn delete(&mut self, id: &str, exec: &str) -> Result<DeleteResponse, Status> {
        self.call(
            Method::Delete,
            &DeleteRequest {
                id: id.into(),
                exec_id: exec.into(),
            },
        )
    }

    pub fn connect_call(&mut self, id: &str) -> ConnectResponse {
        self.call(Method::Connect, &ConnectRequest { id: id.into() })
            .unwrap()
    }

    pub fn shutdown(&mut self) {
        let _: Empty = self
            .call(
                Method::Shutdown,
                &ShutdownRequest {
                    id: String::new(),
                    now: false,
                },
            )
            .unwrap();
    }

    /// Runs a program in a container to its end, its output in a file.
    pub fn exec_to_end(&mut self, pod: &Pod, id: &str, exec: &str, args: &[&str]) -> (u32, String) {
        let output = pod.path(&format!("{exec}.out"));
        let uri = format!("file://{}", output.display());
        let request = pod.exec_request(id, exec, args, ("", &uri, &uri, false));
        let _: Empty = self.call(Method::Exec, &request).unwrap();
        self.start(id, exec).unwrap();
        let code = self.wait(id, exec).unwrap();
        self.delete(id, exec).unwrap();
        (code, fs::read_to_string(output).unwrap())
    }
}

/// A pod of the test's own.
pub struct Pod {
    directory: tempfile::TempDir,
    pub name: String,
    pub address: String,
    shims: Vec<u32>,
    held: Vec<fs::File>,
    environment: Vec<(String, String)>,
}

impl Pod {
    pub fn new() -> Self {
        let name = format!(
            "pinnace-test-{}-{}",
            std::process::id(),
            PODS.fetch_add(1, Ordering::Relaxed)
        );
        let directory = tempfile::Builder::new().prefix(&name).tempdir().unwrap();
        let bin = directory.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        for place in ["proc", "dev", "tmp", "sys"] {
            fs::create_dir(directory.path().join("rootfs").join(place)).unwrap();
        }
        fs::copy("/bin/busybox", bin.join("busybox")).expect("package busybox-static is needed");
        for applet in [
            "sh", "sleep", "cat", "echo", "ls", "true", "stty", "tty", "seq", "id", "dd", "kill", "tail",
        ] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        Self {
            directory,
            name,
            address: String::new(),
            shims: Vec::new(),
            held: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn bundle(&self, id: &str) -> PathBuf {
        self.path("bundles").join(self.id(id))
    }

    /// Unique on this machine, for runc's state lies in one directory per root only.
    pub fn id(&self, id: &str) -> String {
        format!("{}-{id}", self.name)
    }

    pub fn log(&self, id: &str) -> PathBuf {
        self.path(&format!("{id}.log"))
    }

    /// Events go to this socket.
    pub fn with_events(&mut self, socket: &Path) {
        self.environment
            .push(("TTRPC_ADDRESS".into(), socket.display().to_string()));
    }

    /// Lays a bundle down; `change` completes its configuration.
    pub fn make_bundle(&self, id: &str, args: &[&str], change: impl FnOnce(&mut Value)) {
        let bundle = self.bundle(id);
        fs::create_dir_all(&bundle).unwrap();
        let made = Command::new("runc")
            .arg("spec")
            .current_dir(&bundle)
            .output()
            .expect("runc is needed");
        assert!(made.status.success(), "{made:?}");
        let path = bundle.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(args);
        config["process"].as_object_mut().unwrap().remove("rlimits");
        config["root"] = json!({"path": self.path("rootfs"), "readonly": false});
        config["linux"]["cgroupsPath"] = json!(format!("/{}/{id}", self.name));
        config["annotations"] = json!({
            "io.kubernetes.cri.sandbox-id": self.name,
            "io.kubernetes.cri.sandbox-namespace": "default",
            "io.kubernetes.cri.sandbox-name": "web",
        });
        change(&mut config);
        fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    }

    pub fn shim_command(&self, id: &str) -> Command {
        let mut command = Command::new(SHIM);
        command
            .current_dir(self.bundle(id))
            .stdin(std::process::Stdio::null());
        command.args([
            "-namespace",
            NAMESPACE,
            "-id",
            &self.id(id),
            "-address",
            "/nobody",
        ]);
        command
            .arg("-root")
            .arg(self.directory.path())
            .args(["-publish-binary", "/bin/true"]);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// `start`: answers the address.
    pub fn start_shim(&mut self, id: &str) -> String {
        let output = self.shim_command(id).arg("start").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let address = BootstrapResult::parse(&output.stdout).unwrap().address;
        assert_eq!(
            fs::read_to_string(self.bundle(id).join("address")).unwrap(),
            address
        );
        if let Ok(pid) = fs::read_to_string(self.bundle(id).join("shim.pid")) {
            self.shims.push(pid.parse().unwrap());
        }
        self.address = address.clone();
        address
    }

    /// Debian's containerd-shim-runc-v2, spoken with in task v2 alone.
    pub fn start_foreign_shim(&mut self, id: &str) -> Client {
        let log = self.bundle(id).join("log");
        nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // It waits for a reader of this, and dies where there is none.
        self.held
            .push(fs::OpenOptions::new().read(true).write(true).open(&log).unwrap());
        let mut command = Command::new("containerd-shim-runc-v2");
        command
            .current_dir(self.bundle(id))
            .stdin(std::process::Stdio::null());
        command.args([
            "-namespace",
            NAMESPACE,
            "-id",
            &self.id(id),
            "-address",
            "/nobody",
        ]);
        command
            .args(["-publish-binary", "/bin/true"])
            .envs(self.environment.iter().cloned());
        let output = command
            .arg("start")
            .output()
            .expect("package containerd is needed");
        assert!(output.status.success(), "{output:?}");
        let answer = BootstrapResult::parse(&output.stdout).unwrap();
        let mut client = Client::connect(&answer.address);
        client.only_service = Some(answer.task_service());
        self.shims.push(client.connect_call(&self.id(id)).shim_pid);
        client
    }

    pub fn delete_after_shim(&self, id: &str) -> Output {
        self.shim_command(id)
            .arg("-bundle")
            .arg(self.bundle(id))
            .arg("delete")
            .output()
            .unwrap()
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.address)
    }

    pub fn options(&self) -> Any {
        let root = self.path("runc").display().to_string();
        Any::pack(
            RUNC_OPTIONS,
            &RuncOptions {
                binary_name: "runc".into(),
                root,
                ..Default::default()
            },
        )
    }

    pub fn create_request(&self, id: &str, stdio: (&str, &str, &str, bool)) -> CreateTaskRequest {
        CreateTaskRequest {
            id: self.id(id),
            bundle: self.bundle(id).display().to_string(),
            stdin: stdio.0.into(),
            stdout: stdio.1.into(),
            stderr: stdio.2.into(),
            terminal: stdio.3,
            options: Some(self.options()),
            ..Default::default()
        }
    }

    /// Create with both streams in the container's log.
    pub fn create(&self, client: &mut Client, id: &str) -> Result<u32, Status> {
        let log = LogTarget::new(self.log(id)).to_string();
        let request = self.create_request(id, ("", &log, &log, false));
        client
            .call::<CreateTaskResponse>(Method::Create, &request)
            .map(|response| response.pid)
    }

    /// A shim with one running container.
    pub fn running(&mut self, id: &str, args: &[&str]) -> Client {
        self.make_bundle(id, args, |_| ());
        self.start_shim(id);
        let mut client = self.client();
        self.create(&mut client, id).unwrap();
        client.start(&self.id(id), "").unwrap();
        client
    }

    pub fn exec_request(
        &self,
        id: &str,
        exec: &str,
        args: &[&str],
        stdio: (&str, &str, &str, bool),
    ) -> ExecProcessRequest {
        let process = json!({
            "terminal": stdio.3,
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/bin", "TERM=xterm"],
            "cwd": "/",
        });
        ExecProcessRequest {
            id: id.into(),
            exec_id: exec.into(),
            terminal: stdio.3,
            stdin: stdio.0.into(),
            stdout: stdio.1.into(),
            stderr: stdio.2.into(),
            spec: Some(Any::json(OCI_PROCESS, process.to_string())),
        }
    }

    /// Texts of a container's log with their tags: `F text`.
    pub fn log_lines(&self, id: &str) -> Vec<String> {
        let text = fs::read_to_string(self.log(id)).unwrap();
        text.lines()
            .map(|line| line.splitn(3, ' ').nth(2).unwrap().to_owned())
            .collect()
    }

    pub fn cgroup(&self, id: &str) -> PathBuf {
        let hierarchy = match Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            true => PathBuf::from("/sys/fs/cgroup"),
            false => PathBuf::from("/sys/fs/cgroup/memory"),
        };
        hierarchy.join(&self.name).join(id)
    }

    fn remove_cgroups(&self) {
        let hierarchies = fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let roots = hierarchies
            .map(|entry| entry.path())
            .chain([PathBuf::from("/sys/fs/cgroup")]);
        for group in roots
            .map(|root| root.join(&self.name))
            .filter(|group| group.is_dir())
        {
            for child in fs::read_dir(&group).into_iter().flatten().filter_map(Result::ok) {
                let _ = fs::remove_dir(child.path());
            }
            let _ = fs::remove_dir(&group);
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let bundles = fs::read_dir(self.path("bundles"))
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        for bundle in bundles {
            let root = self.path("runc").join(NAMESPACE);
            let mut delete = Command::new("runc");
            let _ = delete
                .arg("--root")
                .arg(root)
                .args(["delete", "--force"])
                .arg(bundle.file_name())
                .output();
        }
        for pid in &self.shims {
            let ours = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&ours).contains(&self.name) {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            }
        }
        self.remove_cgroups();
    }
}

/// A value of `/proc/PID/status`.
pub fn proc_status(pid: u32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{key} of {pid}")).trim().to_owned()
}
