//! The wiring: listeners, adapters, board, faces, sources and manager, made in this order and told of each
//! other; then the loop over signals.

use std::sync::Arc;
use std::time::Duration;

use pinnace_core::config::NodeConfig;
use pinnace_core::host::Host;
use pinnace_core::node::Node;
use pinnace_engine::board::Board;
use pinnace_engine::manager::{Manager, ManagerParts, Order};
use pinnace_engine::worker::{Settings, Shared};
use pinnace_server::{ControlServer, MetricsLimits, MetricsServer};
use pinnace_sys::Layout;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::adapters::NodeAdapters;
use super::face::AgentFace;
use super::host::RealHost;
use super::network::{self, NetworkSettings, keep_up};
use super::reload::Reloader;
use super::signals::{self, Asked};
use super::sources::SourceConfigs;
use super::{AgentError, exporter, facts, listen};
use crate::cli::AgentArgs;
use crate::systemd::{Kept, notify};

/// Deliveries and orders that may wait.
const QUEUE: usize = 16;
/// For what was asked before the end: as long as one DNS server is asked.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// Probes that are asked at once; those that last are not counted.
const CHECKS_AT_ONCE: usize = 16;

/// Runs the node until a signal ends it.
pub async fn serve(
    layout: Layout,
    args: &AgentArgs,
    config: NodeConfig,
    reloader: Arc<Reloader>,
    mut kept: Kept,
) -> Result<(), AgentError> {
    let mut asked = signals::listen()?;
    let listeners = listen::bind(&listen::addresses(&args.metrics_listen, &config)?, &mut kept)?;
    let control = ControlServer::bind(&layout.control_socket())?;
    let deliveries_from = SourceConfigs::new(&layout, args, &config)?;

    let host = RealHost::new()?;
    let started_at = host.now().wall;
    let mut node = Node::new(&config, facts::read(&layout, &host.boot_id().0))?;
    let listens = || listeners.iter().filter_map(|one| one.local_addr().ok());
    node.own_ports = listen::own_ports(listens());
    let network = NetworkSettings::new(&layout, &config, listens().map(|one| one.port()).collect());
    let names = network::listen(network.dns_addresses(), &mut kept);
    kept.give_up();
    network.check()?;
    let settings = watch::Sender::new(Settings::new(&config, node.capacity.memory));
    let adapters = Arc::new(NodeAdapters::open(&layout, &config, &network, host).await?);
    let answering = adapters.names.serve(names);
    let board = Arc::new(Board::default());
    board.update_readiness(|ready| ready.expect(deliveries_from.ids().into_iter().map(|id| id.0)));
    board.set_node(&node);
    let parts = network.parts();
    tokio::spawn(keep_up(
        Arc::clone(&adapters),
        Arc::clone(&board),
        network,
        layout.clone(),
    ));

    let (orders, order_queue) = mpsc::channel(QUEUE);
    let face = Arc::new(AgentFace {
        board: Arc::clone(&board),
        adapters: Arc::clone(&adapters),
        orders: orders.clone(),
        exporter: Arc::new(exporter::start(&layout, &adapters, &board)?),
        metrics: Arc::clone(&adapters.metrics),
        reloader: Arc::clone(&reloader),
        started_at,
    });
    tokio::spawn(control.serve(Arc::clone(&face)));
    let closing = watch::Sender::new(false);
    let metrics = MetricsServer::new(face, MetricsLimits::default());
    let scraped = tokio::spawn(metrics.serve_until(listeners, closing.subscribe()));

    let disks = adapters.runtime.clone();
    tokio::spawn(async move { disks.measure_disks().await });
    let images_changed = adapters.bundles.changes();
    tokio::spawn(Arc::clone(&adapters.bundles).run());
    let shared = Shared {
        adapters: Arc::clone(&adapters),
        board: Arc::clone(&board),
        settings: settings.subscribe(),
        starts: Semaphore::new(starts_at_once()),
        checks: Semaphore::new(CHECKS_AT_ONCE),
    };
    let manager = Manager::new(ManagerParts {
        shared: Arc::new(shared),
        settings,
        images_changed,
        sources: deliveries_from.ids(),
        node,
        network: parts,
    });
    let (deliveries, delivery_queue) = mpsc::channel(QUEUE);
    let manager = tokio::spawn(manager.run(delivery_queue, order_queue));
    let bundles = Arc::clone(&adapters.bundles);
    tokio::spawn(async move {
        // The first pods find the images that lie there for them. Pods of an earlier agent wait for nothing.
        bundles.first_look().await;
        deliveries_from.spawn(&deliveries);
    });

    // The service is up; whether its pods are is asked at /readyz.
    if let Err(error) = notify("READY=1") {
        tracing::warn!(%error, "systemd was not told");
    }
    follow_signals(&mut asked, &reloader, &orders, manager).await;
    let _ = notify("STOPPING=1");
    closing.send_replace(true);
    let named = async {
        if let Some(answering) = answering {
            answering.finish(LAST_ANSWERS).await;
        }
    };
    // Whoever is not done by then asks again.
    let _ = tokio::join!(timeout(LAST_ANSWERS, scraped), named);
    adapters.leave_nothing(&board).await;
    Ok(())
}

/// Starting a pod costs CPU, most of it the OCI runtime's: more at once than this only wait for each other.
fn starts_at_once() -> usize {
    std::thread::available_parallelism().map_or(2, |cpus| cpus.get() * 2)
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
