//! The machine against random histories, and against chosen ones.
//!
//! [`worker::Worker`] does what a worker does (look, ask, act, record) on a [`crate::fake::FakeHost`];
//! [`history`] invents what happens meanwhile: exits, dead shims, reboots, failures, changed wishes, crashes
//! of the agent in and after every action. [`rules`] are looked after at each action and at the end.

mod examples;
mod history;
mod order;
pub(super) mod rules;
mod sequence;
pub(super) mod shape;
pub(super) mod worker;
