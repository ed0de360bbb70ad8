//! The agent as its controller sees it: the built program, driven by frames over pipes, on a host of its own. The host is
//! this machine's root in a private mount namespace, with empty directories where the agent and its plans write.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod apply;
mod generations;
mod host;
mod interrupted;
mod kind_changes;
mod looking;
mod plans;
