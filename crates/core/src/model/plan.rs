//! A plan: what would change on one host, why, and the steps that do it. It is a value: printable, comparable,
//! serialisable, free of secrets and of closures.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    AbsPath, Applier, Blob, BlockSpec, CommandSpec, Content, DebconfEarlier, DebconfSpec, Dependency, Digest,
    DirectorySpec, FileSpec, FirewallSpec, GitSpec, GroupSpec, HostName, HostText, Kind, Millis, Mode, OnRemoval,
    Origin, ProbeSpec, ResourceId, SecretSpec, Spec, SwapfileSpec, SwitchSpec, SymlinkSpec, SysctlSpec, TreeSpec,
    UnitName, UserSpec,
};

/// The version of the plan's JSON form. It changes when a reader of the old form would misread the new one.
pub const PLAN_FORMAT: u32 = 1;

/// What a change does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there and differs.
    Update,
    /// It leaves the configuration, and the host.
    Remove,
    /// It leaves the configuration, and what was there before comes back.
    Restore,
    /// It leaves the configuration and stays on the host as it is.
    Forget,
    /// A command runs.
    Run,
    /// A unit is restarted or reloaded because something it uses changes.
    Restart,
    /// A probe is waited for.
    Verify,
    /// It is as declared; only what is recorded of it changes.
    Record,
}

/// Who moved since the last apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moved {
    /// `provision` has not applied this resource to this host before.
    New,
    /// The configuration.
    Configuration,
    /// The host: it is no longer as it was left.
    Host,
    /// Both.
    Both,
    /// Neither: the change follows from another one, or finishes an interrupted apply.
    Neither,
}

/// Why a change is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The fields differ.
    Differs,
    /// It is not on the host.
    Missing,
    /// It left the configuration.
    LeftConfiguration,
    /// A resource that it uses changes in this plan.
    Triggered {
        /// That resource.
        by: ResourceId,
    },
    /// Something it uses has changed since it was last started.
    StartedWithOlder,
    /// An earlier apply ended before it could restart this unit.
    Unfinished,
    /// systemd has not read the unit's file on disk yet.
    NeedsDaemonReload,
    /// The command's guard says there is something to do; what was seen.
    GuardOpen(HostText),
    /// The probe does not pass; what was seen.
    ProbeFails(HostText),
    /// Changes in this plan come before this probe.
    VerifiesChanges,
    /// dpkg left the package half-way.
    HalfInstalled(HostText),
    /// It was there before `provision` came, so it stays.
    WasThereBefore,
    /// Somebody has changed it since `provision` made it, so it stays.
    ChangedSince,
    /// It is no longer on the host.
    AlreadyGone,
    /// It changes nothing, so there is nothing to undo.
    NothingToUndo,
    /// What it did cannot be undone: a command's work.
    CannotUndo,
    /// Its data, and the configuration files that were changed, stay: a package's.
    DataStays,
    /// The package that asks is installed already, and what it made of its answers stays until it is reconfigured.
    NotReconfigured {
        /// That package.
        package: String,
    },
    /// The package that asks is reconfigured with it. What that writes is the package's own, and no record of before is kept.
    Reconfigured {
        /// That package.
        package: String,
    },
    /// It stays because its declaration says `on_removal = "keep"`.
    Kept,
    /// It goes, though it was there before, because its declaration says `on_removal = "remove"`.
    RemovedThoughThereBefore,
    /// It was in the host's memory, which was lost: the host has started anew.
    LostSinceBoot,
    /// Its declaration now says otherwise what happens when it leaves the configuration.
    OnRemovalDiffers,
}

/// One attribute that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChange {
    /// The attribute, such as `mode`.
    pub field: String,
    /// What the host has; `None` is nothing.
    pub before: Option<HostText>,
    /// What it gets; `None` is nothing.
    pub after: Option<String>,
}

/// A text before and after, for the diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextChange {
    /// Both sides are known text; an absent file is the empty text.
    Text {
        /// What the host has.
        before: HostText,
        /// What it gets.
        after: String,
    },
    /// At least one side is not shown; the word says why: `sensitive`, `not for all to read`, `binary`, `too long`.
    Hidden(String),
}

/// One change of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The resource.
    pub id: ResourceId,
    /// What happens to it.
    pub action: Action,
    /// Which attributes change.
    pub fields: Vec<FieldChange>,
    /// How its text changes.
    pub text: Option<TextChange>,
    /// Why; at least one.
    pub reasons: Vec<Reason>,
    /// Who moved.
    pub moved: Moved,
    /// Where it is declared; `None` for what left the configuration.
    pub origin: Option<Origin>,
    /// Whether it touches the way in: sshd, firewall, network, users, sudo, keys, Tailscale.
    pub access: bool,
}

