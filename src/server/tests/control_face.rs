//! The control face over a real socket, with its own client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pinnace_api::{Namespace, ObjectName};
use pinnace_server::{
    Client, ClientError, ControlServer, DrainRequest, ExecAnswer, ExecRequest, FaceError, FaceResult,
    NodeFace,
};
use serde_json::{Value, json};

#[derive(Default)]
struct Node {
    execs: AtomicUsize,
    cancelled: AtomicUsize,
}

struct Cancelled<'a>(&'a Node);

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        self.0.cancelled.fetch_add(1, Ordering::SeqCst);
    }
}

impl NodeFace for Node {
    async fn pods(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "PodList", "asked": namespace}))
    }
    async fn pod(&self, _: Namespace, name: ObjectName) -> FaceResult<Value> {
        Err(FaceError::NotFound {
            kind: "pods",
            name: name.into(),
        })
    }
    async fn daemonsets(&self, _: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "DaemonSetList"}))
    }
    async fn services(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "ServiceList", "asked": namespace}))
    }
    async fn endpoints(&self, _: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "EndpointsList"}))
    }
    async fn endpoint_slices(&self, _: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "EndpointSliceList"}))
    }
    async fn config_maps(&self, _: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "ConfigMapList"}))
    }
    async fn secrets(&self, _: Option<Namespace>) -> FaceResult<Value> {
        Ok(json!({"kind": "SecretList"}))
    }
    async fn node(&self) -> FaceResult<Value> {
        Ok(json!({"kind": "Node"}))
    }
    async fn events(&self, _: Option<Namespace>) -> FaceResult<Value> {
        // Larger than a socket's buffer.
        Ok(json!({"kind": "EventList", "filler": "x".repeat(4 << 20)}))
    }
    async fn problems(&self) -> FaceResult<Value> {
        Ok(json!({"items": []}))
    }
    fn ready(&self) -> Result<(), String> {
        Err("waiting for the directory".into())
    }
    async fn drain(&self, request: DrainRequest) -> FaceResult<Value> {
        Ok(json!({"all": request.all, "grace": request.grace_period_seconds}))
    }
    async fn exec(&self, request: ExecRequest) -> FaceResult<ExecAnswer> {
        self.execs.fetch_add(1, Ordering::SeqCst);
        if request.command[0] == "hang" {
            let _cancelled = Cancelled(self);
            std::future::pending::<()>().await;
        }
        Ok(ExecAnswer { exit_code: 7 })
    }
    async fn reload_images(&self) -> FaceResult<Value> {
        Ok(json!({}))
    }
    async fn reload(&self) -> FaceResult<Value> {
        let cause = std::io::Error::other("no such key");
        Err(FaceError::Failed {
            operation: "read config.yaml".into(),
            source: cause.into(),
        })
    }
}

struct Served {
    dir: tempfile::TempDir,
    node: Arc<Node>,
    client: Client,
}

impl Served {
    fn start() -> Self {
        Self::under(|dir| dir.join("agent.sock"))
    }
    fn under(socket: impl Fn(&Path) -> PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = socket(dir.path());
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let node = Arc::new(Node::default());
        tokio::spawn(ControlServer::bind(&socket).unwrap().serve(Arc::clone(&node)));
        let client = Client::new(dir.path(), socket);
        Self { dir, node, client }
    }
}

fn exec_of(command: &str) -> ExecRequest {
    ExecRequest {
        namespace: Namespace::default(),
        pod: ObjectName::new("web").unwrap(),
        container: None,
        command: vec![command.to_owned()],
        tty: false,
        terminal_size: None,
        stdin: None,
        stdout: None,
        stderr: None,
    }
}

async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

fn refusal(error: ClientError) -> (String, u16, String) {
    match error {
        ClientError::Refused(status) => (status.reason, status.code, status.message),
        other => panic!("not a Status: {other:?}"),
    }
}

#[tokio::test]
async fn questions_and_orders_are_answered() {
    let served = Served::start();
    let client = &served.client;
    assert_eq!(
        client.get("/v1/pods").await.unwrap(),
        json!({"kind": "PodList", "asked": null})
    );
    assert_eq!(
        client.get("/v1/pods?namespace=kube-system").await.unwrap()["asked"],
        "kube-system"
    );
    assert_eq!(
        client.get("/v1/events").await.unwrap()["filler"]
            .as_str()
            .unwrap()
            .len(),
        4 << 20
    );
    let drained = client
        .drain(&DrainRequest {
            all: true,
            ..DrainRequest::default()
        })
        .await
        .unwrap();
    assert_eq!(drained, json!({"all": true, "grace": null}));
    assert_eq!(client.exec(&exec_of("true")).await.unwrap().exit_code, 7);
}

