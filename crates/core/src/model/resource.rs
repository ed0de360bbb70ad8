//! A resource: its id, what it should be, what is there, and what it depends on. One variant per kind, so that
//! adding a kind is led by the compiler from file to file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    BlockSpec, BlockState, CommandSpec, CommandState, DebconfAnswer, DebconfSpec, DebconfState, Digest, DirectorySpec,
    FIREWALL_TABLE, FileSpec, FirewallSpec, FirewallState, GitSpec, GitState, GroupSpec, GroupState, Kind, OnRemoval,
    Origin, PackageSpec, PackageState, PathState, ProbeSpec, ProbeState, SecretSpec, SecretState, Standing,
    SwapfileSpec, SwapfileState, SwitchSpec, SwitchState, SymlinkSpec, SysctlSpec, SysctlState, TreeSpec, TreeState,
    UnitSpec, UnitState, UserSpec, UserState,
};

/// A resource's identity on its host, written `kind:name`, such as `file:/etc/motd`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceId {
    /// The kind.
    pub kind: Kind,
    /// The name: a path, a package's name, a sysctl key, …
    pub name: String,
}

/// A text that is not a resource id.
#[derive(Debug, thiserror::Error)]
#[error("a resource is named \"kind:name\", such as \"file:/etc/motd\" or \"package:curl\"")]
pub struct InvalidResourceId;

impl ResourceId {
    /// The id of the resource of this kind and name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// The resources of other kinds that would lie at the same path; none for what lies at no path.
    pub fn others_at_path(&self) -> impl Iterator<Item = Self> {
        Kind::ALL
            .into_iter()
            .filter(|kind| self.kind.lies_at_path() && kind.lies_at_path() && *kind != self.kind)
            .map(|kind| Self::new(kind, self.name.clone()))
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl FromStr for ResourceId {
    type Err = InvalidResourceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once(':').ok_or(InvalidResourceId)?;
        let kind = kind.parse().map_err(|()| InvalidResourceId)?;
        if name.is_empty() {
            Err(InvalidResourceId)
        } else {
            Ok(Self::new(kind, name))
        }
    }
}

impl TryFrom<String> for ResourceId {
    type Error = InvalidResourceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.to_string()
    }
}

/// What a resource should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the variants are the kinds, and their types are documented")]
pub enum Spec {
    Group(GroupSpec),
    User(UserSpec),
    Debconf(DebconfSpec),
    Package(PackageSpec),
    Directory(DirectorySpec),
    File(FileSpec),
    Block(BlockSpec),
    Symlink(SymlinkSpec),
    Swapfile(SwapfileSpec),
    Tree(TreeSpec),
    Git(GitSpec),
    Switch(SwitchSpec),
    Sysctl(SysctlSpec),
    Firewall(FirewallSpec),
    Secret(SecretSpec),
    Command(CommandSpec),
    Unit(UnitSpec),
    Probe(ProbeSpec),
}

