//! `pinnace agent`: everything is made here, wired, and kept running.
//!
//! Order: lock of the root, configuration, directories, listeners, adapters, faces, sources, manager. SIGTERM
//! ends the process and nothing else: pods go on under their shims.

mod adapters;
mod bundles;
mod exec;
mod face;
pub mod facts;
mod host;
mod objects;
mod reload;
mod signals;
mod targets;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pinnace_core::config::NodeConfig;
use pinnace_core::host::Host;
use pinnace_core::node::{Node, OwnPort};
use pinnace_engine::board::Board;
use pinnace_engine::manager::{Manager, ManagerParts, Order};
use pinnace_engine::source::directory::{self, DIRECTORY, DirectoryConfig};
use pinnace_engine::source::url::{self, URL, UrlConfig};
use pinnace_engine::source::{Delivery, SourceId};
use pinnace_engine::worker::{Settings, Shared};
use pinnace_metrics::{AgentMetrics, BuildInfo, Exporter, ExporterConfig};
use pinnace_runtime::images::ImageStore;
use pinnace_runtime::{Runtime, RuntimeConfig};
use pinnace_server::{ControlServer, MetricsLimits, MetricsServer, bind_tcp};
use pinnace_store::RecordStore;
use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::{Layout, file, process};
use pinnace_volumes::NodeVolumes;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::cli::AgentArgs;
use crate::config::{Loaded, Sources};
use crate::notify_systemd::notify;
use adapters::NodeAdapters;
use bundles::Bundles;
use face::AgentFace;
use host::RealHost;
use reload::Reloader;
use signals::Asked;

pub use bundles::chain;

