//! The node as the command line and Prometheus see it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pinnace_api::{Metadata, Namespace, ObjectName};
use pinnace_core::host::Host;
use pinnace_core::node::NodeState;
use pinnace_core::ports::Telemetry;
use pinnace_core::time::WallMillis;
use pinnace_engine::board::{Board, PodView, ServiceView};
use pinnace_engine::manager::Order;
use pinnace_metrics::{AgentMetrics, Exporter, ScrapeError};
use pinnace_server::{
    DrainRequest, ExecAnswer, ExecRequest, FaceError, FaceResult, MetricsFace, NodeFace, PodLine,
    ScrapeFailed,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::adapters::NodeAdapters;
use super::reload::Reloader;
use super::{data_objects, objects, service_objects};

/// All faces' view of the agent.
pub struct AgentFace {
    /// What everybody may read.
    pub board: Arc<Board>,
    /// The ports, for `exec` and images.
    pub adapters: Arc<NodeAdapters>,
    /// Orders to the manager.
    pub orders: mpsc::Sender<Order>,
    /// The exposition.
    pub exporter: Arc<Exporter>,
    /// The agent's own families.
    pub metrics: Arc<AgentMetrics>,
    /// Reads the configuration again.
    pub reloader: Arc<Reloader>,
    /// When the agent was started.
    pub started_at: WallMillis,
}

impl AgentFace {
    fn of_namespace<T>(namespace: Option<&Namespace>, all: Vec<T>, of: impl Fn(&T) -> &Namespace) -> Vec<T> {
        all.into_iter()
            .filter(|one| namespace.is_none_or(|wanted| of(one) == wanted))
            .collect()
    }

    fn all_pods(&self, namespace: Option<&Namespace>) -> Vec<Value> {
        let node = self.board.node();
        let node = node.as_deref();
        let running = Self::of_namespace(namespace, self.board.pods(), |view| &view.identity.namespace);
        let waiting = Self::of_namespace(namespace, self.board.waiting(), |waiting| {
            &waiting.pod.meta.namespace
        });
        let running = running.iter().map(|view| objects::pod(view, node));
        let mut pods: Vec<Value> = running
            .chain(waiting.iter().map(|one| objects::waiting(one, node)))
            .collect();
        let key = |pod: &Value| {
            let text = |path| {
                pod.pointer(path)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            (
                text("/metadata/namespace"),
                text("/metadata/name"),
                text("/metadata/creationTimestamp"),
            )
        };
        pods.sort_by_cached_key(key);
        pods
    }

    fn of_services(
        &self,
        namespace: Option<&Namespace>,
        show: impl Fn(&ServiceView, Option<&str>) -> Vec<Value>,
    ) -> Vec<Value> {
        let node = self.board.node();
        let node = node.as_deref().map(|node| node.name.as_str());
        let all = self.board.services();
        let is_meant =
            |view: &&ServiceView| namespace.is_none_or(|wanted| view.service.meta.namespace == *wanted);
        all.iter()
            .filter(is_meant)
            .flat_map(|view| show(view, node))
            .collect()
    }

    /// A list of objects that are only read, of one namespace or of all.
    fn objects_of(
        &self,
        kind: &str,
        namespace: Option<&Namespace>,
        all: impl Iterator<Item = Value>,
    ) -> Value {
        let is_meant = |object: &Value| {
            let of = object.pointer("/metadata/namespace").and_then(Value::as_str);
            namespace.is_none_or(|wanted| of == Some(wanted.as_str()))
        };
        let items: Vec<Value> = all
            .filter(is_meant)
            .map(|one| objects::dated(one, self.started_at))
            .collect();
        objects::list(kind, "v1", &items)
    }

    fn running_pod(&self, namespace: &Namespace, name: &ObjectName) -> FaceResult<Arc<PodView>> {
        let is = |view: &&Arc<PodView>| view.identity.namespace == *namespace && view.identity.name == *name;
        let pods = self.board.pods();
        let found = pods.iter().filter(is).max_by_key(|view| view.identity.created_at);
        found.cloned().ok_or_else(|| {
            let is = |meta: &Metadata| meta.namespace == *namespace && meta.name == *name;
            if self.board.waiting().iter().any(|one| is(&one.pod.meta)) {
                let why = format!("pod {name} does not have a host assigned");
                return FaceError::BadRequest { why };
            }
            FaceError::NotFound {
                kind: "pods",
                name: name.to_string(),
            }
        })
    }
}

impl NodeFace for AgentFace {
    async fn pods(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        Ok(objects::list("PodList", "v1", &self.all_pods(namespace.as_ref())))
    }

    async fn pod(&self, namespace: Namespace, name: ObjectName) -> FaceResult<Value> {
        let is = |pod: &Value| pod.pointer("/metadata/name").and_then(Value::as_str) == Some(name.as_str());
        let found = self.all_pods(Some(&namespace)).into_iter().rfind(is);
        found.ok_or_else(|| FaceError::NotFound {
            kind: "pods",
            name: name.to_string(),
        })
    }

    async fn daemonsets(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let sets = Self::of_namespace(namespace.as_ref(), self.board.daemonsets(), |view| {
            &view.key.namespace
        });
        let items: Vec<Value> = sets
            .iter()
            .map(|view| objects::daemonset(view, self.started_at))
            .collect();
        Ok(objects::list("DaemonSetList", "apps/v1", &items))
    }

    async fn services(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let items = self.of_services(namespace.as_ref(), |view, _| {
            vec![service_objects::service(view, self.started_at)]
        });
        Ok(objects::list("ServiceList", "v1", &items))
    }

    async fn endpoints(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let items = self.of_services(namespace.as_ref(), |view, node| {
            let endpoints = service_objects::endpoints(view, node).into_iter();
            endpoints
                .map(|one| objects::dated(one, self.started_at))
                .collect()
        });
        Ok(objects::list("EndpointsList", "v1", &items))
    }

    async fn endpoint_slices(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let items = self.of_services(namespace.as_ref(), |view, node| {
            let slices = service_objects::endpoint_slices(view, node).into_iter();
            slices.map(|one| objects::dated(one, self.started_at)).collect()
        });
        Ok(objects::list("EndpointSliceList", "discovery.k8s.io/v1", &items))
    }

    async fn config_maps(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let table = self.board.objects();
        let maps = table
            .config_maps
            .values()
            .map(|map| data_objects::config_map(map));
        Ok(self.objects_of("ConfigMapList", namespace.as_ref(), maps))
    }

    async fn secrets(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let table = self.board.objects();
        let secrets = table.secrets.values().map(|secret| data_objects::secret(secret));
        Ok(self.objects_of("SecretList", namespace.as_ref(), secrets))
    }

    async fn node(&self) -> FaceResult<Value> {
        let node = self.board.node();
        let node = node.ok_or_else(|| FaceError::Unavailable {
            why: "the agent is starting".to_owned(),
        })?;
        let state = NodeState {
            not_ready: self.board.ready().err(),
            ready_since: self.started_at,
            created_at: self.started_at,
            now: self.adapters.host.now().wall,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(node.to_object(&state))
    }

    async fn events(&self, namespace: Option<Namespace>) -> FaceResult<Value> {
        let node = self.board.node();
        let all = Self::of_namespace(namespace.as_ref(), self.board.events(), |one| {
            &one.event.object.namespace
        });
        let items: Vec<Value> = all
            .iter()
            .enumerate()
            .map(|(index, one)| objects::event(one, index, node.as_deref()))
            .collect();
        Ok(objects::list("EventList", "v1", &items))
    }

    async fn problems(&self) -> FaceResult<Value> {
        Ok(json!({"items": self.board.problems()}))
    }

    fn ready(&self) -> Result<(), String> {
        self.board.ready()
    }

    async fn drain(&self, request: DrainRequest) -> FaceResult<Value> {
        if !request.all {
            return Err(FaceError::BadRequest {
                why: "say --all: every pod of the node is ended".to_owned(),
            });
        }
        let (done, ended) = oneshot::channel();
        let order = Order::DrainAll {
            grace_period_seconds: request.grace_period_seconds,
            done,
        };
        let gone = || FaceError::Unavailable {
            why: "the agent is ending".to_owned(),
        };
        self.orders.send(order).await.map_err(|_| gone())?;
        match request.timeout_seconds {
            None => ended.await.map_err(|_| gone())?,
            Some(seconds) => {
                let limit = Duration::from_secs(u64::from(seconds));
                let late = |_| FaceError::Timeout {
                    what: format!("{} pods have not ended", self.board.pods().len()),
                    seconds,
                };
                tokio::time::timeout(limit, ended)
                    .await
                    .map_err(late)?
                    .map_err(|_| gone())?;
            }
        }
        self.adapters.leave_nothing(&self.board).await;
        Ok(json!({"drained": true}))
    }

    async fn exec(&self, request: ExecRequest) -> FaceResult<ExecAnswer> {
        let view = self.running_pod(&request.namespace, &request.pod)?;
        let container = match &request.container {
            Some(name) => view.pod.spec.container(name),
            None => view.pod.spec.containers.first(),
        };
        let container = container.ok_or_else(|| FaceError::BadRequest {
            why: format!(
                "container {} is not valid for pod {}",
                request.container.as_ref().map_or("", |name| name.as_str()),
                request.pod
            ),
        })?;
        let running = view.running.iter().find(|(name, ..)| *name == container.name);
        let (_, attempt, _) = running.ok_or_else(|| FaceError::Conflict {
            kind: "pods",
            name: request.pod.to_string(),
            why: format!("container {} is not running", container.name),
        })?;
        super::exec::run(&self.adapters, &view, &container.name, *attempt, request).await
    }

    async fn reload_images(&self) -> FaceResult<Value> {
        let reports = self.adapters.bundles.look().await;
        Ok(json!({"items": reports}))
    }

    async fn reload(&self) -> FaceResult<Value> {
        match self.reloader.reload(&self.orders).await {
            Ok(changes) => Ok(json!({"live": changes.live, "needsRestart": changes.needs_restart})),
            Err(why) => Err(FaceError::BadRequest { why }),
        }
    }
}

impl MetricsFace for AgentFace {
    async fn metrics(&self) -> Result<Bytes, ScrapeFailed> {
        self.metrics.pod_phases(self.board.phases());
        self.exporter.scrape().await.map_err(|error| match error {
            ScrapeError::Busy { .. } => ScrapeFailed::Busy,
            failed => ScrapeFailed::Failed(Box::new(failed)),
        })
    }

    fn ready(&self) -> Result<(), String> {
        self.board.ready()
    }

    fn pods(&self) -> Vec<PodLine> {
        let line = |view: &Arc<PodView>| {
            let row = view.row(self.adapters.host.now().wall);
            PodLine {
                namespace: view.identity.namespace.to_string(),
                name: view.identity.name.to_string(),
                ready: row.ready,
                status: row.status,
                restarts: view.restarts(),
            }
        };
        self.board.pods().iter().map(line).collect()
    }
}
