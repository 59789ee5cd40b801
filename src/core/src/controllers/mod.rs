//! Which pods the controllers' objects make on this node.
//!
//! A controller is a pure function from its object, the node and the pods that it owns to what should be made
//! and what should go. It is asked again whenever one of them changes; settled means that it asks for nothing.

pub mod daemonset;
pub mod names;