impl Spec {
    /// The kind it is of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Group(_) => Kind::Group,
            Self::User(_) => Kind::User,
            Self::Debconf(_) => Kind::Debconf,
            Self::Package(_) => Kind::Package,
            Self::Directory(_) => Kind::Directory,
            Self::File(_) => Kind::File,
            Self::Block(_) => Kind::Block,
            Self::Symlink(_) => Kind::Symlink,
            Self::Swapfile(_) => Kind::Swapfile,
            Self::Tree(spec) => spec.kind(),
            Self::Git(_) => Kind::Git,
            Self::Switch(spec) => spec.switch.kind(),
            Self::Sysctl(_) => Kind::Sysctl,
            Self::Firewall(_) => Kind::Firewall,
            Self::Secret(_) => Kind::Secret,
            Self::Command(_) => Kind::Command,
            Self::Unit(_) => Kind::Unit,
            Self::Probe(_) => Kind::Probe,
        }
    }

    /// The id of the resource that it describes.
    #[must_use]
    pub fn id(&self) -> ResourceId {
        let name = match self {
            Self::Group(spec) => &spec.name,
            Self::User(spec) => &spec.name,
            Self::Debconf(spec) => &spec.question,
            Self::Package(spec) => &spec.name,
            Self::Directory(spec) => spec.path.as_str(),
            Self::File(spec) => spec.path.as_str(),
            Self::Block(spec) => return ResourceId::new(Kind::Block, spec.full_name()),
            Self::Symlink(spec) => spec.path.as_str(),
            Self::Swapfile(spec) => spec.path.as_str(),
            Self::Tree(spec) => spec.path.as_str(),
            Self::Git(spec) => spec.path.as_str(),
            Self::Switch(spec) => &spec.name,
            Self::Sysctl(spec) => &spec.key,
            Self::Firewall(_) => FIREWALL_TABLE[1],
            Self::Secret(spec) => &spec.name,
            Self::Command(spec) => &spec.name,
            Self::Unit(spec) => spec.name.as_str(),
            Self::Probe(spec) => &spec.name,
        };
        ResourceId::new(self.kind(), name)
    }
}

/// What was found of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the variants are the kinds (paths share one), and their types are documented"
)]
pub enum State {
    Group(GroupState),
    User(UserState),
    Debconf(DebconfState),
    Package(PackageState),
    Path(PathState),
    Block(BlockState),
    Swapfile(SwapfileState),
    Tree(TreeState),
    Git(GitState),
    Switch(SwitchState),
    Sysctl(SysctlState),
    Firewall(FirewallState),
    Secret(SecretState),
    Command(CommandState),
    Unit(UnitState),
    Probe(ProbeState),
}

impl State {
    /// Whether there is nothing of it on the host.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Path(PathState::Absent)
            | Self::Package(PackageState::Absent)
            | Self::Group(GroupState::Absent)
            | Self::User(UserState::Absent)
            | Self::Tree(TreeState::Absent)
            | Self::Git(GitState::Absent { .. })
            | Self::Swapfile(SwapfileState::Absent { .. })
            | Self::Firewall(FirewallState::Absent)
            | Self::Secret(SecretState::Absent { .. })
            | Self::Debconf(DebconfState {
                answer: DebconfAnswer::None,
                ..
            })
            | Self::Sysctl(SysctlState::NoSuchKey) => true,
            Self::Unit(unit) => unit.load.untrusted() == "not-found",
            Self::Block(BlockState::NoFile | BlockState::File { lines: None, .. }) => true,
            Self::Path(_)
            | Self::Block(_)
            | Self::Swapfile(_)
            | Self::Tree(_)
            | Self::Git(_)
            | Self::Switch(_)
            | Self::Debconf(_)
            | Self::Package(_)
            | Self::Group(_)
            | Self::User(_)
            | Self::Sysctl(_)
            | Self::Firewall(_)
            | Self::Secret(_)
            | Self::Command(_)
            | Self::Probe(_) => false,
        }
    }

    /// A digest of all that a plan may rest on. Text shown only for the diff is left out: the content's digest stands for it.
    /// So are the words a guard or a probe said, which may differ from try to try, and where between down and up a unit is:
    /// a plan made for one that flaps must not be out of date at once.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        match self {
            Self::Path(PathState::File {
                content,
                owner,
                group,
                mode,
                text: _,
            }) => Digest::of_json(&("file", content, owner, group, mode)),
            // That git came while nothing was cloned is no reason to plan again.
            Self::Git(GitState::Absent { git: _ }) => Digest::of_json(&"no checkout"),
            Self::Swapfile(state) => state.fingerprint(),
            // A plan names the commit that it brings; where the branch has gone since is for the next one.
            Self::Git(GitState::Checkout {
                url,
                mirror:
                    Some(Standing {
                        commit,
                        changed,
                        tip: _,
                    }),
            }) => Digest::of_json(&("checkout", url, commit, changed)),
            // Values that wait for a run are in the same memory.
            Self::Secret(SecretState::Absent { nothing_mounted: _ }) => Digest::of_json(&"no secret"),
            Self::Command(CommandState { satisfied, detail: _ }) => Digest::of_json(&("command", satisfied)),
            Self::Probe(ProbeState { passing, detail: _ }) => Digest::of_json(&("probe", passing)),
            Self::Unit(
                unit @ UnitState {
                    load,
                    enabled,
                    active: _,
                    needs_reload,
                },
            ) => Digest::of_json(&("unit", load, enabled, unit.is_up(), needs_reload)),
            Self::Group(_)
            | Self::User(_)
            | Self::Debconf(_)
            | Self::Package(_)
            | Self::Path(_)
            | Self::Block(_)
            | Self::Tree(_)
            | Self::Git(_)
            | Self::Switch(_)
            | Self::Sysctl(_)
            | Self::Firewall(_)
            | Self::Secret(_) => Digest::of_json(self),
        }
    }
}

