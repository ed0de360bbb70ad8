//! Steps carried out: one function per operation, and the one place that leads from the plan's operation to it. It decides
//! nothing about what to do, and it records nothing; the runner does.

mod account_tools;
mod along;
mod block;
mod command;
mod debconf;
mod debconf_lock;
pub(crate) mod dpkg_lock;
mod firewall;
mod git;
mod group;
mod package;
mod package_lists;
mod path;
mod probe;
mod secrets;
mod settle;
mod swapfile;
mod switch;
mod sysctl;
mod tree;
mod unit;
mod user;

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use provision_core::model::{Blob, Digest, HostText, Op, PlannedEntry, ResourceId, RunEvent, StepError};
use provision_core::wire::limits::ERROR_LINES;

pub(crate) use along::Along;

use crate::child::{self, ChildError, Invocation, status_words};
use crate::journal::Journal;
use crate::layout::Layout;
use crate::words::chain;

/// How much of one step's output is journaled, in bytes. A failure shows its last lines whatever was printed before.
const OUTPUT_BYTES: usize = 1 << 20;

/// What steps are carried out with.
pub(crate) struct Work<'a> {
    /// The agent's own files.
    pub(crate) layout: &'a Layout,
    /// The content that the plan brings.
    pub(crate) blobs: &'a BTreeMap<Digest, Blob>,
    /// The plan's id.
    pub(crate) plan_id: &'a Digest,
    /// What the plan's configuration has.
    pub(crate) entries: &'a BTreeMap<ResourceId, PlannedEntry>,
    /// Where contents are that the store does not have, where a run is undone.
    pub(crate) kept: Option<&'a Path>,
    /// How units are given orders.
    pub(crate) orders: Orders,
}

/// How units are given orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orders {
    /// As a plan says.
    Planned,
    /// To undo a plan: whatever has kept a unit from starting until now no longer counts.
    Undoing,
    /// Likewise, and without waiting for anything: the host boots, and units wait for us.
    Booting,
}

/// Where a step tells how it goes.
pub(crate) struct Progress<'a> {
    journal: Option<&'a mut Journal>,
    step: usize,
    room: usize,
}

impl<'a> Progress<'a> {
    /// For the step of this number.
    pub(crate) fn new(journal: &'a mut Journal, step: usize) -> Self {
        Self {
            journal: Some(journal),
            step,
            room: OUTPUT_BYTES,
        }
    }

    /// For a step that is none of the plan's: what it prints goes to the runner's own log.
    pub(crate) const fn unheard() -> Self {
        Self {
            journal: None,
            step: 0,
            room: OUTPUT_BYTES,
        }
    }

    fn write(&mut self, event: &RunEvent) {
        if let Some(journal) = &mut self.journal {
            let _ = journal.write(event);
        }
    }

    /// A line of output. That it cannot be recorded stops nothing: if the journal is broken, the step's end shows it.
    fn output(&mut self, line: &str) {
        let step = self.step;
        let text = if line.len() <= self.room {
            self.room -= line.len();
            HostText::new(line)
        } else if self.room > 0 {
            self.room = 0;
            HostText::from("(more output follows, which is not recorded)")
        } else {
            return;
        };
        if self.journal.is_none() {
            crate::run::log(text.untrusted());
        }
        self.write(&RunEvent::Output { step, line: text });
    }

    /// What it waits for.
    fn waiting(&mut self, on: &str) {
        let event = RunEvent::Waiting {
            step: self.step,
            on: HostText::new(on),
        };
        self.write(&event);
    }
}

/// Carries out one operation. What it gives back is worth saying about a success.
///
/// # Errors
/// Why it failed, for a person on the other side.
pub(crate) fn execute(op: &Op, work: &Work<'_>, progress: &mut Progress<'_>) -> Result<Option<HostText>, StepError> {
    match op {
        Op::WriteFile(spec) => path::write_file(spec, work, progress),
        Op::SetAttributes {
            path,
            owner,
            group,
            mode,
        } => path::set_attributes(path, owner, group, *mode),
        Op::MakeDirectory(spec) => path::make_directory(spec),
        Op::MakeSymlink(spec) => path::make_symlink(spec),
        Op::RemovePath { path, what } => return path::remove(path, *what),
        Op::RestoreFile {
            path,
            content,
            owner,
            group,
            mode,
        } => path::restore_file(path, content, *owner, *group, *mode, work),
        Op::PutBlock(spec) => block::put(spec),
        Op::RemoveBlock {
            path,
            name,
            ragged,
            made_file,
            attributes,
        } => block::remove(path, name, *ragged, *made_file, *attributes),
        Op::Answer { answers } => debconf::answer(answers, progress),
        Op::TakeBackAnswer { question, package, to } => debconf::take_back(question, package, to, progress),
        Op::Reconfigure { package } => debconf::reconfigure(package, progress),
        Op::Packages { install, bare, remove } => package::change(install, bare, remove, progress),
        Op::MakeTree(spec) => tree::make(spec, work, progress),
        Op::RemoveTree { path } => tree::remove(path),
        Op::CloneGit(spec) => git::clone(spec, progress),
        Op::MirrorGit { spec, commit } => git::mirror(spec, commit, progress),
        Op::RemoveGit(spec) => git::remove(spec, progress),
        Op::PutSwapfile { spec, rebuild } => swapfile::put(spec, *rebuild, progress),
        Op::RemoveSwapfile { path } => swapfile::remove(path, progress),
        Op::Turn(spec) => switch::turn(spec, progress),
        Op::SetSysctl(spec) => sysctl::set(spec),
        Op::LoadFirewall(spec) => firewall::load(spec, progress),
        Op::RemoveFirewall => firewall::remove(progress),
        Op::Secrets {
            directory,
            deliver,
            keep,
            remove,
        } => secrets::put(
            &secrets::Order {
                directory,
                deliver,
                keep,
                remove,
            },
            work,
        ),
        Op::DaemonReload => unit::daemon_reload(progress),
        Op::ReloadOfUser { user } => unit::reload_of_user(user, progress),
        Op::AtBoot { enable, disable } => unit::at_boot(enable, disable, progress),
        Op::Unit { name, verb } => unit::order(name, *verb, work.orders, progress),
        Op::Settle(units) => settle::settle(units),
        Op::CreateGroup(spec) => group::create(spec, progress),
        Op::SetGroupId { name, gid } => group::set_id(name, *gid, progress),
        Op::DeleteGroup { name } => group::delete(name, progress),
        Op::CreateUser(spec) => user::create(spec, progress),
        Op::ModifyUser { change, leave } => user::modify(change, leave, progress),
        Op::DeleteUser { name, keep_group } => user::delete(name, *keep_group, progress),
        Op::Run(spec) => command::run(spec, progress),
        Op::Probe(spec) => probe::wait(spec, progress),
        Op::Record => Ok(()),
    }
    .map(|()| None)
}

