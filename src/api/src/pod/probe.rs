//! Probes: what tells whether a container has started, is ready, and lives.

/// The probes of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probes {
    /// Until it succeeds, no other probe runs.
    pub startup: Option<Probe>,
    /// Whether the container is an endpoint.
    pub readiness: Option<Probe>,
    /// Where it fails, the container is ended.
    pub liveness: Option<Probe>,
}

/// One probe, defaults laid in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub action: ProbeAction,
    /// From the container's start to the first question; default 0.
    pub initial_delay_seconds: u32,
    /// What an answer may take; default 1, at least 1.
    pub timeout_seconds: u32,
    /// Between two questions; default 10, at least 1.
    pub period_seconds: u32,
    /// Answers in a row that count as success; default 1, and 1 for startup and liveness.
    pub success_threshold: u32,
    /// Answers in a row that count as failure; default 3.
    pub failure_threshold: u32,
    /// The container's grace period where this probe ends it; the pod's where absent. Not of readiness.
    pub termination_grace_period_seconds: Option<u32>,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAction {
    /// A program in the container: exit code 0 is success.
    Exec(Vec<String>),
    /// A GET: a status from 200 to 399 is success.
    HttpGet(HttpGet),
    /// A connection that is accepted is success.
    TcpSocket(TcpSocket),
    /// `grpc.health.v1.Health/Check`: `SERVING` is success.
    Grpc {
        /// The port.
        port: u16,
        /// The service that is asked for; may be empty.
        service: String,
    },
}

/// `httpGet` of a probe or hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGet {
    /// The pod's own address where absent.
    pub host: Option<String>,
    /// The port.
    pub port: PortRef,
    /// Path and query; `/` by default.
    pub path: String,
    /// TLS, its certificate unchecked as in Kubernetes.
    pub https: bool,
    /// Further headers in order.
    pub headers: Vec<(String, String)>,
}

/// `tcpSocket` of a probe or hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpSocket {
    /// The pod's own address where absent.
    pub host: Option<String>,
    /// The port.
    pub port: PortRef,
}

/// A port by its number or by the name that the container gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortRef {
    /// 1 to 65535.
    Number(u16),
    /// One of the container's ports.
    Name(String),
}
