//! Each kind on a real host: created, left alone, drifted, updated, removed. Faults are elsewhere.

mod apt;
mod block;
mod command;
mod converged;
mod debconf;
mod dependencies;
mod directory;
mod file;
mod firewall;
mod git;
mod going_back;
mod package;
mod probe;
mod rollback;
mod seed;
mod shorthand;
mod swapfile;
mod switch;
mod symlink;
mod sysctl;
mod tree;
mod unit;
mod user;
mod user_unit;