/// Gives a user a password as it is stored, which no command line ever holds.
pub(crate) fn set_password(name: &str, stored: &str) -> Result<(), StepError> {
    account_tools::set_password(name, stored)
}

/// A failure in words of our own.
pub(crate) fn problem(problem: impl Into<String>) -> StepError {
    StepError {
        problem: HostText::new(problem),
        output: Vec::new(),
        fix: None,
    }
}

/// A failure with all its causes, and what to do about those that people meet.
pub(crate) fn failure(error: &(dyn Error + 'static)) -> StepError {
    StepError {
        problem: chain(error),
        output: Vec::new(),
        fix: fix(error),
    }
}

fn fix(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            let fix = match error.kind() {
                ErrorKind::StorageFull => {
                    "free some space on that disk (df), or remove files where it has no inodes left (df -i), then apply again"
                }
                ErrorKind::QuotaExceeded => "raise the quota or free some space, then apply again",
                ErrorKind::ReadOnlyFilesystem => {
                    "find out why that file system is read-only (dmesg), remount it, then apply again"
                }
                ErrorKind::PermissionDenied => {
                    "see whether it is immutable (lsattr) or kept by a security module, then apply again"
                }
                _ => return None,
            };
            return Some(fix.to_owned());
        }
        next = error.source();
    }
    None
}

/// How a program ended, with the last lines of its output.
struct Ran {
    status: ExitStatus,
    tail: Vec<HostText>,
}

impl Ran {
    /// Whether one of the last lines contains this text.
    fn says(&self, text: &str) -> bool {
        self.tail.iter().any(|line| line.untrusted().contains(text))
    }

    /// The failure that this end is, in the words of what was tried.
    fn failure(self, tried: &str) -> StepError {
        StepError {
            problem: HostText::new(format!("{tried} failed with {}", status_words(self.status))),
            output: self.tail,
            fix: None,
        }
    }
}

/// Runs a program to its end, whatever that is, and journals its output.
fn run(invocation: &Invocation, progress: &mut Progress<'_>) -> Result<Ran, StepError> {
    run_patiently(invocation, progress, || None)
}

/// As [`run`], where [`child::run_patiently`] says what `longest` is.
fn run_patiently(
    invocation: &Invocation,
    progress: &mut Progress<'_>,
    longest: impl FnOnce() -> Option<Duration>,
) -> Result<Ran, StepError> {
    let mut tail = Tail::default();
    let told = |line: &str| {
        tail.push(line);
        progress.output(line);
    };
    match child::run_patiently(invocation, told, longest) {
        Ok(status) => Ok(Ran {
            status,
            tail: tail.lines(),
        }),
        Err(error) => Err(child_failure(&error, tail)),
    }
}

/// Runs a program that must succeed.
fn must_run(invocation: &Invocation, tried: &str, progress: &mut Progress<'_>) -> Result<(), StepError> {
    let ran = run(invocation, progress)?;
    if ran.status.success() {
        Ok(())
    } else {
        Err(ran.failure(tried))
    }
}

fn child_failure(error: &ChildError, tail: Tail) -> StepError {
    StepError {
        output: tail.lines(),
        ..failure(error)
    }
}

/// The last lines of an output.
#[derive(Default)]
struct Tail(VecDeque<HostText>);

impl Tail {
    fn push(&mut self, line: &str) {
        if self.0.len() == ERROR_LINES {
            self.0.pop_front();
        }
        self.0.push_back(HostText::new(line));
    }

    fn lines(self) -> Vec<HostText> {
        self.0.into()
    }
}
