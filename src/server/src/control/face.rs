//! What the node answers on the control face.

use std::future::Future;

use pinnace_api::{Namespace, ObjectName};
use serde_json::Value;

use super::request::{DrainRequest, ExecAnswer, ExecRequest};
use super::status::FaceError;

/// Answer of the node, or a Kubernetes Status.
pub type FaceResult<T> = Result<T, FaceError>;

/// The node as the command line sees it. Values are Kubernetes objects as JSON.
///
/// A future is dropped when its peer hangs up: what it has begun for that peer alone (a command of `exec`)
/// must end then.
pub trait NodeFace: Send + Sync + 'static {
    /// A PodList of one namespace, or of all.
    fn pods(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// One Pod.
    fn pod(&self, namespace: Namespace, name: ObjectName) -> impl Future<Output = FaceResult<Value>> + Send;
    /// A DaemonSetList of one namespace, or of all.
    fn daemonsets(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// A ServiceList of one namespace, or of all.
    fn services(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// An EndpointsList of one namespace, or of all.
    fn endpoints(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// An EndpointSliceList of one namespace, or of all.
    fn endpoint_slices(&self, namespace: Option<Namespace>)
    -> impl Future<Output = FaceResult<Value>> + Send;
    /// A ConfigMapList of one namespace, or of all.
    fn config_maps(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// A SecretList of one namespace, or of all, with what the Secrets hold: whoever may use the socket is root.
    fn secrets(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// The Node.
    fn node(&self) -> impl Future<Output = FaceResult<Value>> + Send;
    /// An EventList of one namespace, or of all.
    fn events(&self, namespace: Option<Namespace>) -> impl Future<Output = FaceResult<Value>> + Send;
    /// What is wrong with manifests, as `{"items": […]}`.
    fn problems(&self) -> impl Future<Output = FaceResult<Value>> + Send;
    /// `Err` says what is still waited for.
    fn ready(&self) -> Result<(), String>;
    /// Ends pods; answers when they have ended or the request's time is over.
    fn drain(&self, request: DrainRequest) -> impl Future<Output = FaceResult<Value>> + Send;
    /// Runs a command in a container; answers when it has ended.
    fn exec(&self, request: ExecRequest) -> impl Future<Output = FaceResult<ExecAnswer>> + Send;
    /// Looks for new image archives now; answers what was found.
    fn reload_images(&self) -> impl Future<Output = FaceResult<Value>> + Send;
    /// Reads configuration and sources again now; answers what changed.
    fn reload(&self) -> impl Future<Output = FaceResult<Value>> + Send;
}
