//! Probes, hooks, restarts.

use super::{Fields, Held, Into, NO, Refused};

pub(super) const PROBE: Fields = &[
    ("exec", Into("ExecAction")),
    ("failureThreshold", Held),
    ("grpc", Into("GRPCAction")),
    ("httpGet", Into("HTTPGetAction")),
    ("initialDelaySeconds", Held),
    ("periodSeconds", Held),
    ("successThreshold", Held),
    ("tcpSocket", Into("TCPSocketAction")),
    ("terminationGracePeriodSeconds", Held),
    ("timeoutSeconds", Held),
];

pub(super) const LIFECYCLE: Fields = &[
    ("postStart", Into("LifecycleHandler")),
    ("preStop", Into("LifecycleHandler")),
    ("stopSignal", Held),
];

pub(super) const HANDLER: Fields = &[
    ("exec", Into("ExecAction")),
    ("httpGet", Into("HTTPGetAction")),
    ("sleep", Into("SleepAction")),
    ("tcpSocket", Into("TCPSocketAction")),
];

pub(super) const HTTP_GET: Fields = &[
    ("host", Held),
    ("httpHeaders", Into("HTTPHeader")),
    ("path", Held),
    ("port", Held),
    ("protocol", NO),
    ("scheme", Held),
];

pub(super) const GRPC: Fields = &[
    ("mode", Refused(&["\"Plaintext\""])),
    ("port", Held),
    ("service", Held),
];

pub(super) const RESTART_RULE: Fields = &[
    ("action", Held),
    ("exitCodes", Into("ContainerRestartRuleOnExitCodes")),
];

pub(super) const RESIZE_POLICY: Fields = &[("resourceName", Held), ("restartPolicy", Held)];
