//! What a user of `provision` meets, on real hosts: Debian with systemd and sshd, made for each test and gone after it.
//! One binary, so that it is linked once. Needs root; `tests/run` installs what else it needs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adopt;
mod begin;
mod doctor;
mod faults;
mod gateway;
mod kinds;
mod lab;
mod logs;
pub(crate) mod modules;
mod secrets;
#[expect(dead_code, reason = "it is shared with other packages' tests, which use all of it")]
#[path = "../../crates/secrets/tests/stores/stand_in.rs"]
mod stand_in;
mod tunnel;
mod walls;
