//! `provision`: reads host files and modules, works out what each machine should be, looks at what it is, shows the
//! difference as a plan, and makes it so over SSH.
//!
//! The data goes one way: [`load`] reads the project, `provision_core` resolves it to what each host should be,
//! [`drive`] looks at the hosts, `provision_core` plans, [`drive`] applies and tells of it in [`events`], and
//! [`report`] puts all of it into words. [`commands`] composes these, one file for each; [`cli`] parses and prints.

pub mod applier;
pub mod cli;
pub mod commands;
pub mod drive;
pub mod events;
pub mod fetch_program;
pub mod load;
pub mod reach;
pub mod report;
pub mod saved;
pub mod secrets;
pub mod stop;
pub mod transport;
pub mod unseen;
