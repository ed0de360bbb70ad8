//! The command lines that look after running hosts: what is wrong with them, and what they say. What they do is the commands'.

use clap::Args;

use super::{Connect, Selection};

/// `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks, in one round trip and without changing anything, for failed units with their last lines, kills for want of memory, \
full memory, disks and inodes, inotify use by user (from 80 % of a limit), ports that somebody else took, certificates \
about to expire, a wrong clock, pending reboots and replaced code, held locks, and applies that did not end. What could \
not be looked at is said, and is no sign of health.

Exit codes: 0 nothing is wrong; 2 only warnings, or something could not be looked at; 3 a problem; 4 a host could not be \
reached.

Examples:
  provision doctor
  provision doctor web-1 -v                also what was seen where nothing is wrong
  provision doctor --json | jq '.hosts[].findings[].name'")]
pub struct Doctor {
    /// Which hosts.
    #[command(flatten)]
    pub selection: Selection,
    /// How hosts are connected to.
    #[command(flatten)]
    pub connect: Connect,
}