/// A file that was not renamed in counts as whole when it was not written for this long.
const SETTLE: Duration = Duration::from_millis(100);
/// Threads for calls that wait for the disk: more of them start pods no faster, and hold
/// memory. Scrapes may take half of them at most (`MetricsLimits::scrapes`).
const BLOCKING_THREADS: usize = 32;
/// Heaps of the allocator, one for each thread that runs the loops.
const MALLOC_ARENAS: i32 = 2;
/// Deliveries and orders that may wait.
const QUEUE: usize = 16;

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration has problems.
    #[error("the configuration is not good:\n{0}")]
    Config(String),
    /// Containers need root.
    #[error("the agent runs containers and needs root")]
    NotRoot,
    /// Another agent holds the root.
    #[error("another agent runs under root {root} (it holds {lock})")]
    SecondAgent {
        /// The root.
        root: PathBuf,
        /// The lock.
        lock: PathBuf,
    },
    /// `--node-name` is no name.
    #[error(transparent)]
    NodeName(#[from] pinnace_api::ident::IdentError),
    /// A directory, lock or clock of the host.
    #[error("prepare the node's directories")]
    Host(#[from] pinnace_sys::SysError),
    /// No name for the node.
    #[error(transparent)]
    Name(#[from] pinnace_core::node::NodeNameError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] pinnace_server::ListenError),
    /// An address is none.
    #[error("--metrics-listen {0:?} is no address such as 127.0.0.1:9100, [::1]:9100, :9100 or none")]
    Address(String),
    /// A URL is none.
    #[error("the manifest URL {0:?} is no http:// or https:// URL")]
    Url(String),
    /// A header of the configuration is none.
    #[error("staticPodURLHeader {0:?} is no HTTP header")]
    Header(String),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] pinnace_server::ControlError),
    /// The image store.
    #[error("open the image store")]
    Images(#[from] pinnace_runtime::images::ImageError),
    /// No OCI runtime works, or the like.
    #[error("prepare the container runtime")]
    Runtime(#[from] pinnace_runtime::OpenError),
    /// The agent's own metrics.
    #[error(transparent)]
    Metrics(#[from] pinnace_metrics::RegisterError),
    /// Threads, signals.
    #[error("set up the process")]
    Process(#[from] io::Error),
    /// The program's own place.
    #[error("find the shim beside the program")]
    Shim(#[source] io::Error),
}

/// Loads the configuration, or says all that is wrong with it.
pub fn load(sources: &Sources) -> Result<Loaded, AgentError> {
    sources.load().map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        AgentError::Config(lines.join("\n"))
    })
}

/// Runs the agent until a signal ends it.
pub fn run(layout: Layout, args: &AgentArgs) -> Result<(), AgentError> {
    process::bound_malloc_arenas(MALLOC_ARENAS);
    tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .init();
    if !nix::unistd::geteuid().is_root() {
        return Err(AgentError::NotRoot);
    }
    let mut sources = Sources::in_etc(&layout.etc());
    if let Some(config) = &args.config {
        sources = sources.with_file(config.clone());
    }
    let name = args
        .node_name
        .as_deref()
        .map(pinnace_api::NodeName::new)
        .transpose()?;
    let reloader = Arc::new(Reloader::new(sources, name));
    let config = reloader.first()?;
    let layout = match &config.pod_logs_dir {
        Some(logs) => layout.with_pod_logs(logs),
        None => layout,
    };
    make_directories(&layout)?;
    let lock = layout.agent_lock();
    let _lock = file::lock_exclusive(&lock, true).map_err(|error| {
        if error.would_block() {
            return AgentError::SecondAgent {
                root: layout.root().to_owned(),
                lock: lock.clone(),
            };
        }
        AgentError::Host(error)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(layout, args, config, reloader));
    // Workers hold nothing that needs an end: pods go on as they are.
    runtime.shutdown_background();
    ended
}

fn make_directories(layout: &Layout) -> Result<(), pinnace_sys::SysError> {
    // On a node that has run before, a directory of manifests that is not there has vanished: made anew it
    // would be empty, and end every pod.
    if !layout.pod_records().exists() {
        file::create_dir_all(&layout.manifests(), 0o755)?;
    }
    let directories = [
        (layout.state(), 0o711),
        (layout.image_bundles(), 0o755),
        (layout.pod_records(), 0o700),
        (layout.run(), 0o711),
        (layout.pod_logs(), 0o755),
        (layout.container_log_links(), 0o755),
    ];
    directories
        .iter()
        .try_for_each(|(path, mode)| file::create_dir_all(path, *mode))
}

async fn serve(
    layout: Layout,
    args: &AgentArgs,
    config: NodeConfig,
    reloader: Arc<Reloader>,
) -> Result<(), AgentError> {
    let mut asked = signals::listen()?;
    let addresses = metrics_addresses(args, &config)?;
    let listeners = addresses
        .iter()
        .map(|address| bind_tcp(*address, "metricsListen", "--metrics-listen"))
        .collect::<Result<Vec<TcpListener>, _>>()?;
    let control = ControlServer::bind(&layout.control_socket())?;
    let deliveries_from = source_configs(&layout, args, &config)?;

    let host = RealHost::new()?;
    let started_at = host.now().wall;
    let mut node = Node::new(&config, facts::read(&layout, &host.boot_id().0))?;
    node.own_ports = own_ports(&listeners);
    let settings = watch::Sender::new(Settings::new(&config, node.capacity.memory));
    let adapters = Arc::new(open_adapters(&layout, &config, host).await?);
    let board = Arc::new(Board::default());
    board.update_readiness(|ready| ready.expect(deliveries_from.ids().into_iter().map(|id| id.0)));
    board.set_node(&node);

    let (orders, order_queue) = mpsc::channel(QUEUE);
    let exporter = exporter(&layout, &adapters, &board)?;
    let face = Arc::new(AgentFace {
        board: Arc::clone(&board),
        adapters: Arc::clone(&adapters),
        orders: orders.clone(),
        exporter,
        metrics: Arc::clone(&adapters.metrics),
        reloader: Arc::clone(&reloader),
        started_at,
    });
    tokio::spawn(control.serve(Arc::clone(&face)));
    tokio::spawn(MetricsServer::new(face, MetricsLimits::default()).serve(listeners));

    let images_changed = adapters.bundles.changes();
    tokio::spawn(Arc::clone(&adapters.bundles).run());
    let shared = Shared {
        adapters: Arc::clone(&adapters),
        board: Arc::clone(&board),
        settings: settings.subscribe(),
        starts: Semaphore::new(starts_at_once()),
    };
    let manager = Manager::new(ManagerParts {
        shared: Arc::new(shared),
        settings,
        images_changed,
        sources: deliveries_from.ids(),
        node,
    });
    let (deliveries, delivery_queue) = mpsc::channel(QUEUE);
    let manager = tokio::spawn(manager.run(delivery_queue, order_queue));
    deliveries_from.spawn(&deliveries);

    // The service is up; whether its pods are is asked at /readyz.
    if let Err(error) = notify("READY=1") {
        tracing::warn!(%error, "systemd was not told");
    }
    follow_signals(&mut asked, &reloader, &orders, manager).await;
    adapters.remove_unused_groups(&board).await;
    let _ = notify("STOPPING=1");
    Ok(())
}

async fn follow_signals(
    asked: &mut mpsc::UnboundedReceiver<Asked>,
    reloader: &Reloader,
    orders: &mpsc::Sender<Order>,
    mut manager: tokio::task::JoinHandle<()>,
) {
    loop {
        // A signal waits in its queue while another arm runs.
        tokio::select! {
            ask = asked.recv() => match ask {
                Some(Asked::Reload) => {
                    if let Err(why) = reloader.reload(orders).await {
                        tracing::error!("{why}");
                    }
                }
                Some(Asked::End) | None => {
                    tracing::info!("the agent ends; pods go on");
                    return;
                }
            },
            ended = &mut manager => {
                tracing::error!(?ended, "the manager ended");
                return;
            }
        }
    }
}

/// Starting a pod costs CPU, most of it the OCI runtime's: more at once than this only wait for each other.
fn starts_at_once() -> usize {
    std::thread::available_parallelism().map_or(2, |cpus| cpus.get() * 2)
}

async fn open_adapters(
    layout: &Layout,
    config: &NodeConfig,
    host: RealHost,
) -> Result<NodeAdapters, AgentError> {
    let images = ImageStore::open(layout)?;
    let mut runtime = RuntimeConfig::new(shim(config).map_err(AgentError::Shim)?);
    runtime.logger = own_shim().map_err(AgentError::Shim)?;
    runtime.oci_runtimes.clone_from(&config.oci_runtimes);
    let build = BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("PINNACE_REVISION").unwrap_or(""),
    };
    Ok(NodeAdapters {
        runtime: Runtime::open(runtime, layout.clone(), images.clone()).await?,
        bundles: Arc::new(Bundles::new(images.clone(), layout)),
        images,
        volumes: NodeVolumes::new(layout.clone()),
        records: RecordStore::new(layout.clone()),
        host,
        metrics: Arc::new(AgentMetrics::new(build)?),
    })
}

fn own_shim() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("pinnace-shim"))
}

fn shim(config: &NodeConfig) -> io::Result<PathBuf> {
    match &config.shim_path {
        Some(path) => Ok(PathBuf::from(path)),
        None => own_shim(),
    }
}

fn exporter(
    layout: &Layout,
    adapters: &NodeAdapters,
    board: &Arc<Board>,
) -> Result<Arc<Exporter>, AgentError> {
    let (runtime, board) = (adapters.runtime.clone(), Arc::clone(board));
    let targets = Arc::new(move || targets::of(&runtime, &board));
    let mut config = ExporterConfig::default();
    // A pod's own mounts are no file systems of the node.
    config.filesystems.insides.extend([layout.run(), layout.state()]);
    let metrics = Arc::clone(&adapters.metrics);
    Ok(Arc::new(Exporter::new(
        config,
        Cgroups::detect()?,
        metrics,
        targets,
    )))
}

/// The addresses of the command line, or else of the configuration.
fn metrics_addresses(args: &AgentArgs, config: &NodeConfig) -> Result<Vec<SocketAddr>, AgentError> {
    if args.metrics_listen.is_empty() {
        return Ok(config.metrics_listen.clone());
    }
    let named = args.metrics_listen.iter().filter(|text| *text != "none");
    named
        .map(|text| {
            let full = if text.starts_with(':') {
                format!("0.0.0.0{text}")
            } else {
                text.clone()
            };
            full.parse().map_err(|_| AgentError::Address(text.clone()))
        })
        .collect()
}

fn own_ports(listeners: &[TcpListener]) -> Vec<OwnPort> {
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok());
    let port = |address| OwnPort {
        address,
        protocol: pinnace_api::pod::Protocol::Tcp,
        setting: "metricsListen",
    };
    addresses.map(port).collect()
}

