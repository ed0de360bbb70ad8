//! The command lines that are about a host's own records: generations, going back, forgetting. What they do is the commands'.

use std::path::PathBuf;

use clap::Args;

use super::{Confirm, Connect, Diff};

/// A generation's number.
fn generation(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "generations have numbers; `provision generations HOST` lists them".to_owned())
}

/// `generations`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each apply that changes something is a generation. A host keeps 50 of them for a year, the contents of their files once, \
and at most 256 MiB of those; the newest two always.

Examples:
  provision generations web-1
  provision generations web-1 --json | jq '.generations[0].number'")]
pub struct Generations {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Compares what two generations declared; 0 is the host before the first one. What is on the host now is for `provision \
drift`.

Examples:
  provision diff web-1             the newest with the one before it
  provision diff web-1 3           the newest with generation 3
  provision diff web-1 3 5         how 5 differs from 3")]
pub struct DiffGenerations {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The earlier one [default: the one before the newest]
    #[arg(value_name = "N", value_parser = generation)]
    pub from: Option<u64>,
    /// The later one [default: the newest]
    #[arg(value_name = "M", value_parser = generation)]
    pub to: Option<u64>,
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `rollback`.
#[derive(Debug, Args)]
#[command(after_help = "\
Works from what the host keeps: neither the files of then are needed, nor that today's make sense. It is planned, shown \
and applied as every change is, and is a new generation itself; twice in a row gives back what was there. What it cannot \
bring back is said first: what commands and packages have written, contents of sensitive files. 0 is the host before the \
first generation.

Examples:
  provision rollback web-1                     to the generation before the newest
  provision rollback web-1 3
  provision rollback web-1 3 --plan            only show what would be done
  provision rollback web-1 --out back.plan     then: provision apply back.plan")]
pub struct Rollback {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The generation to go back to [default: the one before the newest]
    #[arg(value_name = "N", value_parser = generation)]
    pub generation: Option<u64>,
    /// Only show what would be done
    #[arg(long)]
    pub plan: bool,
    /// Save the plan, for `provision apply FILE`, and do nothing else
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// With --plan or --out: exit with 2 where there is something to do
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Do not ask
    #[arg(short, long, conflicts_with_all = ["plan", "out"])]
    pub yes: bool,
    /// How changes are shown.
    #[command(flatten)]
    pub diff: Diff,
    /// How a plan is confirmed that touches the way in.
    #[command(flatten)]
    pub confirm: Confirm,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(after_help = "\
Drops what provision keeps on the host for itself: its generations, what was there before it came, and its agent. The \
host's files, packages, users and services stay as they are, and belong to nobody from then on.

Examples:
  provision forget web-1")]
pub struct Forget {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// How the host is connected to.
    #[command(flatten)]
    pub connect: Connect,
}