/// Why one resource waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DependencyReason {
    /// It lies in that directory.
    InDirectory,
    /// It is owned by, or runs as, that user or group.
    OwnedBy,
    /// It names it: a unit's file, an executable, a target. A change of it triggers what depends.
    Uses,
    /// The configuration says so with `restart_on`. A change of it triggers what depends.
    RestartOn,
    /// The configuration says so with `after`.
    After,
    /// It is the unit that a probe checks, or one that must be up before any probe.
    Checks,
}

impl DependencyReason {
    /// Whether a change of the resource depended on restarts (or reloads) the unit that depends.
    #[must_use]
    pub const fn triggers(self) -> bool {
        match self {
            Self::Uses | Self::RestartOn => true,
            Self::InDirectory | Self::OwnedBy | Self::After | Self::Checks => false,
        }
    }
}

/// One resource that must be brought about before another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The resource that comes first.
    pub on: ResourceId,
    /// Why.
    pub reason: DependencyReason,
}

/// One thing that a host should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// What it should be.
    pub spec: Spec,
    /// Where it is declared.
    pub origin: Origin,
    /// What comes before it, sorted, each resource of this host; free of cycles over the whole host.
    pub depends: Vec<Dependency>,
    /// What happens to it when it leaves the configuration.
    #[serde(default, skip_serializing_if = "OnRemoval::is_default")]
    pub on_removal: OnRemoval,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fact;

    fn unit(active: &str) -> Digest {
        let state = State::Unit(UnitState {
            load: "loaded".into(),
            enabled: "enabled".into(),
            active: active.into(),
            needs_reload: false,
        });
        state.fingerprint()
    }

    #[test]
    fn a_plan_rests_on_what_is_checked_out_and_not_on_where_a_branch_has_gone_since() {
        let at = |commit: &str, changed, tip: Option<&str>| {
            let standing = Standing {
                commit: Some(commit.to_owned()),
                changed,
                tip: tip.map(|tip| Fact::Known(tip.to_owned())),
            };
            let state = State::Git(GitState::Checkout {
                url: "/srv/a.git".into(),
                mirror: Some(standing),
            });
            state.fingerprint()
        };
        let found = at("1", 0, Some("2"));
        assert_eq!(found, at("1", 0, Some("3")));
        assert_eq!(found, at("1", 0, None));
        assert_ne!(found, at("2", 0, Some("2")));
        assert_ne!(found, at("1", 1, Some("2")));
    }

    #[test]
    fn a_plan_rests_on_whether_a_unit_is_up_and_not_on_the_moment_it_was_seen_in() {
        for flapping in ["activating", "deactivating", "reloading"] {
            assert_eq!(unit(flapping), unit("active"), "{flapping}");
        }
        for down in ["inactive", "failed"] {
            assert_ne!(unit(down), unit("active"), "{down}");
        }
    }
}
