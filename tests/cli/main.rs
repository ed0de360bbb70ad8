//! The program as a user runs it, as far as that goes without a host: help, exit codes, errors, JSON, saved plans,
//! closed streams. What needs a host is tested on real ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod begin;
mod check;
mod fmt;
mod help;
mod language;
mod output;
mod page;
mod panic;
mod project;
mod reach;
mod schema;
mod secret_calls;
mod secret_mistakes;
mod secrets;
#[expect(dead_code, reason = "it is shared with other packages' tests, which use all of it")]
#[path = "../../crates/secrets/tests/stores/stand_in.rs"]
mod stand_in;
mod validate;