#[tokio::test]
async fn refusals_are_status_objects() {
    let served = Served::start();
    let client = &served.client;
    let ask = async |path| refusal(client.get(path).await.unwrap_err());
    assert_eq!(
        ask("/v1/pods/default/web").await,
        ("NotFound".into(), 404, "pods \"web\" not found".into())
    );
    assert_eq!(ask("/v1/nothing").await.0, "NotFound");
    assert_eq!(ask("/v1/drain").await.1, 405);
    assert_eq!(
        ask("/v1/readyz").await,
        (
            "ServiceUnavailable".into(),
            503,
            "waiting for the directory".into()
        )
    );
    let reload = refusal(client.post("/v1/reload", &json!({})).await.unwrap_err());
    assert_eq!(
        reload,
        (
            "InternalError".into(),
            500,
            "read config.yaml: no such key".into()
        )
    );
    let empty = ExecRequest {
        command: vec![],
        ..exec_of("")
    };
    assert_eq!(refusal(client.exec(&empty).await.unwrap_err()).1, 400);
    let unknown = refusal(client.post("/v1/drain", &json!({"al": true})).await.unwrap_err());
    assert!(
        unknown.1 == 400 && unknown.2.contains("unknown field `al`"),
        "{unknown:?}"
    );
    let huge = refusal(
        client
            .post("/v1/drain", &json!({"x": "y".repeat(2 << 20)}))
            .await
            .unwrap_err(),
    );
    assert_eq!((huge.0.as_str(), huge.1), ("RequestEntityTooLarge", 413));
}

#[tokio::test]
async fn command_is_cancelled_when_its_peer_hangs_up() {
    let served = Served::start();
    let client = served.client.clone();
    let hanging = tokio::spawn(async move { client.exec(&exec_of("hang")).await });
    until("the command began", || {
        served.node.execs.load(Ordering::SeqCst) == 1
    })
    .await;
    hanging.abort();
    until("the command was cancelled", || {
        served.node.cancelled.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn socket_is_private_and_replaces_a_dead_agents() {
    let served = Served::start();
    let socket = served.dir.path().join("agent.sock");
    let meta = std::fs::metadata(&socket).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    // Bound again, as a restarted agent would: the old file gives way and nothing else is left.
    let again = ControlServer::bind(&socket).unwrap();
    tokio::spawn(again.serve(Arc::new(Node::default())));
    assert_eq!(
        served.client.get("/v1/node").await.unwrap(),
        json!({"kind": "Node"})
    );
    let names: Vec<_> = std::fs::read_dir(served.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["agent.sock"]);
}

#[tokio::test]
async fn long_paths_are_reached() {
    let served = Served::under(|dir| dir.join("d".repeat(120)).join("run/agent.sock"));
    assert_eq!(
        served.client.get("/v1/node").await.unwrap(),
        json!({"kind": "Node"})
    );
}

#[tokio::test]
async fn absent_agent_is_said_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let client = Client::new("/srv/node", &socket);
    let absent = client.get("/v1/node").await.unwrap_err();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let dead = client.get("/v1/node").await.unwrap_err();
    let long = Client::new("/srv/node", dir.path().join("d".repeat(120)).join("agent.sock"));
    let unmade = long.get("/v1/node").await.unwrap_err();
    for error in [&absent, &dead, &unmade] {
        let text = error.to_string();
        assert!(
            text.starts_with("the agent is not running under root /srv/node (no answer on "),
            "{text}"
        );
        assert!(
            text.ends_with("start it with `pinnace agent --root /srv/node`"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn peer_of_another_user_is_not_answered() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test must run as root: it becomes another user"
    );
    let served = Served::start();
    let socket = served.dir.path().join("agent.sock");
    // As open as the file system can make it: the credentials alone must hold.
    std::fs::set_permissions(served.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
        s.settimeout(20)\nprint(len(s.recv(100)))";
    let asked = tokio::process::Command::new("python3")
        .args(["-c", script])
        .arg(&socket)
        .uid(65534)
        .gid(65534)
        .output()
        .await
        .expect("python3 is needed to connect as another user");
    assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), "0", "{asked:?}");
}
