//! The agent as its controller sees it: the built program, driven by frames over pipes, on a host of its own. The host is
//! this machine's root in a private mount namespace, with empty directories where the agent and its plans write.

mod apply;
mod host;
mod interrupted;
mod looking;
mod plans;