/// A resource that stays as it is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unchanged {
    /// The resource.
    pub id: ResourceId,
    /// Such as "content, owner, group and mode are as declared".
    pub because: String,
}

/// Something that keeps a host's plan from being applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blocker {
    /// The resource.
    pub id: ResourceId,
    /// Whether it could not be observed, rather than cannot be done.
    pub unknown: bool,
    /// What is in the way.
    pub problem: HostText,
    /// What to do about it.
    pub fix: String,
    /// Where it is declared.
    pub origin: Option<Origin>,
}

/// What kind of thing lies at a path that a step replaces or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A directory; it is removed only when empty, and otherwise kept and reported.
    Directory,
}

/// One order to systemd about one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitVerb {
    /// `stop`.
    Stop,
    /// `start`.
    Start,
    /// `restart`.
    Restart,
    /// `reload-or-restart`.
    Reload,
}

impl UnitVerb {
    /// systemctl's word for it.
    #[must_use]
    pub const fn systemctl(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Reload => "reload-or-restart",
        }
    }
}

/// What a step does. The agent executes exactly this and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Write a file, atomically, over nothing or over a regular file.
    WriteFile(FileSpec),
    /// Set owner, group and mode of a file or directory, without touching content.
    SetAttributes {
        /// Where it lies.
        path: AbsPath,
        /// Owner's name, or id in digits.
        owner: String,
        /// Group's name, or id in digits.
        group: String,
        /// Permissions.
        mode: Mode,
    },
    /// Make a directory.
    MakeDirectory(DirectorySpec),
    /// Make a symbolic link, atomically, over nothing or over another symbolic link.
    MakeSymlink(SymlinkSpec),
    /// Remove what lies at a path.
    RemovePath {
        /// Where it lies.
        path: AbsPath,
        /// What it must be.
        what: PathKind,
    },
    /// Put back a file that was there before, from the host's own store.
    RestoreFile {
        /// Where it lies.
        path: AbsPath,
        /// The content to find in the store.
        content: Content,
        /// The owner's numeric id.
        owner: u32,
        /// The group's numeric id.
        group: u32,
        /// Permissions.
        mode: Mode,
    },
    /// Put a block into a file, in place of its old lines or at the end; all else in the file stays.
    PutBlock(BlockSpec),
    /// Take a block out of a file.
    RemoveBlock {
        /// The file.
        path: AbsPath,
        /// The block's name.
        name: String,
        /// Whether the line feed before it was put there with it.
        ragged: bool,
        /// Whether the file was made for it, and goes if nothing else is in it.
        made_file: bool,
        /// Owner, group and permissions that the file had before; `None` leaves them.
        attributes: Option<(u32, u32, Mode)>,
    },
    /// Clone a repository beside its path, and give the checkout its name once it is whole.
    CloneGit(GitSpec),
    /// Bring a checkout to a commit; changes of files that git keeps are lost.
    MirrorGit {
        /// The checkout.
        spec: GitSpec,
        /// The commit.
        commit: String,
    },
    /// Remove a checkout that has nobody's work in it.
    RemoveGit(GitSpec),
    /// Answer questions of packages in debconf's database, all at once.
    Answer {
        /// The answers, by question.
        answers: BTreeMap<String, DebconfSpec>,
    },
    /// Take an answer back.
    TakeBackAnswer {
        /// The question.
        question: String,
        /// The package that asks it.
        package: String,
        /// What it goes back to.
        to: DebconfEarlier,
    },
    /// Let an installed package configure itself again, by the answers that there are.
    Reconfigure {
        /// The package.
        package: String,
    },
    /// Install and remove packages, in one run of the package tool; half-installed ones are repaired first.
    Packages {
        /// Names, each with the version where one is wanted.
        install: BTreeMap<String, Option<String>>,
        /// Those of them that come without what they recommend.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        bare: BTreeSet<String>,
        /// Names.
        remove: BTreeSet<String>,
    },
    /// Make the version of a tree beside the one that is in use, unless it is there still, and turn the link to it.
    MakeTree(TreeSpec),
    /// Remove a tree's link and all its versions.
    RemoveTree {
        /// Where the link lies.
        path: AbsPath,
    },
    /// Make a swap file beside what is there, and put it in place once it is whole, or give the one that is there its owner and
    /// permissions; let the kernel use it as is said.
    PutSwapfile {
        /// The file.
        spec: SwapfileSpec,
        /// Whether it is made anew.
        rebuild: bool,
    },
    /// Take a swap file from the kernel, and away.
    RemoveSwapfile {
        /// Where it lies.
        path: AbsPath,
    },
    /// Turn a switch.
    Turn(SwitchSpec),
    /// Set a kernel parameter's live value.
    SetSysctl(SysctlSpec),
    /// Check the firewall's table, and put it in place of the one that is there, in one step.
    LoadFirewall(FirewallSpec),
    /// Take the firewall's table away.
    RemoveFirewall,
    /// Make a new set of all secrets in memory and put it in place of the old one, in one step: these as delivered with the
    /// plan, the others as they are.
    Secrets {
        /// The link to the set.
        directory: AbsPath,
        /// Those that are delivered, by name.
        deliver: BTreeMap<String, SecretSpec>,
        /// Those that change their owner or permissions only, by name.
        keep: BTreeMap<String, SecretSpec>,
        /// The names of those that go.
        remove: BTreeSet<String>,
    },
    /// Let systemd read its unit files again.
    DaemonReload,
    /// Let the manager of a user read its unit files again, if it runs; if not, it reads them when it starts.
    ReloadOfUser {
        /// The user.
        user: String,
    },
    /// Set what starts at boot, all at once: systemd reads every unit again after such an order, and once is enough.
    AtBoot {
        /// The units to enable.
        enable: BTreeSet<UnitName>,
        /// The units to disable.
        disable: BTreeSet<UnitName>,
    },
    /// Give systemd an order about one unit.
    Unit {
        /// The unit.
        name: UnitName,
        /// The order.
        verb: UnitVerb,
    },
    /// Watch started units for as long as each must stay healthy, all at once.
    Settle(BTreeMap<UnitName, Millis>),
    /// Create a group.
    CreateGroup(GroupSpec),
    /// Change a group's id.
    SetGroupId {
        /// The group.
        name: String,
        /// The new id.
        gid: u32,
    },
    /// Delete a group.
    DeleteGroup {
        /// The group.
        name: String,
    },
    /// Create a user.
    CreateUser(UserSpec),
    /// Change a user: what is `None` stays; its groups are added to those it has.
    ModifyUser {
        /// The wanted attributes that differ; `create_home` and `system` do not count here.
        change: UserSpec,
        /// Groups it leaves.
        leave: BTreeSet<String>,
    },
    /// Delete a user; the home directory stays.
    DeleteUser {
        /// The user.
        name: String,
        /// Whether the group of its name, if it is the user's primary one, stays: `userdel` would take it along.
        keep_group: bool,
    },
    /// Run a command.
    Run(CommandSpec),
    /// Wait for a probe.
    Probe(ProbeSpec),
    /// Bring the receipt up to date; nothing on the host changes.
    Record,
}

