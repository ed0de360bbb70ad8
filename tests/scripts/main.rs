//! The scripts below `files/`, which hosts run by themselves, in a made-up world: a clock, a service and a systemd that a
//! test sets. That they work on a host is tested on real ones (`tests/it`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod inotify_usage;
mod lint;
mod stale_locks;
mod watchdog;
mod world;
