//! SSH for provisioning: one call connects, one runs a command, and nothing waits for ever.
//! It knows nothing of plans, agents or hosts' contents; it moves bytes and says what went wrong.
//!
//! What it promises, on top of russh: no host key is trusted that was not pinned or recorded before;
//! each stage has a deadline; memory is bounded whatever the host sends; what a host says cannot reach
//! a terminal unescaped; a server can open nothing on our side.

mod agent;
mod algorithms;
mod auth;
mod client;
mod config;
mod connect;
mod connection;
mod deadlines;
mod environment;
mod error;
mod exec;
mod exec_error;
mod file;
mod forward;
mod host_key;
mod identity;
mod known_hosts;
mod link;
mod pattern;
mod route;
mod stderr;
mod target;
mod untrusted;

pub use config::{ConfigError, ConfigWarning, HostOptions, host_options};
pub use connect::connect;
pub use connection::Connection;
pub use deadlines::{Deadlines, Stage};
pub use environment::Environment;
pub use error::{AuthRefused, ConnectError, ConnectErrorKind, ProtocolError, SkipReason, SkippedKey, TriedKey};
pub use exec::{Exec, Exit, Output, Status, Stdin, Stdout};
pub use exec_error::{ExecError, Step};
pub use forward::{Forward, ForwardError};
pub use host_key::{ExpectedKey, OfferedKey};
pub use known_hosts::{KnownHostsError, Place};
pub use route::{Route, RouteError, route};
pub use stderr::Stderr;
pub use target::{Endpoint, Target};
pub use untrusted::Untrusted;
