//! Each kind on a real host: created, left alone, drifted, updated, removed. Faults are elsewhere.

mod command;
mod directory;
mod file;
mod probe;
mod symlink;
mod sysctl;
mod user;
