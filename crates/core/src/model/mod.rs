//! The nouns that the stages share: plain values, compared, printed and serialised.
//! They decide nothing and read nothing.

mod block;
mod command;
mod debconf;
mod desired;
mod digest;
mod examination;
mod fact;
mod firewall;
mod generation;
mod git;
mod group;
mod host_text;
mod inventory;
mod kind;
mod log;
mod machine;
mod millis;
mod mode;
mod observed;
mod on_removal;
mod origin;
mod package;
mod path;
mod plan;
mod probe;
mod receipt;
mod resource;
mod run;
mod secret;
mod swapfile;
mod switch;
mod sysctl;
mod tree;
mod unit;
mod user;

pub use block::{BlockSpec, BlockState, BrokenBlock, block_name, find_block, is_ragged, with_block, without_block};
pub use command::{CommandSpec, CommandState, Guard};
pub use debconf::{DebconfAnswer, DebconfEarlier, DebconfSpec, DebconfState, QuestionType};
pub use desired::{Blob, Connection, Desired, HostName, InvalidHostName};
pub use digest::{Digest, InvalidDigest};
pub use examination::{
    Disk, Examination, Examine, FailedUnit, HeldLock, Inotify, Kill, Leftover, Listener, Memory, OutOfMemory, Outdated,
    PortClaim, Process, Space, TimeKeeping, Watcher,
};
pub use fact::Fact;
pub use firewall::{FIREWALL_TABLE, FirewallSpec, FirewallState};
pub use generation::{DiskUse, Generation, GenerationCounts, History, Past};
pub use git::{GitSpec, GitState, GitUpdate, Revision, Standing};
pub use group::{GroupSpec, GroupState};
pub use host_text::HostText;
pub use inventory::{AskedPackage, FoundBody, FoundFile, FoundGroup, FoundUnit, FoundUser, Inventory};
pub use kind::Kind;
pub use log::{LogEntry, Logs, Since};
pub use machine::Machine;
pub use millis::Millis;
pub use mode::{InvalidMode, Mode};
pub use observed::{HostFacts, Observed};
pub use on_removal::OnRemoval;
pub use origin::Origin;
pub use package::{InvalidPackageName, PackageSpec, PackageState, PackageWant, check_package_name};
pub use path::{AbsPath, Content, DirectorySpec, FileSpec, InvalidPath, Owner, PathState, SymlinkSpec};
pub use plan::{
    Action, Blocker, Change, FieldChange, Moved, Op, PLAN_FORMAT, PathKind, Plan, PlannedEntry, Reason, Step,
    TextChange, Unchanged, UnitVerb,
};
pub use probe::{Check, ProbeSpec, ProbeState, has_name};
pub use receipt::{Applier, Entry, Outcome, Receipt};
pub use resource::{Dependency, DependencyReason, InvalidResourceId, Resource, ResourceId, Spec, State};
pub use run::{Decision, Holder, RunEvent, RunPhase, RunSummary, StepError};
pub use secret::{
    AfterReboot, Encoding, FETCH_PROGRAM, FetchRecord, Pins, SecretContent, SecretItem, SecretPart, SecretSource,
    SecretSpec, SecretState, SecretValueRef, SecretVersion, items as secret_items, not_asked, pin,
};
pub use swapfile::{ActiveSwap, Refusal, Room, SwapfileFound, SwapfileSpec, SwapfileState, cannot_take_back, mib};
pub use switch::{Switch, SwitchSpec, SwitchState};
pub use sysctl::{SysctlSpec, SysctlState};
pub use tree::{Source, TreeSpec, TreeState, version_prefix};
pub use unit::{InvalidUnitName, OnChange, UnitName, UnitSpec, UnitState};
pub use user::{UserSpec, UserState};