/// The sources of this node.
struct SourceConfigs {
    directory: DirectoryConfig,
    url: Option<UrlConfig>,
}

impl SourceConfigs {
    fn ids(&self) -> Vec<SourceId> {
        std::iter::once(DIRECTORY)
            .chain(self.url.is_some().then_some(URL))
            .collect()
    }

    fn spawn(self, deliveries: &mpsc::Sender<Delivery>) {
        tokio::spawn(directory::run(self.directory, deliveries.clone()));
        if let Some(url) = self.url {
            let deliveries = deliveries.clone();
            tokio::spawn(async move {
                if let Err(error) = url::run(url, deliveries).await {
                    tracing::error!(%error, "the manifest URL cannot be asked");
                }
            });
        }
    }
}

fn source_configs(
    layout: &Layout,
    args: &AgentArgs,
    config: &NodeConfig,
) -> Result<SourceConfigs, AgentError> {
    let configured = config.static_pod_path.as_ref().map(PathBuf::from);
    let directory = DirectoryConfig {
        path: args
            .manifests
            .clone()
            .or(configured)
            .unwrap_or_else(|| layout.manifests()),
        settle: SETTLE,
        rescan: Duration::from_millis(config.file_check_frequency.as_millis()),
    };
    let named = args.manifest_url.as_ref().or(config.static_pod_url.as_ref());
    let url = named.map(|text| url_config(text, config)).transpose()?;
    Ok(SourceConfigs { directory, url })
}

fn url_config(text: &str, config: &NodeConfig) -> Result<UrlConfig, AgentError> {
    let url: hyper::Uri = text.parse().map_err(|_| AgentError::Url(text.to_owned()))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.authority().is_none() {
        return Err(AgentError::Url(text.to_owned()));
    }
    let mut headers = Vec::new();
    for (name, values) in &config.static_pod_url_header {
        for value in values {
            let wrong = || AgentError::Header(name.clone());
            let key = name.parse().map_err(|_| wrong())?;
            headers.push((key, value.parse().map_err(|_| wrong())?));
        }
    }
    Ok(UrlConfig {
        url,
        headers,
        interval: Duration::from_millis(config.http_check_frequency.as_millis()),
    })
}
