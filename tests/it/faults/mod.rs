//! What goes wrong on hosts, links and controllers, and what it must lead to: a clear error, a consistent host, and
//! convergence by the next apply. It provokes each fault as it happens in the field, and injects none into the program.

mod architecture;
mod broken_host;
mod cut;
mod fleet;
mod full;
mod gateway;
mod hostile;
mod killed;
mod local;
mod lockout;
mod login;
mod plans;
pub(crate) mod running;
mod scene;
mod silence;
mod stop;
mod together;
mod untouched;

// Kinds have faults of their own.
pub(crate) use killed::kill_runner;
pub(crate) use running::until;
pub(crate) use scene::start;