/// One step of a plan. Steps run one after another; the first failure ends the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// The resources that have their wanted state once this step is done. A step that only prepares covers none.
    pub covers: BTreeSet<ResourceId>,
}

/// How a resource will stand in the receipt once its step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedEntry {
    /// What is applied.
    pub spec: Spec,
    /// What it depends on.
    pub depends: Vec<Dependency>,
    /// For units: the digest of what it is started with.
    pub trigger: Option<Digest>,
    /// What happens to it when it leaves the configuration.
    #[serde(default, skip_serializing_if = "OnRemoval::is_default")]
    pub on_removal: OnRemoval,
}

/// The plan for one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_FORMAT`] of the writer.
    pub format: u32,
    /// The host.
    pub host: HostName,
    /// The installation it was made for: `/etc/machine-id`.
    pub machine_id: HostText,
    /// The generation it was made on; 0 on a host that `provision` has not changed yet.
    pub base_generation: u64,
    /// Who applies; recorded on the host.
    pub by: Applier,
    /// What changes, in the order of the steps.
    pub changes: Vec<Change>,
    /// What stays, and why.
    pub unchanged: Vec<Unchanged>,
    /// What keeps the plan from being applied.
    pub blockers: Vec<Blocker>,
    /// The steps.
    pub steps: Vec<Step>,
    /// For every resource with a change: the fingerprint of the state the plan was made from.
    pub preconditions: BTreeMap<ResourceId, Digest>,
    /// The receipt once all is done: every resource of the configuration.
    pub entries: BTreeMap<ResourceId, PlannedEntry>,
    /// Units that the plan restarts, recorded before the first change so that an interruption forgets none.
    pub pending: BTreeSet<ResourceId>,
    /// The content that the steps write, by digest.
    pub blobs: BTreeMap<Digest, Blob>,
}

impl Plan {
    /// The plan's identity: the digest of all it says.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Whether there is nothing to do and nothing in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.blockers.is_empty()
    }

    /// Whether it changes something that logging in depends on: the host then undoes it by itself unless it is confirmed.
    #[must_use]
    pub fn touches_access(&self) -> bool {
        let acts = |change: &Change| !matches!(change.action, Action::Forget | Action::Record | Action::Verify);
        self.changes.iter().any(|change| change.access && acts(change))
    }

    /// How many changes there are of one action.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// Whether any change is of this kind.
    #[must_use]
    pub fn touches(&self, kind: Kind) -> bool {
        self.changes.iter().any(|change| change.id.kind == kind)
    }
}
